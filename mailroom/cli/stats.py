"""`mailroom email stats`: figures over some days, as tables, JSON or CSV."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mailroom.cli.client import bridge
from mailroom.cli.errors import Failure
from mailroom.cli.output import Output, clean, one_line, plain_table, print_json, say, show
from mailroom.models.figures import Amounts, Day, Figures, KeptEdit, Rates, csv_of

STDOUT = Path("-")
EDITS_SHOWN = 5


def stats(days: int, output: Output, csv: Path | None) -> None:
    found = asyncio.run(_fetch(days))
    if csv:
        _write(csv, csv_of(Figures.model_validate(found).days))
    elif output is Output.JSON:
        print_json(found)
    else:
        show(*_page(Figures.model_validate(found)))


async def _fetch(days: int) -> dict[str, Any]:
    async with bridge() as to:
        found: dict[str, Any] = await to.get("/workflow/stats", days=days)
        return found


def _write(file: Path, lines: str) -> None:
    if file == STDOUT:
        typer.echo(lines, nl=False)
        return
    try:
        file.write_text(lines, newline="")
    except OSError as error:
        raise Failure(f"{file} can't be written ({error.strerror}).") from error
    say(f"Written: {file}.")


def _page(figures: Figures) -> Iterator[RenderableType]:
    yield _days(figures)
    for title, rates in (("Sender", figures.senders), ("Source of draft", figures.sources)):
        if rates:
            yield Text()
            yield _rates(title, rates)
    if figures.edits:
        yield Text("\nLatest edits", style="bold")
        yield from (_edit(edit) for edit in figures.edits[:EDITS_SHOWN])


def _days(figures: Figures) -> Table:
    """Days on which something happened, newest first."""
    table = plain_table(
        "Day", "Mails", "Texts", "Sent", "Edits", "Ignored", "None", "Answer", "Failed", "Tokens"
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for day in reversed(figures.days):
        if not _quiet(day):
            table.add_row(str(day.day), *_cells(day))
    table.add_row("all", *_cells(figures.total), style="bold")
    return table


def _quiet(day: Day) -> bool:
    return day == Day(day=day.day)


def _cells(of: Amounts) -> list[str]:
    words, failed = of.answers, of.failures
    counts = (of.mails, of.texts, words.approve, words.edit, words.ignore, words.none)
    return [
        *map(str, counts),
        duration(of.response_seconds),
        str(failed.draft + failed.sms + failed.reply),
        str(of.input_tokens + of.output_tokens),
    ]


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _rates(title: str, rates: Sequence[Rates]) -> Table:
    table = plain_table(title, "Mails", "Unchanged", "Edited", "Ignored")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in rates:
        counts = (one.mails, one.approved, one.edited, one.ignored)
        table.add_row(Text(one_line(one.name)), *map(str, counts))
    return table


def _edit(edit: KeptEdit) -> Text:
    head = f"\n{one_line(edit.subject)} - {one_line(edit.sender)}\n"
    asked = f"“{one_line(edit.instructions)}”\n"
    return Text.assemble((head, "bold"), asked, (clean(edit.diff), "dim"))
