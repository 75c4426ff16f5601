"""Bounces in no standard form, as flufl.bounce recognises them."""

import logging
import re
from email.message import Message

from flufl.bounce import all_failures

from mailroom.models.base import Frozen
from mailroom.models.decoding import BROKEN
from mailroom.models.mime import parsed
from mailroom.models.parts import letter_text
from mailroom.models.text import one_line

# The library goes through every line with every one of its patterns.
MOST_BYTES, MOST_LINES, LONGEST_LINE = 64 << 10, 1_500, 500
MOST_ADDRESSES = 20

# It writes a line for each of its twenty detectors, and the mail into that of an exception.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)

_QUOTED_REPLY = re.compile(
    r"(?<![\w.])[45]\d\d[ -]|(?<![\w.])[45]\.\d{1,3}\.\d{1,3}(?![.\w])", re.ASCII
)


class Unreadable(ValueError):
    """A mail that the library gave up on; the message says how."""


class LooseBounce(Frozen):
    """`said` is the line that looks like a server's reply."""

    failed: tuple[str, ...] = ()
    delayed: tuple[str, ...] = ()
    said: str = ""


def read_loose(raw: bytes) -> LooseBounce | None:
    """None of what is no bounce. Raises `Unreadable`."""
    mail = parsed(_cut(raw))
    try:
        delayed, failed = all_failures(mail)
    except BROKEN as error:
        raise Unreadable(f"flufl.bounce gave up: {type(error).__name__}.") from error
    if not failed and not delayed:
        return None
    return LooseBounce(failed=_texts(failed), delayed=_texts(delayed), said=_said(mail))


def _cut(raw: bytes) -> bytes:
    lines = raw[:MOST_BYTES].splitlines(keepends=True)[:MOST_LINES]
    return b"".join(
        line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + b"\r\n" for line in lines
    )


def _texts(addresses: frozenset[bytes] | set[bytes]) -> tuple[str, ...]:
    """It returns bytes."""
    found = (one.decode("ascii", "replace").strip().lower() for one in addresses)
    return tuple(sorted(one for one in found if "@" in one and len(one) <= 320))[:MOST_ADDRESSES]


def _said(mail: Message) -> str:
    lines = letter_text(mail).splitlines()[:200]
    for at, line in enumerate(lines):
        if _QUOTED_REPLY.search(line):
            # Programs break the reply that they quote.
            return one_line(" ".join(lines[at : at + 3]), 1_000)
    return ""
