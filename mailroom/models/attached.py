"""Attachments as people are told of them."""

from collections.abc import Sequence

from mailroom.models.base import Frozen
from mailroom.models.sms_segments import bare_or_quoted, quotable, short

MEGABYTE = 1_000_000
# In a text: a name that is longer is a sentence, or an attempt at one.
_NAME_UNITS = 40
_LIST_UNITS = 400


class Attachment(Frozen):
    """`name` occurs once in its mail; `size` is in bytes."""

    name: str
    size: int


class AttachedFile(Frozen):
    """An attachment as it is handed on; `kind` is its media type."""

    name: str
    kind: str
    data: bytes


def size_words(size: int) -> str:
    """ "340 bytes", "12 KB", "3.4 MB"."""
    if size < 1_000:
        return f"{size} bytes" if size != 1 else "1 byte"
    # What would be rounded to 1000 KB is a megabyte.
    if size < 999_500:
        return f"{size / 1_000:.0f} KB"
    return f"{size / MEGABYTE:.1f} MB"


def attached_line(attached: Sequence[Attachment], units: int) -> str:
    """ "Attached: scan.pdf (1.2 MB), photo.jpg (300 KB)", as many as there is room for, else how
    many there are; "" where there are none."""
    if not attached:
        return ""
    counted = f"Attached: {_count(attached)}, {size_words(sum(one.size for one in attached))}"
    return _listed("Attached", attached, units) or counted


def files_line(attached: Sequence[Attachment]) -> str:
    """The names there are, for somebody who gave another."""
    return _listed("There are", attached, _LIST_UNITS) + "."


def _listed(label: str, attached: Sequence[Attachment], units: int) -> str:
    for shown in range(len(attached), 0, -1):
        more = len(attached) - shown
        line = f"{label}: {', '.join(map(_shown, attached[:shown]))}"
        line += f" and {more} more" if more else ""
        if short(line, units) == line:
            return line
    return ""


def name_shown(name: str) -> str:
    """Somebody's name for a file, which can't be taken for words of ours."""
    return bare_or_quoted(quotable(name), _NAME_UNITS)


def _shown(one: Attachment) -> str:
    return f"{name_shown(one.name)} ({size_words(one.size)})"


def _count(attached: Sequence[Attachment]) -> str:
    return "1 file" if len(attached) == 1 else f"{len(attached)} files"
