"""Addresses that get no more mail: shown, added, removed."""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from rich.text import Text

from mailroom.cli.client import bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import Output, answer, one_line, plain_table, print_json, say, show
from mailroom.models.outbound.suppression import Listed, Suppression, SuppressionReason

LIST = "/queue/suppressions"


def show_list(search: str, tenant: str | None, limit: int, output: Output) -> None:
    found = asyncio.run(_found({"search": search, **of(tenant)}, limit))
    if output is Output.JSON:
        print_json(found)
    elif found:
        show(_table([Suppression.model_validate(one) for one in found]))
    else:
        say("The list has none.")


def add(
    addresses: Sequence[str],
    tenant: str | None,
    reason: SuppressionReason,
    source: str | None,
    output: Output,
) -> None:
    common = {"reason": reason.value, "source": source, **of(tenant or None)}
    items = [{"address": address, **common} for address in addresses]
    listed = asyncio.run(_added(items))
    if output is Output.JSON:
        print_json(listed.model_dump())
    else:
        answer(f"{listed.added} added, {listed.known} known")


def remove(addresses: Sequence[str], tenant: str | None) -> None:
    missing = asyncio.run(_removed(addresses, tenant))
    answer(f"{len(addresses) - len(missing)} removed")
    if missing:
        raise Failure(f"Not on the list: {', '.join(missing)}.", ExitCode.NOT_THERE)


def of(tenant: str | None) -> dict[str, str]:
    return {} if tenant is None else {"tenant_id": tenant}


async def _found(asked: dict[str, str], limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with bridge() as to:
        async for item in to.pages(LIST, **asked):
            found.append(item)
            if len(found) == limit:
                break
    return found


async def _added(items: Sequence[dict[str, Any]]) -> Listed:
    async with bridge() as to:
        return Listed.model_validate(await to.post(LIST, json={"items": items}))


async def _removed(addresses: Sequence[str], tenant: str | None) -> list[str]:
    """Those that were not there."""
    missing = []
    async with bridge() as to:
        for address in addresses:
            try:
                await to.delete(f"{LIST}/{quote(address, safe='')}", params=of(tenant or None))
            except Failure as failure:
                if failure.code is not ExitCode.NOT_THERE:
                    raise
                missing.append(address)
    return missing


def _table(lines: Sequence[Suppression]) -> Any:
    table = plain_table("Address", "Reason", "Tenant", "Since", "Source")
    for line in lines:
        cells = (line.address, line.reason.replace("_", " "), line.tenant_id)
        since = line.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        shown = (*(one_line(cell) for cell in cells), since, one_line(line.source))
        table.add_row(*map(Text, shown))
    return table
