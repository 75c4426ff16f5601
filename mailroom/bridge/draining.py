"""One round of what goes on out of the spool, in its order."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from enum import Enum

import structlog

from mailroom.bridge.context import Context
from mailroom.bridge.delivery import deliver
from mailroom.bridge.flows import TooBusy
from mailroom.bridge.way import AWAY, reason_of
from mailroom.models.spool import Damaged, Entry, Kind, Queue
from mailroom.ports import Permanent

log = structlog.get_logger()

BATCH = 1_000
ONE_SECONDS = 30.0
# An entry that fails again and again while others pass is at fault itself.
MOST_ATTEMPTS = 20


class Fate(Enum):
    FORWARDED, DEAD, STAYS, AWAY = range(4)


class Round:
    """Made anew for each. What meets a closed way closes it for everybody."""

    def __init__(self, the: Context, queue: Queue = Queue.INBOUND) -> None:
        self._the = the
        self._queue = queue
        self._spool = the.handover.spool
        self._stay: set[str] = set()
        self._away: list[Entry] = []
        self.fates: Counter[Fate] = Counter()

    async def send_on(self, kinds: Collection[Kind], at_once: int) -> None:
        """Ends early where of some that go together none passes."""
        while files := await self._first(kinds):
            for start in range(0, len(files), at_once):
                if not await self._together(files[start : start + at_once]):
                    return

    async def settle(self) -> None:
        """Of those that met a closed way: where others passed, it was no outage."""
        for entry in self._away:
            if self.fates[Fate.FORWARDED]:
                self.fates[await self._failed(entry, entry.error or "")] += 1

    async def _first(self, kinds: Collection[Kind]) -> list[str]:
        spool = self._spool
        return await asyncio.to_thread(spool.first, self._queue, BATCH, kinds, self._stay)

    async def _together(self, files: Sequence[str]) -> bool:
        """Whether others may pass."""
        found = dict(zip(files, await asyncio.gather(*map(self._one, files)), strict=True))
        gone = [file for file, fate in found.items() if fate is Fate.FORWARDED]
        if gone:
            await asyncio.to_thread(self._spool.remove, self._queue, gone)
        self._stay.update(file for file in files if found[file] in (Fate.STAYS, Fate.AWAY))
        fates = Counter(found.values())
        self.fates.update(fates)
        return bool(gone) or not fates[Fate.AWAY]

    async def _one(self, file: str) -> Fate:
        try:
            entry = await asyncio.to_thread(self._spool.read, self._queue, file)
        except FileNotFoundError:
            return Fate.FORWARDED  # by another
        except Damaged as error:
            log.error("an entry of the spool is damaged", file=file, error=str(error))  # noqa: TRY400
            return Fate.STAYS
        return await self._deliver(entry)

    async def _deliver(self, entry: Entry) -> Fate:
        try:
            async with asyncio.timeout(ONE_SECONDS):
                await deliver(self._the, entry.message, entry.queued_at)
        except Permanent as error:
            return await self._bury(entry, str(error))
        except (*AWAY, TooBusy) as error:
            why = reason_of(error)
            self._the.handover.way.close(why)
            self._away.append(entry.model_copy(update={"error": why}))
            return Fate.AWAY
        except Exception as error:
            log.exception("an entry of the spool failed", id=entry.id)
            return await self._failed(entry, f"{type(error).__name__}: {error}")
        return Fate.FORWARDED

    async def _failed(self, entry: Entry, error: str) -> Fate:
        if entry.attempts + 1 >= MOST_ATTEMPTS:
            return await self._bury(entry, f"Given up after {MOST_ATTEMPTS} attempts. {error}")
        tried = entry.failed(error, datetime.now(UTC))
        await asyncio.to_thread(self._spool.update, self._queue, tried)
        return Fate.STAYS

    async def _bury(self, entry: Entry, error: str) -> Fate:
        dead = entry.failed(error, datetime.now(UTC))
        await asyncio.to_thread(self._spool.move, dead, self._queue, Queue.DEAD_LETTER)
        log.warning("a message can't go on", id=entry.id, kind=entry.message.kind, error=error)
        return Fate.DEAD
