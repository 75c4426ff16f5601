"""Old records in a file: a JSON array, JSON lines, or CSV. Read one by one, so that memory does not
grow with the file."""

import codecs
import csv
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ijson

from mailroom.cli.errors import Failure

LARGEST_RECORD = 1 << 20
CHUNK = 1 << 20
BOM = codecs.BOM_UTF8
LISTS = ("notificationsSent",)
NUMBERS = ("priority", "estimatedWaitTime", "actualWaitTime")


@dataclass(frozen=True)
class Found:
    """A record, or the problem with it. `source` is where in the file it stands."""

    source: str
    value: Any = None
    problem: str | None = None


def digest_of(file: Path) -> str:
    """SHA-256."""
    digest = hashlib.sha256()
    with file.open("rb") as source:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def records_in(file: Path) -> Iterator[Found]:
    """In the order of the file. Raises `Failure` where it can't be read on."""
    if not file.is_file():
        raise Failure(f"{file} is no file.")
    if file.suffix.lower() == ".csv":
        found = _csv(file)
    else:
        found = _array(file) if _begins(file) == b"[" else _lines(file)
    return map(_sendable, found)


def _sendable(found: Found) -> Found:
    """Python reads more than JSON has (RFC 8259 §6, §8.2)."""
    try:
        json.dumps(found.value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        problem = "it has half of a surrogate pair, NaN or Infinity, or too many levels"
        return Found(found.source, problem=problem)
    return found


def _begins(file: Path) -> bytes:
    with file.open("rb") as source:
        return source.read(1024).removeprefix(BOM).lstrip()[:1]


def _array(file: Path) -> Iterator[Found]:
    number = 0
    try:
        with file.open("rb") as source:
            source.seek(len(BOM) if source.read(len(BOM)) == BOM else 0)
            for number, value in enumerate(ijson.items(source, "item", use_float=True), 1):
                yield Found(f"record {number}", value)
    except (ijson.JSONError, ValueError, ArithmeticError, SystemError) as error:
        # The last comes of a number with thousands of digits.
        after = f" after record {number}" if number else ""
        raise Failure(f"{file} is no valid JSON{after}.") from error


def _lines(file: Path) -> Iterator[Found]:
    with file.open("rb") as source:
        number = 0
        while line := source.readline(LARGEST_RECORD + 1):
            number += 1
            if len(line) > LARGEST_RECORD:
                raise Failure(f"{file}, line {number}: It has more than {LARGEST_RECORD:,} bytes.")
            if line.strip():
                yield _line(f"line {number}", line)


def _line(source: str, line: bytes) -> Found:
    try:
        return Found(source, json.loads(line.removeprefix(BOM)))
    except (ValueError, RecursionError):
        return Found(source, problem="it is no JSON")


def _csv(file: Path) -> Iterator[Found]:
    with _readable(file), file.open(encoding="utf-8-sig", newline="") as source:
        rows = csv.DictReader(source, strict=True)
        for row in rows:
            yield _row(f"line {rows.line_num}", row)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise Failure(f"{file} is no UTF-8; convert it first.") from error
    except csv.Error as error:
        raise Failure(f"{file} is no CSV: {error}.") from error


def _row(source: str, row: dict[Any, Any]) -> Found:
    """Cells are text: those of numbers and lists are read as such. No `actualWaitTime` is none."""
    if None in row or None in row.values():
        return Found(source, problem="it has not as many cells as the first line")
    record: dict[str, Any] = {
        name: _cell(name, text) for name, text in row.items() if text or name != "actualWaitTime"
    }
    return Found(source, record)


def _cell(name: str, text: str) -> Any:
    if name in LISTS and not text:
        return []
    if name in (*NUMBERS, *LISTS):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text
