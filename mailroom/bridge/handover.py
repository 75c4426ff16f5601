"""On at once where the way is open, else into the spool: what was taken is not lost."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from mailroom.adapters.spool.spool import Spool
from mailroom.bridge.way import AWAY, Way, reason_of
from mailroom.models.spool import Entry, Message, Queue

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(frozen=True)
class Handover:
    spool: Spool
    way: Way = field(default_factory=Way)

    async def on(self, deliver: Callable[[], Awaitable[T]], seconds: float) -> T | None:
        """What came of it; None where the message has to be kept. It may have gone on all the
        same: IDs follow from the message, so that twice is once."""
        if not self.way.is_open:
            return None
        try:
            async with asyncio.timeout(seconds):
                return await deliver()
        except AWAY as error:
            log.warning("the way on is closed", error=f"{type(error).__name__}: {error}")
            self.way.close(reason_of(error))
            return None

    async def keep(self, message: Message, priority: int) -> Entry:
        """Durable when this returns. Raises `SpoolFull` or `SpoolBusy`."""
        entry = Entry(queue=Queue.INBOUND, priority=priority, message=message)
        # A thread that has begun ends, whoever stops waiting: then it is kept and nobody was told.
        await asyncio.to_thread(self.spool.append, entry)
        self.way.kept += 1
        self.way.work.set()
        return entry
