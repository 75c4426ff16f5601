"""The audit trail of operations, as the bridge has it."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rich.table import Table
from rich.text import Text

from mailroom.cli.client import bridge
from mailroom.cli.mails import local
from mailroom.cli.output import (
    Output,
    answer,
    narrowed,
    one_line,
    plain_table,
    print_json,
    say,
    show,
)
from mailroom.cli.queue_operate import OPERATIONS
from mailroom.models.outbound.bulk import OperationView


def show_operations(limit: int, output: Output) -> None:
    found = asyncio.run(_newest(limit))
    if output is Output.JSON:
        print_json(found)
    elif found:
        show(_table([OperationView.model_validate(one) for one in found]))
    else:
        say("Nothing was done to messages yet.")


def show_operation(id: UUID, output: Output) -> None:
    found = asyncio.run(_one(id))
    if output is Output.JSON:
        print_json(found)
        return
    view = OperationView.model_validate(found)
    show(_facts(view))
    for error in (view.result and view.result.errors) or []:
        say(one_line(error))


def abandon(id: UUID) -> None:
    view = OperationView.model_validate(asyncio.run(_abandoned(id)))
    answer(f"{id} is {view.status.replace('_', ' ')}; {view.affected:,} messages were changed.")


async def _newest(limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with bridge() as to:
        async for item in to.pages(OPERATIONS):
            found.append(item)
            if len(found) == limit:
                break
    return found


async def _one(id: UUID) -> dict[str, Any]:
    async with bridge() as to:
        found: dict[str, Any] = await to.get(f"{OPERATIONS}/{id}")
        return found


async def _abandoned(id: UUID) -> dict[str, Any]:
    async with bridge() as to:
        found: dict[str, Any] = await to.post(f"{OPERATIONS}/{id}/abandon", params={"wait": 10})
        return found


def _table(operations: list[OperationView]) -> Table:
    table = plain_table("ID", "When", "Operation", "Status", "Changed", "Failed", "Reason")
    for column in table.columns:
        column.no_wrap = column.header != "Reason"
    for one in operations:
        dry = " (dry run)" if one.dry_run else ""
        table.add_row(
            str(one.id),
            local(one.created_at),
            f"{one.operation}{dry}",
            one.status.replace("_", " "),
            f"{one.affected:,} of {one.messages:,}",
            f"{one.failed:,}" if one.failed else "-",
            Text(one_line(one.reason)),
        )
    return narrowed(table, "ID", "Operation", "Status", "Changed")


def _words(known: Mapping[str, object]) -> str:
    return "; ".join(
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in known.items()
    )


def _until(view: OperationView) -> dict[str, str]:
    return {"until": local(view.whole.until)} if view.whole and view.whole.until else {}


def _facts(view: OperationView) -> Table:
    meant = view.filter or ({"message_ids": len(view.message_ids)} if view.message_ids else {})
    if view.queue_name:
        meant = meant | {"queue_name": view.queue_name}
    known = {
        "ID": str(view.id),
        "Operation": f"{view.operation}{' (dry run)' if view.dry_run else ''}",
        "Status": view.status.replace("_", " "),
        "Messages": _words(meant),
        "How": _words({**(view.metadata or {}), **_until(view)}),
        "Reason": view.reason,
        "Asked by": view.requested_by,
        "Begun": local(view.created_at),
        "Ended": local(view.finished_at) if view.finished_at else None,
        "Progress": f"{view.done:,} of {view.messages:,}, {view.affected:,} changed",
        "Failed": f"{view.failed:,}" if view.failed else None,
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in known.items():
        if value:
            table.add_row(name, Text(one_line(value)))
    return table
