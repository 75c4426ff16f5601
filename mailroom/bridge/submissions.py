"""Takes outbound messages: bytes once, then the row, then the workflow. Twice is once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from mailroom.adapters.postgres.message_intake import PostgresMessageIntake
from mailroom.bridge.message_flows import MessageFlows
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.content import Content, Unbuildable, built
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.message import OutboundMessage
from mailroom.models.outbound.submission import NewMessage
from mailroom.models.outbound.words import MessageQueueStatus, QueueState
from mailroom.ports import Blobs, Permanent
from mailroom.ports.outbound import Signer

AT_ONCE = 16
# The version of IDs that follow from an Idempotency-Key (RFC 9562 §5.5).
FROM_A_KEY = 5
REUSED = "This Idempotency-Key was used for another message; use a new one."
T = TypeVar("T")
R = TypeVar("R")


class Submitted(NamedTuple):
    """A message with its ID and the time at which it was handed over."""

    id: UUID
    new: NewMessage
    at: datetime

    @property
    def queue_name(self) -> str:
        return self.new.queue_name or self.domain

    @property
    def domain(self) -> str:
        return self.new.recipient.rpartition("@")[2]


class Refusal(NamedTuple):
    id: UUID
    why: str


@dataclass(frozen=True)
class Submissions:
    intake: PostgresMessageIntake
    flows: MessageFlows
    blobs: Blobs
    signer: Signer
    terms: OutboundSection
    unsubscribe_headers: Callable[[UUID], Mapping[str, str]]

    async def take(
        self, messages: Sequence[Submitted], *, atomic: bool = False, promised: bool = False
    ) -> list[Refusal]:
        """What could not be taken, and why; all else is durable, and on its way. `atomic`: nothing
        is taken where anything is refused. `promised`: they were accepted before, and a queue that
        was closed since then has them still."""
        queues = {one.queue_name for one in messages}
        closed = {} if promised else await self.intake.states(queues)
        found = await _each(lambda one: self._checked(one, closed), messages)
        refused = [one for one in found if isinstance(one, Refusal)]
        contents = [one for one in found if not isinstance(one, Refusal)]
        if atomic:
            refused += await self._taken_before([item for item, _ in contents])
        if refused and atomic:
            return refused
        blobs = await _each(lambda one: self.blobs.put(one[1].data), contents)
        rows = [(item, blob) for (item, _), blob in zip(contents, blobs, strict=True)]
        new = await self.intake.insert(rows) if rows else set()
        others = await self._taken_before([item for item, _ in rows if item.id not in new])
        wrong = {one.id for one in others}
        items = [item for item, _ in rows if item.id not in wrong]
        started = await _each(self._started, items)
        return [*refused, *others, *(one for one in started if one)]

    async def _taken_before(self, items: Sequence[MessageQueueItem]) -> list[Refusal]:
        """Those with the IDs of others. The same message again is the same message."""
        keyed = [item for item in items if item.id.version == FROM_A_KEY]
        return [Refusal(id, REUSED) for id in await self.intake.different(keyed)] if keyed else []

    async def give_content(self, item: MessageQueueItem, new: NewMessage) -> MessageQueueItem:
        """To a message that came without. Raises `Permanent`."""
        at = datetime.now(UTC)
        try:
            content = await self._built(Submitted(item.id, new, at))
        except Unbuildable as error:
            raise Permanent(str(error)) from error
        known = item.model_copy(
            update={
                **_of_content(content),
                "status": _status(item.scheduled_at, at),
                "expires_at": item.expires_at or at + self.terms.expires_after,
            }
        )
        if not await self.intake.give_content(known, await self.blobs.put(content.data)):
            raise Permanent("The message has its content already, or has ended.")
        await self.flows.start(self._message(known))
        return known

    async def _checked(
        self, one: Submitted, closed: Mapping[str, tuple[QueueState, str | None]]
    ) -> "Refusal | tuple[MessageQueueItem, Content]":
        state, why = closed.get(one.queue_name, (QueueState.ACTIVE, None))
        if not state.accepts:
            because = f": {why.rstrip('.')}" if why else ""
            return Refusal(
                one.id, f"The queue {one.queue_name} is {state} and takes no messages{because}."
            )
        if one.new.expires_at and one.new.expires_at <= one.at:
            return Refusal(one.id, "expires_at is over already.")
        try:
            content = await self._built(one)
        except (Unbuildable, Permanent) as error:
            return Refusal(one.id, str(error))
        return self._item(one, content), content

    async def _built(self, one: Submitted) -> Content:
        more = self.unsubscribe_headers(one.id) if one.new.campaign_id else {}
        # A large mail takes longer than the loop may be held up.
        large = one.new.raw is not None
        content = (
            await asyncio.to_thread(built, one.new, one.id, one.at, more)
            if large
            else built(one.new, one.id, one.at, more)
        )
        return content._replace(data=await self.signer.sign(content.data, content.from_domain))

    def _item(self, one: Submitted, content: Content) -> MessageQueueItem:
        new = one.new
        return MessageQueueItem(
            id=one.id,
            queue_name=one.queue_name,
            recipient=new.recipient,
            sender=new.sender,
            domain=one.domain,
            routing_domain=new.routing_domain,
            campaign_id=new.campaign_id,
            tenant_id=new.tenant_id,
            pool_name=new.pool_name,
            status=_status(new.scheduled_at, one.at),
            priority=new.priority,
            max_attempts=new.max_attempts or self.terms.max_attempts,
            next_attempt_at=new.scheduled_at,
            created_at=one.at,
            scheduled_at=new.scheduled_at,
            expires_at=new.expires_at
            or max(new.scheduled_at or one.at, one.at) + self.terms.expires_after,
            tags=new.tags,
            metadata=new.metadata,
            **_of_content(content),
        )

    async def _started(self, item: MessageQueueItem) -> Refusal | None:
        try:
            await self.flows.start(self._message(item))
        except Permanent as error:
            return Refusal(item.id, str(error))
        return None

    def _message(self, item: MessageQueueItem) -> OutboundMessage:
        assert item.expires_at is not None
        return OutboundMessage(
            id=item.id,
            queue_name=item.queue_name,
            tenant_id=item.tenant_id,
            priority=item.priority,
            weight=self.terms.weight(item.queue_name),
            scheduled_at=item.scheduled_at,
            expires_at=item.expires_at,
        )


def _status(scheduled_at: datetime | None, now: datetime) -> MessageQueueStatus:
    later = scheduled_at is not None and scheduled_at > now
    return MessageQueueStatus.SCHEDULED if later else MessageQueueStatus.READY


def _of_content(content: Content) -> dict[str, Any]:
    return {
        "message_id": content.message_id,
        "size_bytes": len(content.data),
        "headers": content.headers,
        "body_hash": content.body_hash,
        "attachment_count": content.attachment_count,
    }


async def _each(do: Callable[[T], Awaitable[R]], those: Sequence[T]) -> list[R]:
    """Some at a time, in their order."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(each: T) -> R:
        async with limit:
            return await do(each)

    return list(await asyncio.gather(*map(one, those)))
