"""The way on: whether Temporal and PostgreSQL can be reached, and since when not."""

import asyncio
from datetime import UTC, datetime

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mailroom.adapters.temporal import TemporalUnavailable
from mailroom.bridge.flows import NoAnswerYet
from mailroom.ports import Transient

AWAY = (
    TemporalUnavailable,
    NoAnswerYet,
    OperationalError,
    InterfaceError,
    PoolTimeoutError,
    Transient,
    TimeoutError,
    ConnectionError,
)
"""What says that something behind us is away, and nothing about what was handed on."""


class Way:
    """Open until somebody meets an end; opened again by the forwarder alone, which goes first."""

    def __init__(self) -> None:
        self.since: datetime | None = None
        self.why: str | None = None
        self.kept = 0  # that wait in the spool, as of the last look
        self.work = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self.since is None

    def close(self, why: str) -> None:
        """The first reason stays, with its time."""
        if self.since is None:
            self.since, self.why = datetime.now(UTC), why
        self.work.set()

    def open(self) -> None:
        self.since = self.why = None

    @property
    def sentence(self) -> str | None:
        """What people are told while it is closed."""
        if self.since is None:
            return None
        kept = "1 message is" if self.kept == 1 else f"{self.kept:,} messages are"
        why = (self.why or "").rstrip(".")
        return f"{why}, since {self.since:%H:%M} UTC; {kept} kept and will go on."


def reason_of(error: Exception) -> str:
    """A sentence without what the error holds: an address, a statement."""
    if isinstance(error, SQLAlchemyError):
        return "PostgreSQL can't be reached."
    if isinstance(error, Transient):
        return str(error)
    if isinstance(error, TimeoutError):
        return "Temporal or PostgreSQL does not answer in time."
    return "Temporal can't be reached."
