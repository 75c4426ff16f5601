"""What is kept for how long, and what a removal did."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from mailroom.models.base import Frozen


class Kept(StrEnum):
    BODIES = "bodies"
    ROWS = "rows"


class Share(Frozen):
    """One share of a run's work."""

    what: Kept


class DueMail(Frozen):
    """A mail that was done with long ago; `at` and the ID are its place among those."""

    workflow_id: str
    at: datetime


class OldOne(Frozen):
    """A letter or a message that ended long ago, and its place among those."""

    id: str
    at: datetime


class Removed(Frozen):
    """How much a share, or a run, removed."""

    mails: int = 0
    letters: int = 0
    messages: int = Field(default=0, description="outbound ones")
    texts: int = 0
    blobs: int = 0
    running: int = Field(default=0, description="left alone: their workflows have not ended")
    more: bool = Field(default=False, description="there is work left")

    def __add__(self, other: "Removed") -> "Removed":
        return Removed(
            mails=self.mails + other.mails,
            letters=self.letters + other.letters,
            messages=self.messages + other.messages,
            texts=self.texts + other.texts,
            blobs=self.blobs + other.blobs,
            running=other.running,
            more=other.more,
        )


class Retained(Frozen):
    """Result of one run, as the Temporal UI shows it."""

    bodies: Removed
    rows: Removed


def removed_sentence(done: datetime | None, removed: datetime) -> str:
    """Why a mail shows no text; `done` is when it was answered or given up."""
    days = (removed - done) // timedelta(days=1) if done else None
    after = f" {days} days after the mail was done with" if days is not None else ""
    return f"Removed{after}; texts are not kept longer."
