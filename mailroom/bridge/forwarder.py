"""Sends on what the spool keeps as soon as the way is open."""

import asyncio
from collections import Counter
from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError

from mailroom.adapters.spool.locks import SpoolBusy
from mailroom.bridge.context import Context
from mailroom.bridge.delivery import DELIVERED, OUTWARD
from mailroom.bridge.draining import Fate, Round
from mailroom.bridge.way import reason_of
from mailroom.models.base import Frozen
from mailroom.models.spool import Kind, Queue

log = structlog.get_logger()

AT_ONCE = 8
REACH_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
LOOK_AGAIN_SECONDS = 60.0


class Drained(Frozen):
    """`left` is what still waits and has a way on."""

    forwarded: int = 0
    dead: int = 0
    left: int = 0


class Forwarder:
    def __init__(self, the: Context) -> None:
        self._the = the
        self._spool = the.handover.spool
        self._way = the.handover.way
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        await self._begin()
        while True:
            await self._once_open()
            # What failed for a reason of its own is tried again, and a command may have added some.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._way.work.wait(), LOOK_AGAIN_SECONDS)

    async def drain(self) -> Drained:
        """Now, if the way is open or can be opened. Texts go on before others come in directly:
        a later word of an owner must not overtake an earlier one."""
        async with self._one_at_a_time:
            self._way.work.clear()
            if not await self._is_reachable():
                return Drained(left=await self._left())
            this = Round(self._the)
            await this.send_on((Kind.TEXT,), at_once=1)
            if not this.fates[Fate.AWAY]:
                self._way.open()
            await this.send_on(DELIVERED, AT_ONCE)
            await this.settle()
            fates = this.fates + await self._outward()
            return Drained(
                forwarded=fates[Fate.FORWARDED],
                dead=fates[Fate.DEAD],
                left=await self._left(),
            )

    async def _outward(self) -> Counter[Fate]:
        """Unless the way closed meanwhile."""
        outward = Round(self._the, Queue.OUTBOUND)
        if self._way.is_open:
            await outward.send_on(OUTWARD, AT_ONCE)
            await outward.settle()
        return outward.fates

    async def _begin(self) -> None:
        counts = await asyncio.to_thread(self._spool.counts, Queue.INBOUND)
        if counts[Kind.TEXT]:
            self._way.close("Texts that were kept before the start go on first.")

    async def _once_open(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await self.drain()
            except (OSError, SpoolBusy) as error:
                # The spool's own folder: nothing is lost, and nothing goes on.
                log.error("the spool can't be read", error=str(error))  # noqa: TRY400
            if self._way.is_open:
                return
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
        inbound = await asyncio.to_thread(self._spool.counts, Queue.INBOUND)
        outbound = await asyncio.to_thread(self._spool.counts, Queue.OUTBOUND)
        self._way.kept = sum(inbound[kind] for kind in DELIVERED)
        self._way.kept += sum(outbound[kind] for kind in OUTWARD)
        return self._way.kept
