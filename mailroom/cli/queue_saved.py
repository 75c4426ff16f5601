"""Saved filters, as the bridge keeps them."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pydantic import JsonValue
from rich.table import Table
from rich.text import Text

from mailroom.cli.client import bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.mails import local
from mailroom.cli.output import Output, answer, one_line, plain_table, print_json, say, show
from mailroom.cli.queue_selecting import Selected
from mailroom.models.outbound.saved_filters import SavedFilter, SavedFilters

FILTERS = "/queue/filters"


def show_all(output: Output) -> None:
    found = asyncio.run(_ask("get", FILTERS))
    if output is Output.JSON:
        print_json(found)
        return
    saved = SavedFilters.model_validate(found).items
    if saved:
        show(_table(saved))
    else:
        say("No filter is saved; `mailroom queue filters save NAME` takes the options of a list.")


def show_one(name: str, output: Output) -> None:
    _show(asyncio.run(_ask("get", _path(name))), output)


def save(name: str, selected: Selected, output: Output) -> None:
    if not selected.fields:
        raise Failure("Say which messages it means, such as --status deferred.", ExitCode.USAGE)
    selected.selection()
    _show(asyncio.run(_ask("put", _path(name), json=dict(selected.fields))), output)


def remove(name: str) -> None:
    asyncio.run(_ask("delete", _path(name)))
    answer(f"The filter {name} is removed.")


def _show(found: Any, output: Output) -> None:
    if output is Output.JSON:
        print_json(found)
    else:
        show(_table([SavedFilter.model_validate(found)]))


async def _ask(method: str, path: str, **content: Any) -> Any:
    async with bridge() as to:
        return await getattr(to, method)(path, **content)


def _path(name: str) -> str:
    return f"{FILTERS}/{quote(name, safe='')}"


def _table(saved: list[SavedFilter]) -> Table:
    table = plain_table("Name", "Saved", "Which messages")
    for one in saved:
        said = "\n".join(_lines(one.selection))
        table.add_row(Text(one_line(one.name)), local(one.created_at), Text(said))
    return table


def _lines(selection: Mapping[str, JsonValue]) -> Iterator[str]:
    for name, value in selection.items():
        values = value if isinstance(value, list) else [value]
        yield f"{name}: {one_line(', '.join(map(str, values)))}"
