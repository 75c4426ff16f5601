"""Mails in files: .eml, mbox, Maildir. Read one by one, so that memory stays the same.

Not by the standard library's `mailbox`: it lists a whole mbox before the first mail, splits at
every line that begins with "From ", and leaves ">From " quoted.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

# RFC 4155: "From ", an address, a time stamp. Text that begins with "From " has none.
FROM_LINE = re.compile(rb"From .*\d:\d\d.* \d{4}\b")
FROM_LINE_LENGTH = 500
# mboxrd put one ">" before each line that looked like a separator or a quoted one. mboxo did
# not quote quoted ones again, which can't be told apart.
QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
# RFC 5322 §2.1.1 allows 998; a longer line is read in pieces.
LINE_LENGTH = 64 * 1024
MAILDIR = ("new", "cur")


@dataclass(frozen=True)
class Found:
    """A mail in a file, or the problem with it. `span` is its part of the file, in bytes."""

    source: str
    raw: bytes = b""
    span: int = 0
    problem: str | None = None


def mails_in(path: Path, limit: int) -> Iterator[Found]:
    """The mails of a file or folder; one above `limit` bytes is a problem."""
    try:
        yield from _mails_in(path, limit)
    except OSError as error:
        yield Found(str(path), problem=f"{error.strerror}.")


def size_of(path: Path) -> int:
    """Bytes there are to read; 0 where that can't be said."""
    try:
        files = _maildir_files(path) if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)
    except OSError:
        return 0


def _mails_in(path: Path, limit: int) -> Iterator[Found]:
    if path.is_dir():
        return _maildir(path, limit)
    # A mail that was saved with its separator is one mail, whatever its lines begin with.
    if path.suffix.lower() != ".eml" and _is_mbox(path):
        return _mbox(path, limit)
    return iter([_single(path, limit)])


def _single(path: Path, limit: int) -> Found:
    size = path.stat().st_size
    if size > limit:
        return Found(str(path), span=size, problem=_too_large(limit))
    return Found(str(path), path.read_bytes(), size)


def _maildir(path: Path, limit: int) -> Iterator[Found]:
    if not all((path / sub).is_dir() for sub in MAILDIR):
        yield Found(str(path), problem="This folder is no Maildir: it has no `new` and `cur`.")
        return
    for file in _maildir_files(path):
        try:
            yield _single(file, limit)
        except OSError as error:  # a mail program may have moved it meanwhile
            yield Found(str(file), problem=f"{error.strerror}.")


def _maildir_files(path: Path) -> Iterator[Path]:
    """In the order in which they arrived, as names begin with the time."""
    for sub in MAILDIR:
        folder = path / sub
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        yield from (file for file in files if not file.name.startswith("."))


def _is_mbox(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(5) == b"From "


def _mbox(path: Path, limit: int) -> Iterator[Found]:
    with path.open("rb") as file:
        for number, (raw, span) in enumerate(_split(file, limit), 1):
            source = f"{path}, mail {number}"
            if span > limit:
                yield Found(source, span=span, problem=_too_large(limit))
            else:
                yield Found(source, _as_it_was(raw), span)


def _split(file: BinaryIO, limit: int) -> Iterator[tuple[bytes, int]]:
    """Each mail without its separator, and its length; of one above `limit` only a part."""
    file.readline()
    mail, span, whole_line = bytearray(), 0, True
    for line in iter(partial(file.readline, LINE_LENGTH), b""):
        if whole_line and len(line) <= FROM_LINE_LENGTH and FROM_LINE.match(line):
            yield bytes(mail), span
            mail, span = bytearray(), 0
            continue
        whole_line = line.endswith(b"\n")
        span += len(line)
        if span <= limit:
            mail += line
    yield bytes(mail), span


def _as_it_was(raw: bytes) -> bytes:
    """Without what an mbox adds: an empty line at the end, and quoted "From "."""
    if raw.endswith((b"\n\n", b"\n\r\n")):
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
    return QUOTED_FROM.sub(rb"\1", raw)


def _too_large(limit: int) -> str:
    return f"It is larger than {limit:,} bytes (MAILROOM_MAX_MESSAGE_BYTES)."
