"""Where output goes: data on stdout, as a table or JSON; progress and messages on stderr."""

import json
import unicodedata
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table

# Wide enough that nothing is wrapped or cut where no terminal is: `| grep` sees whole lines.
WIDTH_OF_A_PIPE = 4_000


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="For people, or for programs.", show_choices=True)
]


ROOM_FOR_ALL = 120


def show(*parts: RenderableType) -> None:
    """Data for people, on stdout: fitted to a terminal, or in whole lines into a pipe."""
    terminal = Console(highlight=False)
    if terminal.is_terminal:
        terminal.print(Group(*parts))
        return
    pipe = Console(highlight=False, width=WIDTH_OF_A_PIPE)
    with pipe.capture() as printed:
        pipe.print(Group(*parts))
    typer.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def messages() -> Console:
    """Stderr."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def narrowed(table: Table, *shown: str) -> Table:
    """Where a terminal has no room for all columns, those with which one goes on."""
    terminal = Console()
    if terminal.is_terminal and terminal.width < ROOM_FOR_ALL:
        table.columns = [column for column in table.columns if column.header in shown]
    return table


def say(sentence: str) -> None:
    """A message, on stderr."""
    typer.echo(sentence, err=True)


def answer(sentence: str) -> None:
    """What a command was asked for, where it is a sentence."""
    typer.echo(clean(sentence))


def print_json(data: Any) -> None:
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def plain_table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def clean(text: str) -> str:
    """Text from strangers without what steers a terminal or turns its direction."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _STEERING)


_STEERING = {"Cc", "Cf", "Cs"}


def one_line(text: str | None) -> str:
    return " ".join(clean(text or "").split())
