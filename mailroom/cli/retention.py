"""`mailroom email retention`: what is kept for how long, and what is due."""

import asyncio
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from rich.table import Table

from mailroom.cli.client import bridge
from mailroom.cli.output import Output, plain_table, print_json, show

WHAT = {"bodies": "Bodies, drafts, texts", "rows": "All that is left of a mail"}


class Prospect(BaseModel):
    """One of the two of `/retention`."""

    days: int | None
    due: int
    last_run: datetime | None


def retention(output: Output) -> None:
    found = asyncio.run(_fetch())
    if output is Output.JSON:
        print_json(found)
    else:
        show(_table({what: Prospect.model_validate(each) for what, each in found.items()}))


async def _fetch() -> dict[str, Any]:
    async with bridge() as to:
        found: dict[str, Any] = await to.get("/retention")
        return found


def _table(found: dict[str, Prospect]) -> Table:
    table = plain_table("", "Kept", "Due now", "Last run")
    for what, each in found.items():
        kept = f"{each.days} days" if each.days else "for ever"
        ran = each.last_run.astimezone().strftime("%Y-%m-%d %H:%M") if each.last_run else "none yet"
        table.add_row(WHAT.get(what, what), kept, f"{each.due} mails", ran)
    return table
