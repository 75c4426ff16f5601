"""One letter as a page, and a conversation."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mailroom.cli.agent_identity import Me, asked_as, whoami
from mailroom.cli.letter_lists import state_text
from mailroom.cli.mails import Entry, local, prose, section, timeline
from mailroom.cli.output import Output, one_line, print_json, show
from mailroom.client import Letter


def show_letter(letter: str, said: str | None, output: Output, *, mark: bool) -> None:
    found = asyncio.run(_fetch(letter, whoami(said), mark=mark))
    if output is Output.JSON:
        print_json(found)
    else:
        entries = [Entry.model_validate(entry) for entry in found["timeline"]]
        show(*_page(Letter.model_validate(found), entries))


async def _fetch(letter: str, me: Me, *, mark: bool) -> dict[str, Any]:
    path = f"/mail/{segment(letter)}"
    async with asked_as(me) as to:
        if mark:
            await to.post(f"{path}/read")
        found: dict[str, Any] = await to.get(path)
        return found


def show_thread(letter: str, said: str | None, output: Output) -> None:
    found = asyncio.run(_fetch_thread(letter, whoami(said)))
    if output is Output.JSON:
        print_json(found)
        return
    for number, one in enumerate(map(Letter.model_validate, found)):
        show(*([Text()] if number else []), *_letter(one))


async def _fetch_thread(letter: str, me: Me) -> list[dict[str, Any]]:
    async with asked_as(me) as to:
        return [one async for one in to.pages(f"/mail/{segment(letter)}/thread")]


def segment(letter: str) -> str:
    """An ID as one segment of a path, whatever was typed."""
    return quote(letter.strip(), safe="") or "-"


def _page(letter: Letter, entries: Sequence[Entry]) -> Iterator[RenderableType]:
    yield from _letter(letter)
    yield from section("What happened", timeline(entries))


def _letter(letter: Letter) -> Iterator[RenderableType]:
    yield _head(letter)
    yield Text()
    yield Padding(prose(letter.body or "(no text)"), (0, 2))


def _head(letter: Letter) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("ID", Text(one_line(letter.id)))
    table.add_row("From", Text(one_line(letter.sender)))
    table.add_row("To", Text(one_line(letter.to)))
    table.add_row("Subject", Text(one_line(letter.subject)))
    table.add_row("Priority", Text(letter.priority))
    table.add_row("State", state_text(letter.status))
    for name, value in _more(letter):
        if value:
            table.add_row(name, Text(one_line(value)))
    return table


def _more(letter: Letter) -> Iterator[tuple[str, str | None]]:
    yield "Reason", letter.reason
    yield "In reply to", letter.reply_to
    yield "Pinned", "yes" if letter.pinned else None
    yield "Sent", local(letter.sent_at)
    for name, at in (
        ("Expires", letter.expires_at),
        ("Tried again", letter.retry_at),
        ("Delivered", letter.delivered_at),
        ("Read", letter.read_at),
        ("Acknowledged", letter.acknowledged_at),
    ):
        yield name, local(at) if at else None
