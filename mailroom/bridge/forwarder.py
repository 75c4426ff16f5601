"""Sends on what the spool keeps, in its order, as soon as the way is open."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum

import structlog
from sqlalchemy.exc import SQLAlchemyError

from mailroom.adapters.spool.locks import SpoolBusy
from mailroom.bridge.context import Context
from mailroom.bridge.delivery import DELIVERED, deliver
from mailroom.bridge.flows import TooBusy
from mailroom.bridge.way import AWAY, reason_of
from mailroom.models.base import Frozen
from mailroom.models.spool import Damaged, Entry, Kind, Queue
from mailroom.ports import Permanent

log = structlog.get_logger()

BATCH = 1_000
AT_ONCE = 8
ONE_SECONDS, REACH_SECONDS = 30.0, 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
# An entry that fails again and again while all others pass is at fault itself.
MOST_ATTEMPTS = 20
LOOK_AGAIN_SECONDS = 60.0


class Drained(Frozen):
    """`left` is what still waits and has a way on."""

    forwarded: int = 0
    dead: int = 0
    left: int = 0

    def and_then(self, later: "Drained") -> "Drained":
        return Drained(
            forwarded=self.forwarded + later.forwarded,
            dead=self.dead + later.dead,
            left=later.left,
        )


class _Fate(Enum):
    FORWARDED, DEAD, STAYS, AWAY = range(4)


class Forwarder:
    def __init__(self, the: Context) -> None:
        self._the = the
        self._spool = the.handover.spool
        self._way = the.handover.way
        self._one_at_a_time = asyncio.Lock()
        self._stuck = False

    async def run(self) -> None:
        """Until cancelled."""
        await self._begin()
        while True:
            drained = await self._once_open()
            # What failed for a reason of its own is tried again after a while.
            seconds = LOOK_AGAIN_SECONDS if drained.left else None
            with suppress(TimeoutError):
                await asyncio.wait_for(self._way.work.wait(), seconds)

    async def drain(self) -> Drained:
        """Now, if the way is open or can be opened. Texts go on before others come in directly:
        a later word of an owner must not overtake an earlier one."""
        async with self._one_at_a_time:
            self._way.work.clear()
            if not await self._is_reachable():
                return Drained(left=await self._left())
            texts = await self._drained((Kind.TEXT,), at_once=1)
            if self._stuck:
                return texts
            self._way.open()
            return texts.and_then(await self._drained(DELIVERED, AT_ONCE))

    async def _begin(self) -> None:
        counts = await asyncio.to_thread(self._spool.counts, Queue.INBOUND)
        if counts[Kind.TEXT]:
            self._way.close("Texts that were kept before the start go on first.")

    async def _once_open(self) -> Drained:
        pause = FIRST_PAUSE
        while True:
            try:
                drained = await self.drain()
            except (OSError, SpoolBusy) as error:
                # The spool's own folder: nothing is lost, and nothing goes on.
                log.error("the spool can't be read", error=str(error))  # noqa: TRY400
                drained = Drained(left=1)
            if self._way.is_open:
                return drained
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _is_reachable(self) -> bool:
        try:
            async with asyncio.timeout(REACH_SECONDS):
                await self._the.texts.stopped("")
        except (SQLAlchemyError, OSError) as error:
            self._way.close(reason_of(error))
            return False
        if not await self._the.flows.healthy():
            self._way.close("Temporal can't be reached.")
            return False
        return True

    async def _left(self) -> int:
        counts = await asyncio.to_thread(self._spool.counts, Queue.INBOUND)
        self._way.kept = sum(counts[kind] for kind in DELIVERED)
        return self._way.kept

    async def _drained(self, kinds: Collection[Kind], at_once: int) -> Drained:
        """What there is, in its order, until the first that meets a closed way."""
        self._stuck = False
        fates: Counter[_Fate] = Counter()
        stay: set[str] = set()
        while not self._stuck and (files := await self._first(kinds, stay)):
            for start in range(0, len(files), at_once):
                found = await self._sent_on(files[start : start + at_once])
                fates.update(found.values())
                stay.update(file for file, fate in found.items() if fate is _Fate.STAYS)
                if self._stuck:
                    break
        forwarded, dead = fates[_Fate.FORWARDED], fates[_Fate.DEAD]
        return Drained(forwarded=forwarded, dead=dead, left=await self._left())

    async def _first(self, kinds: Collection[Kind], stay: Collection[str]) -> list[str]:
        return await asyncio.to_thread(self._spool.first, Queue.INBOUND, BATCH, kinds, stay)

    async def _sent_on(self, files: Sequence[str]) -> dict[str, _Fate]:
        fates = await asyncio.gather(*map(self._send_on, files))
        found = dict(zip(files, fates, strict=True))
        gone = [file for file, fate in found.items() if fate is _Fate.FORWARDED]
        if gone:
            await asyncio.to_thread(self._spool.remove, Queue.INBOUND, gone)
        return found

    async def _send_on(self, file: str) -> _Fate:
        try:
            entry = await asyncio.to_thread(self._spool.read, Queue.INBOUND, file)
        except FileNotFoundError:
            return _Fate.FORWARDED  # by another
        except Damaged as error:
            log.error("an entry of the spool is damaged", file=file, error=str(error))  # noqa: TRY400
            return _Fate.STAYS
        return await self._deliver(entry)

    async def _deliver(self, entry: Entry) -> _Fate:
        try:
            async with asyncio.timeout(ONE_SECONDS):
                await deliver(self._the, entry.message, entry.queued_at)
        except Permanent as error:
            return await self._bury(entry, str(error))
        except (*AWAY, TooBusy) as error:
            self._stuck = True
            self._way.close(reason_of(error))
            return await self._failed(entry, reason_of(error), _Fate.AWAY)
        except Exception as error:
            log.exception("an entry of the spool failed", id=entry.id)
            return await self._failed(entry, f"{type(error).__name__}: {error}", _Fate.STAYS)
        return _Fate.FORWARDED

    async def _failed(self, entry: Entry, error: str, fate: _Fate) -> _Fate:
        if entry.attempts + 1 >= MOST_ATTEMPTS:
            return await self._bury(entry, f"Given up after {MOST_ATTEMPTS} attempts. {error}")
        tried = entry.failed(error, datetime.now(UTC))
        await asyncio.to_thread(self._spool.update, Queue.INBOUND, tried)
        return fate

    async def _bury(self, entry: Entry, error: str) -> _Fate:
        dead = entry.failed(error, datetime.now(UTC))
        await asyncio.to_thread(self._spool.move, dead, Queue.INBOUND, Queue.DEAD_LETTER)
        log.warning("a message can't go on", id=entry.id, kind=entry.message.kind, error=error)
        return _Fate.DEAD
