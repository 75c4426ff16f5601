"""Holds in the relay what we hold, once a minute: it forgets when it restarts."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from mailroom.models.outbound.suspensions import Held
from mailroom.ports import Permanent, Transient
from mailroom.ports.relay import QueuesHeld, RelayAdmin, Suspensions

log = structlog.get_logger()

LONGEST_SECONDS = 60.0


@dataclass(frozen=True)
class MirrorSuspensions:
    relay: RelayAdmin
    suspensions: Suspensions
    queues: QueuesHeld

    async def align(self) -> int:
        """How much was different. What fails, the next minute tries again: domains are scored
        whether a relay is there or not."""
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return await self.relay.align(self.ours)
        except (Permanent, Transient, TimeoutError) as error:
            why = str(error) or "it took too long"
            log.warning("suspensions of a relay were not compared", error=why)
            return 0

    async def ours(self) -> Sequence[Held]:
        return [*await self.suspensions.current(), *await self.queues.suspended()]
