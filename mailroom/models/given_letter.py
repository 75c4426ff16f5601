"""A letter that another program wrote, or that was kept before it could be sent."""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from mailroom.models.agent_addresses import recipient_of
from mailroom.models.base import Frozen
from mailroom.models.new_letter import NewLetter

FIRST_YEAR = 1970
MOST_COPIES = 100

OURS = re.compile(r"[0-9a-f]{32}", re.ASCII)
"""An ID of ours; other programs have others."""


class NoLetter(ValueError):
    """It can't be taken over; the message is a sentence that says why."""


class GivenLetter(Frozen):
    """`cc` get letters of their own with the same text; of `thread` None the sender is asked."""

    id: str = Field(pattern=r"\A[0-9a-f]{32}\z")
    sender: str
    new: NewLetter
    sent_at: AwareDatetime
    cc: Annotated[tuple[str, ...], Field(max_length=MOST_COPIES)] = ()
    thread: str | None = None

    @property
    def copies(self) -> list[tuple[str, str]]:
        """IDs and to whom, the first one the letter itself."""
        others = dict.fromkeys(each for each in self.cc if each != self.new.to)
        return [(self.id, self.new.to), *((digest("copy", self.id, to), to) for to in others)]

    @property
    def thread_of_all(self) -> str | None:
        """None where it follows from the letter that this one answers."""
        return self.thread or (None if self.new.reply_to else self.id)


def letter_id(theirs: str, to: str, subject: str, body: str) -> str:
    """Ours for theirs: the same letter again is the same, from a file or from Beads. Another one
    with the same ID, as two towns may have, is another."""
    return digest("letter", theirs, to, subject, body)


def thread_id(theirs: str) -> str:
    return theirs if OURS.fullmatch(theirs) else digest("thread", theirs)


def recipients(to: Sequence[str]) -> tuple[str, ...]:
    """Each in its one form. Raises `NoLetter`."""
    try:
        return tuple(map(recipient_of, to))
    except ValueError as error:
        raise NoLetter(f"{str(error).rstrip('.')}.") from None


def sane(sent_at: datetime | None, latest: datetime) -> datetime:
    """Clocks go wrong, and Go writes a time that was never set as the year 1."""
    if sent_at is None or sent_at.year < FIRST_YEAR or sent_at > latest:
        return latest
    return sent_at.astimezone(UTC)


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]
