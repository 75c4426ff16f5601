"""Suspends and opens what operations mean as a whole (port `Holds`)."""

from dataclasses import dataclass
from datetime import UTC, datetime

from mailroom.adapters.postgres.queue_states import PostgresQueueStates
from mailroom.bridge.queue_flows import QueueFlows
from mailroom.bridge.suspending import Suspending
from mailroom.models.outbound.bulk import Scope
from mailroom.models.outbound.queues import SetState
from mailroom.models.outbound.scopes import SuspensionScope
from mailroom.models.outbound.words import QueueState


@dataclass(frozen=True)
class Holding:
    states: PostgresQueueStates
    flows: QueueFlows
    suspending: Suspending

    async def hold(self, scope: Scope, name: str, reason: str, until: datetime | None) -> None:
        if until and until <= datetime.now(UTC):
            return  # nothing worked for so long that it is over
        if scope is Scope.QUEUE:
            await self._set(name, SetState(state=QueueState.SUSPENDED, reason=reason, until=until))
        else:
            await self.suspending.hold(SuspensionScope(scope.value), name, reason, until)

    async def release(self, scope: Scope, name: str, reason: str) -> None:
        if scope is Scope.QUEUE:
            await self._set(name, SetState(state=QueueState.ACTIVE, reason=reason))
        else:
            await self.suspending.release(SuspensionScope(scope.value), name)

    async def _set(self, queue_name: str, wanted: SetState) -> None:
        await self.states.set(queue_name, wanted)
        await self.suspending.set_queue(queue_name, wanted)
        await self.flows.look_after(queue_name)
