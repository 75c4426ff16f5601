"""Messages in files, as items of `POST /queue/messages`. Read one by one, so that memory does not
grow with the file."""

import base64
import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ijson

from mailroom.cli.errors import Failure
from mailroom.cli.mail_files import Found, mails_in, size_of
from mailroom.cli.queue_rows import message_of, used_columns
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.outbound.mail_template import MailTemplate

JSON, LINES, CSV = ".json", (".jsonl", ".ndjson"), ".csv"


@dataclass(frozen=True)
class Given:
    """An item, or the problem with it. `source` is its place in the file, `span` how many bytes of
    the file were read for it."""

    source: str
    item: dict[str, Any] | None = None
    span: int = 0
    problem: str | None = None


def given_in(
    files: Sequence[Path], template: MailTemplate | None, sender: str | None, limit: int
) -> Iterator[Given]:
    """`limit` is the largest message, in bytes. Raises `Failure` where a file can't be read on."""
    for file in files:
        kind = file.suffix.lower()
        if kind == CSV:
            yield from _rows(file, template)
        elif kind == JSON:
            yield from _items(file)
        elif kind in LINES:
            yield from _lines(file, limit)
        else:
            for mail in mails_in(file, limit):
                yield from _addressed(mail, sender)


def check_files(files: Sequence[Path], template: MailTemplate | None) -> None:
    """What can be told before the first message is sent. Raises `Failure`."""
    tables = [file for file in files if file.suffix.lower() == CSV]
    for file in files:
        if not file.exists():
            raise Failure(f"{file}: There is no such file.")
    if template and len(tables) < len(files):
        raise Failure("--template is filled from CSV files alone.")
    for file in tables:
        used_columns(file, template)


def bytes_of(files: Sequence[Path]) -> int:
    return sum(map(size_of, files))


def _rows(file: Path, template: MailTemplate | None) -> Iterator[Given]:
    with file.open("rb") as source:
        rows = csv.DictReader(io.TextIOWrapper(source, "utf-8-sig", newline=""), strict=True)
        used, number = 0, 1
        while True:
            try:
                row = next(rows, None)
            except (csv.Error, UnicodeDecodeError) as error:
                raise Failure(f"{file}, after line {number}: It is no CSV in UTF-8.") from error
            if row is None:
                return
            # A row may have several lines; named is the first of them.
            first, number = number + 1, rows.line_num
            end = source.tell()
            yield _row(f"{file}, line {first}", row, template, end - used)
            used = end


def _row(source: str, row: dict[Any, Any], template: MailTemplate | None, span: int) -> Given:
    if None in row or None in row.values():
        problem = "It has not as many cells as the first line."
        return Given(source, span=span, problem=problem)
    return Given(source, message_of(row, template), span)


def _items(file: Path) -> Iterator[Given]:
    """A list, `{"items": [...]}`, or one."""
    number, used = 0, 0
    try:
        prefix = _prefix(file)
        with file.open("rb") as source:
            for number, value in enumerate(ijson.items(source, prefix, use_float=True), 1):
                at = source.tell()
                yield _item(f"{file}, item {number}", value, at - used)
                used = at
    except (ijson.JSONError, ValueError, ArithmeticError, SystemError) as error:
        after = f" after item {number}" if number else ""
        raise Failure(f"{file}: It is no valid JSON{after}.") from error


def _prefix(file: Path) -> str:
    """Where the items are, as ijson names it."""
    with file.open("rb") as source:
        events = ijson.basic_parse(source)
        event, _ = next(events)
        if event == "start_array":
            return "item"
        return "items.item" if next(events) == ("map_key", "items") else ""


def _lines(file: Path, limit: int) -> Iterator[Given]:
    """A raw mail takes four thirds of its length there."""
    longest = 2 * limit
    with file.open("rb") as source:
        number = 0
        while line := source.readline(longest + 1):
            number += 1
            where = f"{file}, line {number}"
            if len(line) > longest:
                raise Failure(f"{where}: It has more than {longest:,} bytes.")
            if line.strip():
                yield _line(where, line)


def _line(where: str, line: bytes) -> Given:
    try:
        return _item(where, json.loads(line), len(line))
    except (ValueError, RecursionError):
        return Given(where, span=len(line), problem="It is no JSON.")


def _item(source: str, value: Any, span: int) -> Given:
    if isinstance(value, dict):
        return Given(source, value, span)
    return Given(source, span=span, problem="It is no message: an object is one.")


def _addressed(found: Found, sender: str | None) -> Iterator[Given]:
    """One item for each recipient that the mail names, as each has a fate of its own."""
    if found.problem:
        yield Given(found.source, span=found.span, problem=found.problem)
        return
    mail = read_mail(found.raw)
    origin = sender or mail.return_path or (mail.sender and mail.sender.address)
    recipients = _recipients(mail)
    if not origin or not recipients:
        lacks = "recipient: name one in To, Cc or Bcc" if origin else "sender: give --sender"
        yield Given(found.source, span=found.span, problem=f"It has no {lacks}.")
        return
    raw = base64.b64encode(found.raw).decode()
    for n, recipient in enumerate(recipients):
        item = {"sender": origin, "recipient": recipient, "raw": raw}
        yield Given(found.source, item, 0 if n else found.span)


def _recipients(mail: IncomingMail) -> list[str]:
    named = (*mail.to, *mail.cc, *mail.bcc)
    return list(dict.fromkeys(one.address for one in named))
