"""Letters as tables: an inbox, what was found, dead letters."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from mailroom.cli.agent_identity import Me, asked_as, in_form, whoami
from mailroom.cli.mails import SUBJECT_LENGTH, age
from mailroom.cli.output import Output, one_line, plain_table, print_json, say, show
from mailroom.cli.spool_folder import SHORT
from mailroom.client import Letter
from mailroom.models.agent_mail import LetterState, Priority

PRIORITY_STYLES = {Priority.URGENT: "bold red", Priority.HIGH: "yellow", Priority.LOW: "dim"}
STATE_STYLES = {LetterState.DEAD_LETTER: "red", LetterState.RETRYING: "yellow"}


def filter_of(
    to: str | None,
    sender: str | None,
    status: Sequence[LetterState] | None,
    priority: Sequence[Priority] | None,
    search: str | None,
) -> dict[str, Any]:
    """As `GET /mail` takes it."""
    given = {
        "to": in_form(to) if to else None,
        "from": in_form(sender) if sender else None,
        "status": [str(one) for one in status or ()],
        "priority": [str(one) for one in priority or ()],
        "search": search,
    }
    return {name: value for name, value in given.items() if value}


def show_inbox(said: str | None, limit: int, output: Output, *, every: bool) -> None:
    me = whoami(said)
    asked = {"address": me.named, "all": "true" if every else None}
    wanted = {name: value for name, value in asked.items() if value}
    found = asyncio.run(_fetch("/mail/inbox", wanted, me, limit))
    _show(found, output, _inbox_table, f"Nothing to read{f' for {me.named}' if me.named else ''}.")


def show_found(wanted: dict[str, Any], said: str | None, limit: int, output: Output) -> None:
    me = whoami(said)
    # The operator's token sees all; whoever is said to ask, asks for what is theirs.
    if not me.is_overseer and not {"to", "from"} & wanted.keys():
        wanted = {**wanted, "to": me.address}
    found = asyncio.run(_fetch("/mail", wanted, me, limit))
    _show(found, output, letter_table, "No letter has these words.")


def show_dead(wanted: dict[str, Any], limit: int, output: Output) -> None:
    found = asyncio.run(_fetch("/mail", wanted, whoami(), limit))
    _show(found, output, _dead_table, "No dead letters.")


async def _fetch(path: str, asked: dict[str, Any], me: Me, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with asked_as(me) as to:
        async for item in to.pages(path, **asked):
            found.append(item)
            if len(found) == limit:
                break
    return found


def _show(
    found: Sequence[dict[str, Any]],
    output: Output,
    table: Callable[[Sequence[Letter]], Table],
    none: str,
) -> None:
    if output is Output.JSON:
        print_json(found)
    elif found:
        show(table([Letter.model_validate(one) for one in found]))
    else:
        say(none)


def letter_table(letters: Sequence[Letter]) -> Table:
    table = _table("ID", "Priority", "State", "From", "To", "Subject", "Sent")
    for one in letters:
        sender, to = Text(one_line(one.sender)), Text(one_line(one.to))
        state = state_text(one.status)
        table.add_row(one.id[:SHORT], _priority(one), state, sender, to, _subject(one), _age(one))
    return table


def _inbox_table(letters: Sequence[Letter]) -> Table:
    table = _table("ID", "Priority", "From", "Subject", "Sent", "")
    for one in letters:
        marks = [*(["pinned"] if one.pinned else []), *(["read"] if one.read_at else [])]
        sender, mark = Text(one_line(one.sender)), Text(", ".join(marks), style="dim")
        table.add_row(one.id[:SHORT], _priority(one), sender, _subject(one), _age(one), mark)
    return table


def _dead_table(letters: Sequence[Letter]) -> Table:
    table = _table("ID", "Priority", "From", "To", "Subject", "Tries", "Sent", "Reason")
    for one in letters:
        sender, to = Text(one_line(one.sender)), Text(one_line(one.to))
        tries, why = str(one.attempts), Text(one_line(one.reason))
        cells = (_priority(one), sender, to, _subject(one), tries, _age(one), why)
        table.add_row(one.id[:SHORT], *cells)
    return table


def _table(*columns: str) -> Table:
    table = plain_table(*columns)
    for column in table.columns:
        column.no_wrap = column.header in ("ID", "Priority", "State", "Tries", "Sent")
    return table


def _subject(letter: Letter) -> Text:
    """Or how it begins, without one."""
    return Text((one_line(letter.subject) or one_line(letter.body))[:SUBJECT_LENGTH])


def _priority(letter: Letter) -> Text:
    return Text(letter.priority, style=PRIORITY_STYLES.get(letter.priority, ""))


def state_text(state: LetterState | None) -> Text:
    if state is None:
        return Text()
    return Text(state.replace("_", " "), style=STATE_STYLES.get(state, ""))


def _age(letter: Letter) -> str:
    return age(letter.sent_at, datetime.now(UTC))
