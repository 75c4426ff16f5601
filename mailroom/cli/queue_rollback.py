"""`mailroom queue migrate --rollback`, `--forget` and `--status`."""

import asyncio
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from mailroom.cli.client import bridge
from mailroom.cli.output import Output, answer, clean, plain_table, print_json, say, show
from mailroom.cli.queue_given_back import write_records
from mailroom.cli.queue_migrate import PATH, PROBLEMS_SHOWN, WORDS


def roll_back(migration: str, out: Path | None, output: Output) -> None:
    """The old records go to the file, or to standard output."""
    result, records = asyncio.run(_rolled_back(migration))
    if out is None and output is Output.JSON:
        print_json({**result, "records": records})
        return
    write_records(records, out)
    sentence = (
        f"{result['removed']:,} removed, {result['restored']:,} restored, "
        f"{result['kept_count']:,} kept; {len(records):,} records given back"
    )
    for one in result["kept"][:PROBLEMS_SHOWN]:
        say(f"{one['id']} ({one['status']}) stays: {one['reason']}")
    if output is Output.JSON:
        print_json(result)
    elif out is None:
        say(sentence)
    else:
        answer(f"{sentence}, to {out}")


async def _rolled_back(migration: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    async with bridge() as to:
        result: dict[str, Any] = await to.post(f"{PATH}/{migration}/rollback")
        records = [one["record"] async for one in to.pages(f"{PATH}/{migration}/records")]
    return result, records


def forget(migration: str) -> None:
    asyncio.run(_forget(migration))
    answer("Its records are removed; it can't be rolled back any more.")


async def _forget(migration: str) -> None:
    async with bridge() as to:
        await to.delete(f"{PATH}/{migration}")


def show_status(output: Output) -> None:
    found = asyncio.run(_latest())
    if output is Output.JSON:
        print_json(found)
    elif not found:
        say("Nothing was migrated yet.")
    else:
        show(_table(found))


async def _latest() -> list[dict[str, Any]]:
    async with bridge() as to:
        found: list[dict[str, Any]] = (await to.get(PATH))["items"]
        return found


def _table(found: list[dict[str, Any]]) -> Table:
    table = plain_table("ID", "Status", "Source", "Began", "Done", *map(str.title, WORDS))
    for one in found:
        counts = [f"{one['counts'][word]:,}" for word in WORDS]
        source = Text(clean(one["source"] or "-"))
        done = f"{one['done']:,}"
        table.add_row(
            one["id"], one["status"].replace("_", " "), source, one["began_at"], done, *counts
        )
    return table
