"""Texts as the bubbles of a phone, and which of them still ask for an answer. Pure."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from mailroom.local.phone import PhoneText
from mailroom.models.base import Frozen
from mailroom.models.codes import SHAPE
from mailroom.models.words import Approve, Edit, Ignore, parse_word

TEXTS = 100

# Only links to drafts: what else looks like one was written by a stranger.
_LINK = re.compile(r"https?://[^\s/]+(/r/[\w.-]+)")
_ASKS = re.compile(rf"1=Send .*3=\w+ ({SHAPE})(?: \[\d+/\d+\])?\Z")


class Piece(Frozen):
    """A run of text; `path` where it is a link of ours."""

    text: str
    path: str | None = None


class Bubble(Frozen):
    """One text; `asks` is the code of the draft that waits for an answer to it."""

    mine: bool
    pieces: tuple[Piece, ...]
    at: datetime
    asks: str | None


def bubbles(texts: Sequence[PhoneText]) -> list[Bubble]:
    """The last `TEXTS` of them, oldest first."""
    shown = texts[-TEXTS:]
    asking = set(_open(shown).values())
    return [_bubble(text, asking) for text in shown]


def _open(texts: Sequence[PhoneText]) -> dict[str, str]:
    """Codes that nobody has answered here, each with the ID of the last text that asks."""
    asked: dict[str, str] = {}
    for text in texts:
        if text.to is not None:
            asked |= dict.fromkeys(_ASKS.findall(text.body), text.id)
            continue
        said = parse_word(text.body)
        if isinstance(said.command, Approve | Edit | Ignore):
            # A bare answer means the only draft that waits.
            asked.pop(said.code or (next(iter(asked)) if len(asked) == 1 else ""), None)
    return asked


def _bubble(text: PhoneText, asking: set[str]) -> Bubble:
    found = _ASKS.search(text.body) if text.id in asking else None
    return Bubble(
        mine=text.to is None,
        pieces=tuple(_pieces(text.body)) if text.to else (Piece(text=text.body),),
        at=text.sent_at,
        asks=found[1] if found else None,
    )


def _pieces(body: str) -> Iterator[Piece]:
    end = 0
    for link in _LINK.finditer(body):
        yield Piece(text=body[end : link.start()])
        yield Piece(text=link[0], path=link[1])
        end = link.end()
    yield Piece(text=body[end:])
