"""`mailroom email forget`: one person's mail, removed."""

import asyncio
from typing import Any

from mailroom.cli.client import bridge
from mailroom.cli.output import Output, answer, print_json


def forget(address: str, output: Output) -> None:
    removed = asyncio.run(_forget(address))
    if output is Output.JSON:
        print_json(removed)
    else:
        answer(_sentence(address, removed))


async def _forget(address: str) -> dict[str, Any]:
    async with bridge() as to:
        removed: dict[str, Any] = await to.post("/emails/forget", json={"address": address})
        return removed


def _sentence(address: str, removed: dict[str, Any]) -> str:
    if not any(removed.values()):
        return f"There is no mail from {address}."
    counts = ", ".join(f"{count} {name}" for name, count in removed.items())
    return f"Removed: {counts}."
