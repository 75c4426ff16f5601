"""One entry of the spool as a page; what strangers wrote in it steers no terminal."""

import json
from collections.abc import Iterator
from typing import Any

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mailroom.adapters.settings import load_settings
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.mails import local
from mailroom.cli.output import Output, clean, one_line, print_json, show
from mailroom.cli.spool_folder import SHORT, Place, found, opened, read
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.spool import (
    Entry,
    SpooledLetter,
    SpooledMail,
    SpooledReceipt,
    SpooledText,
)

# What an older orchestrator's letter has; of its other fields we know no more than their names.
LETTERS_TEXT = "body"


def show_entry(beginning: str, output: Output) -> None:
    place, entry = _entry(beginning)
    if output is Output.JSON:
        print_json({"queue_now": place.queue, **_as_data(entry)})
    else:
        show(*page(place, entry))


def write_raw(beginning: str) -> None:
    _, entry = _entry(beginning)
    if not isinstance(entry.message, SpooledMail):
        raise Failure(
            f"{entry.id[:SHORT]} is no mail but a {entry.message.kind}; see it without --raw.",
            ExitCode.REFUSED,
        )
    stdout = typer.get_binary_stream("stdout")
    stdout.write(entry.message.raw)
    stdout.flush()


def _entry(beginning: str) -> tuple[Place, Entry]:
    spool = opened(load_settings())
    place = found(spool, beginning)
    return place, read(spool, place)


def page(place: Place, entry: Entry) -> Iterator[RenderableType]:
    yield _grid(dict(_fields(place, entry)))
    match entry.message:
        case SpooledMail() as message:
            yield from _mail(message, read_mail(message.raw))
        case SpooledText() as text:
            about = {"Owner": text.owner, "From": text.number, "Provider's ID": text.provider_id}
            yield from _section("Text", about, text.body)
        case SpooledReceipt(receipt=receipt):
            known = receipt.model_dump(mode="json", exclude_none=True) if receipt else {}
            yield from _section("Receipt", {_title(name): known[name] for name in known})
        case SpooledLetter(message=letter):
            yield from _letter(letter)


def _fields(place: Place, entry: Entry) -> Iterator[tuple[str, str | None]]:
    yield "ID", entry.id
    back = f", from {entry.queue}" if entry.queue is not place.queue else ""
    yield "Queue", f"{place.queue}{back}"
    yield "Kind", entry.message.kind
    yield "Priority", str(entry.priority)
    yield "Queued", local(entry.queued_at, "%Y-%m-%d %H:%M:%S")
    yield "Attempts", str(entry.attempts)
    if entry.last_attempt:
        yield "Last attempt", local(entry.last_attempt, "%Y-%m-%d %H:%M:%S")
    if entry.error:
        yield "Error", entry.error


def _mail(message: SpooledMail, mail: IncomingMail) -> Iterator[RenderableType]:
    about = {
        "Envelope": _envelope(message),
        "From": str(mail.sender or ""),
        "To": ", ".join(map(str, mail.to)),
        "Cc": ", ".join(map(str, mail.cc)),
        "Subject": mail.subject,
        "Date": local(mail.date) if mail.date else "",
        "Message-ID": mail.message_id,
        "Attachments": ", ".join(mail.attachments),
        "Only shown": message.why_not or "",
        "Size": f"{len(message.raw):,} bytes",
    }
    yield from _section("Mail", about, mail.text or "(no text)")


def _envelope(message: SpooledMail) -> str:
    """As SMTP gave it; the null path is <> (RFC 5321 §4.5.5)."""
    if message.sender is None:
        return "none: it was imported"
    return f"<{message.sender}> to {', '.join(message.recipients) or 'nobody'}"


def _letter(letter: dict[str, Any]) -> Iterator[RenderableType]:
    texts = [name for name in letter if name.casefold() == LETTERS_TEXT]
    about = {name: _shown(letter[name]) for name in letter if name not in texts}
    yield from _section("Letter", about, "\n\n".join(_shown(letter[name]) for name in texts))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _section(title: str, about: dict[str, Any], text: str = "") -> Iterator[RenderableType]:
    yield Text(f"\n{title}", style="bold")
    yield Padding(_grid(about), (0, 2))
    if text:
        yield Text()
        yield Padding(Text(clean(text).strip()), (0, 2))


def _grid(about: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in about.items():
        if value:
            style = "red" if name == "Error" else ""
            table.add_row(Text(one_line(name)), Text(one_line(str(value)), style=style))
    return table


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _as_data(entry: Entry) -> dict[str, Any]:
    """A mail as it reads; its bytes are for `--raw`."""
    if not isinstance(entry.message, SpooledMail):
        return entry.model_dump(mode="json")
    known = entry.model_dump(mode="json", exclude={"message": {"raw"}})
    return {**known, "mail": read_mail(entry.message.raw).model_dump(mode="json")}
