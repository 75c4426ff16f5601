"""Holds what goes to a domain, or is of a campaign, a tenant or a pool, and lets it go again; here,
and in the relay that has taken some of it."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from mailroom.adapters.postgres.suspensions import PostgresSuspensions
from mailroom.bridge.queue_flows import QueueFlows
from mailroom.models.outbound.queues import SetState
from mailroom.models.outbound.scopes import SuspensionScope, compared
from mailroom.models.outbound.suspensions import HeldQueue, Suspend, Suspended
from mailroom.ports import Permanent, Transient
from mailroom.ports.relay import RelayAdmin

log = structlog.get_logger()

# The relay is asked again each minute; nobody waits here for one that hangs.
RELAY_SECONDS = 5.0


@dataclass(frozen=True)
class Suspending:
    store: PostgresSuspensions
    flows: QueueFlows
    relay: RelayAdmin | None = None

    async def hold(
        self, scope: SuspensionScope, name: str, reason: str, until: datetime | None = None
    ) -> Suspended:
        """From the moment in which this returns, and until then or until it is released. Raises
        ValueError for what is no domain or no end, and what Temporal raises while it is away: the
        suspension is there all the same."""
        wanted = Suspend(reason=reason, until=until)
        found = await self.store.put(scope, compared(scope, name), wanted)
        said = await told(self.relay.hold(found)) if self.relay else None
        await self.flows.look_after(found.name, scope)
        return Suspended(**found.model_dump(), relay=said)

    async def release(self, scope: SuspensionScope, name: str) -> bool:
        """What it held goes on. False where nothing of this name was held."""
        name = compared(scope, name)
        if not await self.store.over(scope, name):
            return False
        if self.relay:
            await told(self.relay.lift(scope, name))
        await self.flows.look_after(name, scope)
        return True

    async def set_queue(self, queue_name: str, wanted: SetState) -> None:
        """A queue's state, which holds here already, in the relay."""
        if self.relay is None:
            return
        if wanted.state.delivers:
            await told(self.relay.lift(None, queue_name))
        else:
            held = HeldQueue(name=queue_name, reason=wanted.reason, until=wanted.until)
            await told(self.relay.hold(held))


async def told(saying: Coroutine[Any, Any, None]) -> str | None:
    """What the relay said where it did not follow."""
    try:
        async with asyncio.timeout(RELAY_SECONDS):
            await saying
    except (Permanent, Transient, TimeoutError) as error:
        sentence = str(error) or f"The relay did not answer within {RELAY_SECONDS:.0f} seconds."
        log.warning("a relay did not follow", error=sentence)
        return f"{sentence} It is told again every minute."
    return None
