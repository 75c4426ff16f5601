"""An operation over many messages, share by share; the rows first, then their workflows."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from activities.queue_release import for_all
from mailroom.models.outbound.bulk import (
    FOR_RELAYS,
    OperationProgress,
    OperationRef,
    OperationStatus,
    Reach,
    Reached,
    RelayOrder,
)
from mailroom.models.outbound.operations import QueueOperationResult
from mailroom.models.outbound.words import MessageQueueStatus, QueueOperationType
from mailroom.ports import Blobs, Permanent
from mailroom.ports.operations import Holds, OperatedFlows, OperationStore
from mailroom.ports.relay import RelayAdmin

BATCH = 500
# A share's end is in the workflow's history: there one sees how far it is.
SHARE = 10_000
# Others ask Temporal as well: bridges above all.
AT_ONCE = 3

_WHY_NOT = {
    Reach.MISSING: "there is no such message",
    Reach.ENDED: "it has ended; nothing changes that any more",
    Reach.RELAYED: "a relay has it and goes on by itself",
    Reach.EMPTY: "it has no content yet; PUT it to /queue/messages/{id}/content first",
    Reach.UNKNOWN: "it may have been sent already; to send it again, retry it by its ID",
    Reach.BUSY: "it is being delivered just now; try again when that has ended",
}
# Whether it follows is not known before its server has answered.
_TOLD = "it is being delivered just now and was told; it follows if that attempt fails"
_GOES_ON = (
    MessageQueueStatus.READY,
    MessageQueueStatus.DEFERRED,
    MessageQueueStatus.SCHEDULED,
)


@dataclass(frozen=True)
class QueueOperations:
    store: OperationStore
    flows: OperatedFlows
    holds: Holds
    blobs: Blobs
    relay: RelayAdmin | None = None

    @activity.defn
    async def plan_operation(self, ref: OperationRef) -> OperationProgress:
        return await self.store.plan(ref.id)

    @activity.defn
    async def ask_operator(self, ref: OperationRef) -> None:
        await self.store.enter(ref.id, OperationStatus.AWAITING_CONFIRMATION)

    @activity.defn
    async def begin_operation(self, ref: OperationRef) -> None:
        await self.store.enter(ref.id, OperationStatus.RUNNING)

    @activity.defn
    async def operate_on_share(self, ref: OperationRef) -> OperationProgress:
        """The next messages; `is_done` when there are no more."""
        progress = await self.store.told(ref.id, {}, (), {})
        at_relay = await self.order(ref) is not None
        until = progress.done + SHARE
        while progress.done < until and not activity.is_worker_shutdown():
            batch = await self.store.share(ref.id, BATCH, at_relay=at_relay)
            if not batch:
                break
            progress = await self.settled(ref, batch)
        return progress

    @activity.defn
    async def operate_on_whole(self, ref: OperationRef) -> OperationProgress:
        """A queue, domain, campaign, tenant or pool, in one word."""
        found = await self.store.whole(ref.id)
        if found is None:
            raise Permanent("This operation is about single messages.")
        whole, reason = found
        if ref.operation is QueueOperationType.SUSPEND:
            await self.holds.hold(whole.scope, whole.name, reason, whole.until)
        else:
            await self.holds.release(whole.scope, whole.name, reason)
        return await self.store.counted(ref.id, whole)

    @activity.defn
    async def tell_relay(self, ref: OperationRef) -> str | None:
        """What it has of these messages; a sentence where that could not be said."""
        order = await self.order(ref)
        if order is None or self.relay is None:
            return None
        try:
            if order.rebound:
                await self.relay.rebind(order.which, order.rebound, order.reason)
            else:
                await self.relay.bounce(order.which, order.reason)
        except Permanent as error:
            return f"What the relay has goes on: {error}"
        return None

    @activity.defn
    async def finish_operation(
        self, ref: OperationRef, status: OperationStatus, error: str | None
    ) -> QueueOperationResult:
        return await self.store.finish(ref.id, status, error)

    async def order(self, ref: OperationRef) -> RelayOrder | None:
        if self.relay is None or ref.operation not in FOR_RELAYS:
            return None
        return await self.store.order(ref.id)

    async def settled(self, ref: OperationRef, batch: Sequence[Reached]) -> OperationProgress:
        """Each has changed in the store; now their workflows hear of it."""
        told = await self.tell_all(ref, batch)
        changed = {one.id: _queue(one) for one in batch if one.reach is Reach.CHANGED}
        return await self.store.told(
            ref.id,
            changed,
            [one.id for one in batch if one.reach is Reach.SAME],
            {
                one.id: _TOLD if told.get(one.id) else _WHY_NOT[one.reach]
                for one in batch
                if one.reach in _WHY_NOT
            },
        )

    async def tell_all(self, ref: OperationRef, batch: Sequence[Reached]) -> dict[UUID, bool]:
        """Of those that are being delivered just now, whether their workflow was told."""
        if ref.operation is QueueOperationType.PURGE:
            await self.remove(ref, batch)
            return {}
        orphans = await self.adopted([one for one in batch if one.reach is Reach.CHANGED])
        for lost in await self.store.orphans(orphans) if orphans else ():
            await self.flows.take_up(lost)
        busy = [one.id for one in batch if one.reach is Reach.BUSY]
        words = await self.store.words(ref.id) if busy else None
        if words is None:
            return {}
        return {id: await self.flows.tell(id, ref.operation.value, *words) for id in busy}

    async def adopted(self, changed: Sequence[Reached]) -> list[UUID]:
        """Those that should go on and that no workflow looks after."""
        orphans: list[UUID] = []

        async def tell(one: Reached) -> None:
            assert one.change is not None
            running = await self.flows.adopt(one.id, one.change, due_later=one.due_later)
            if not running and one.change.status in _GOES_ON:
                orphans.append(one.id)

        await for_all(tell, changed, AT_ONCE)
        return orphans

    async def remove(self, ref: OperationRef, batch: Sequence[Reached]) -> None:
        """The rows are gone; now workflows and bodies."""
        purged = [one for one in batch if one.reach is Reach.CHANGED]

        async def end(one: Reached) -> None:
            await self.flows.end(one.id, f"purged by the operation {ref.id}")

        await for_all(end, purged, AT_ONCE)
        for blob in await self.store.unused({one.blob for one in purged if one.blob}):
            await self.blobs.discard(blob)


def _queue(one: Reached) -> str:
    return one.change.queue_name if one.change else one.queue_name
