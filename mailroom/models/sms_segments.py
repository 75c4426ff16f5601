"""What a text message costs, and how much of a text fits.

GSM-7 with its extension table: 3GPP TS 23.038 §6.2.1. A text of several parts gives six bytes
of each to a header: TS 23.040 §9.2.3.24.1; hence 160/153 septets and 70/67 UTF-16 units.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable
from enum import StrEnum

import smsutil

from mailroom.models.base import Frozen
from mailroom.models.codes import CODE
from mailroom.models.text import one_line

_MOST_PER_PART = 160
_LONGEST_WORD_TAIL = 20


class Encoding(StrEnum):
    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


class Segments(Frozen):
    """`units` are septets in GSM-7 and UTF-16 units in UCS-2; a header is not counted."""

    encoding: Encoding
    parts: int
    units: int


def segments(text: str) -> Segments:
    if not text:
        return Segments(encoding=Encoding.GSM7, parts=1, units=0)
    split = smsutil.split(text)
    if split.encoding == "gsm0338":
        return Segments(encoding=Encoding.GSM7, parts=len(split.parts), units=split.total_bytes)
    return Segments(encoding=Encoding.UCS2, parts=len(split.parts), units=split.total_bytes // 2)


def fits(text: str, max_parts: int) -> bool:
    return len(text) <= max_parts * _MOST_PER_PART and segments(text).parts <= max_parts


def longest(text: str, max_parts: int, render: Callable[[str], str]) -> str:
    """The longest beginning of `text` with which `render(beginning)` fits into `max_parts`.

    It ends at a word's end where one is near. Empty when nothing fits.
    """
    if fits(render(text), max_parts):
        return text
    end = min(len(text), max_parts * _MOST_PER_PART + 1)
    too_long = bisect_left(
        range(end), True, key=lambda n: not fits(render(_until(text, n)), max_parts)
    )
    return _until(text, max(0, too_long - 1))


def with_subject(subject: str, parts: int, render: Callable[[str], str]) -> str:
    """`render(subject)`, with as much of the subject as fits; a part more if that is little."""

    def cut(shown: str) -> str:
        return render(shown if shown == subject else f"{shown}...")

    parts += not fits(cut(subject[:12]), parts)
    return cut(longest(subject, parts, cut))


def _until(text: str, length: int) -> str:
    while length and unicodedata.category(text[length]).startswith("M"):
        length -= 1  # an accent stays with its letter
    head = text[:length]
    if not text[length : length + 1].isspace():
        space = re.search(rf"\s+\S{{0,{_LONGEST_WORD_TAIL}}}\Z", head)
        head = head[: space.start()] if space and space.start() else head
    return head.rstrip()


# Typographic marks to their GSM-7 kin, so that one apostrophe doesn't make a text UCS-2; and all
# double quotes to single ones, so that a quotation ends where we end it.
_PLAIN = str.maketrans(
    dict.fromkeys('‘’‚‛′`"“”„‟″＂', "'") | dict.fromkeys("‐‑‒–—−", "-") | {"…": "..."}
)


def quotable(text: str) -> str:
    """What somebody wrote, on one line and without double quotes."""
    return one_line(text).translate(_PLAIN)


def short(text: str, units: int) -> str:
    """At most `units` UTF-16 units of `text`, with an ellipsis where it was cut."""
    encoded = text.encode("utf-16-le")
    if len(encoded) <= 2 * units:
        return text
    return encoded[: 2 * (units - 3)].decode("utf-16-le", "ignore").rstrip() + "..."


_HARMLESS = re.compile(r"[\w\s.,:;!?'&()/+%@#-]*")


def bare_or_quoted(text: str, units: int) -> str:
    """At most `units` of somebody's `quotable` words: bare if they can be taken for no command of
    ours, else in quotes."""
    text = short(text, units)
    return text if _HARMLESS.fullmatch(text) and not CODE.search(text) else f'"{text}"'
