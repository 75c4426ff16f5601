"""Records of the old queue made into messages of the new one, and back again.

What the new model has no field for is kept in `metadata`: `notes` and `customer_name` where the
adapter of seed 004, section 4.2 looks for them, and under `legacy` the record as it was, which
nothing that happens to the message changes.
"""

import json
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from pydantic import JsonValue

from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.legacy import STATUS_MAPPING, QueueItem, adapt_message_to_legacy_queue
from mailroom.models.outbound.legacy_check import mailbox, moment
from mailroom.models.outbound.transitions import ENDED
from mailroom.models.outbound.words import MessageQueueStatus as S

NO_CONTENT = "no content: it came from the old queue; PUT /queue/messages/{id}/content supplies it"

# Old IDs were text. One that is no UUID gets the same UUID wherever it comes from.
_OLD_IDS = UUID("0c5e6e3a-54d5-4d7c-9a5d-0a3b6f0d6c11")


def uuid_of(old_id: str) -> UUID:
    try:
        return UUID(old_id)
    except ValueError:
        return uuid5(_OLD_IDS, old_id)


def message_of(item: QueueItem, sender: str) -> MessageQueueItem:
    """Field by field, as section 3 maps them. An estimate counted from the record's last change;
    only what waits has a next attempt."""
    created, updated = moment(item.createdAt), moment(item.updatedAt)
    status = STATUS_MAPPING[item.status]
    recipient, domain = mailbox(item.customerEmail)
    return MessageQueueItem(
        id=uuid_of(item.id),
        message_id=f"<legacy.{uuid_of(item.id)}@{sender.rpartition('@')[2]}>",
        queue_name=domain,
        recipient=recipient,
        sender=sender,
        domain=domain,
        campaign_id=item.serviceType or None,
        tenant_id=item.customerId or None,
        status=status,
        priority=item.priority,
        size_bytes=0,
        next_attempt_at=(
            updated + timedelta(minutes=item.estimatedWaitTime) if status is S.READY else None
        ),
        created_at=created,
        delivered_at=_delivered(item, created, updated) if status is S.DELIVERED else None,
        metadata={
            "notes": item.notes,
            "customer_name": item.customerName,
            "legacy": item.model_dump(mode="json", exclude_unset=True),
        },
    )


def without_content(message: MessageQueueItem) -> MessageQueueItem:
    """As it is imported. What had ended stays so; the rest can't be delivered, nor will it be
    tried, until somebody supplies its content. Where it stood is kept as `mapped`."""
    if message.status in ENDED:
        return message
    planned = message.next_attempt_at
    mapped: dict[str, JsonValue] = {"status": message.status.value}
    if planned:
        mapped["next_attempt_at"] = planned.isoformat()
    return message.model_copy(
        update={
            "status": S.SUSPENDED,
            "next_attempt_at": None,
            "last_bounce_reason": NO_CONTENT.replace("{id}", str(message.id)),
            "metadata": (message.metadata or {}) | {"mapped": mapped},
        }
    )


def record_of(message: MessageQueueItem) -> dict[str, JsonValue] | None:
    """The old record that a message was made of; None of one that did not come from there."""
    kept = (message.metadata or {}).get("legacy")
    if not isinstance(kept, dict):
        return None
    # Whoever submits a message may give it any metadata.
    old_id = kept.get("id")
    return kept if isinstance(old_id, str) and uuid_of(old_id) == message.id else None


def actual_wait_minutes(message: MessageQueueItem) -> float | None:
    """Section 3.1: computed; None of what has not been delivered."""
    if message.delivered_at is None:
        return None
    return round((message.delivered_at - message.created_at).total_seconds() / 60, 3)


def legacy_view(message: MessageQueueItem, now: datetime) -> QueueItem:
    """What `/queue/legacy` shows: the adapter's fields, under the old ID, with the wait time that
    is computed."""
    more: dict[str, object] = {}
    if old := record_of(message):
        more["id"] = old["id"]
    waited = actual_wait_minutes(message)
    if waited is not None:
        more["actualWaitTime"] = waited
    return adapt_message_to_legacy_queue(message, now).model_copy(update=more)


def as_text(record: JsonValue) -> str:
    """A record as it is kept: the same fields in the same order."""
    return json.dumps(record, allow_nan=False)


def _delivered(item: QueueItem, created: datetime, updated: datetime) -> datetime:
    if item.actualWaitTime is not None:
        return created + timedelta(minutes=item.actualWaitTime)
    return max(created, updated)
