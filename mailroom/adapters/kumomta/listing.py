"""Queues and messages of KumoMTA in the words of seed 004, section 7.1."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from mailroom.adapters.kumomta.mirror import OF_QUEUE, is_about
from mailroom.adapters.kumomta.shapes import (
    InspectedMessage,
    QueueCounts,
    ReadyQueueSuspension,
    Suspension,
)
from mailroom.models.outbound.kumo_queues import KumoQueueName, Which
from mailroom.models.outbound.relay import (
    KumoMTAMessageDetails,
    KumoMTAQueue,
    RelayQueueState,
)


def listed(
    counts: QueueCounts,
    suspensions: Iterable[Suspension],
    ready_suspensions: Iterable[ReadyQueueSuspension],
) -> list[KumoMTAQueue]:
    """Scheduled and ready queues, those with the most messages first."""
    held, closed = list(suspensions), {one.name for one in ready_suspensions}
    scheduled = [
        queue(name, count, suspended=is_held(name, held))
        for name, count in counts.scheduled.items()
    ]
    ready = [queue(name, count, suspended=name in closed) for name, count in counts.ready.items()]
    return sorted([*scheduled, *ready], key=lambda one: (-one.message_count, one.name))


def queue(name: str, count: float, *, suspended: bool) -> KumoMTAQueue:
    state = RelayQueueState.SUSPENDED if suspended else RelayQueueState.ACTIVE
    return KumoMTAQueue(name=name, message_count=max(int(count), 0), state=state)


def is_held(queue_name: str, suspensions: Iterable[Suspension]) -> bool:
    name = KumoQueueName.of(queue_name)
    return any(_holds(one, queue_name, name) for one in suspensions)


def _holds(entry: Suspension, queue_name: str, name: KumoQueueName) -> bool:
    if entry.reason.startswith(OF_QUEUE):
        return is_about(entry) == Which(queue_names=(queue_name,))
    return name.is_meant(entry.campaign, entry.tenant, entry.domain)


def details(found: InspectedMessage) -> KumoMTAMessageDetails:
    message, meta = found.message, found.message.meta
    recipient = next(iter(message.recipient), "")
    return KumoMTAMessageDetails(
        id=found.id,
        queue=_text(meta.get("queue")) or _queue_of(recipient, meta),
        recipient=recipient,
        sender=message.sender,
        size=len((message.data or "").encode()),
        attempts=message.num_attempts or 0,
        next_attempt=message.due or datetime.now(UTC),
        message_id=_text(_ours(meta).get("mailroom_id")),
    )


def _queue_of(recipient: str, meta: dict[str, Any]) -> str:
    """Where its policy puts a message that has these meta items."""
    return str(
        KumoQueueName(
            domain=recipient.rpartition("@")[2],
            campaign=_text(meta.get("campaign")),
            tenant=_text(meta.get("tenant")),
            routing_domain=_text(meta.get("routing_domain")),
        )
    )


def _ours(meta: dict[str, Any]) -> dict[str, Any]:
    """What we gave it with the message."""
    extra = meta.get("extra")
    return extra if isinstance(extra, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
