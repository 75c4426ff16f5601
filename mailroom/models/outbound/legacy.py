"""The old queue (seed 004, sections 3 and 4, Appendix A): its record, its words, and a message of
the new one in its shape. All of it goes when the last client has moved (section 5, phase 6)."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

from pydantic import Field, JsonValue, StrictFloat, StrictInt, StrictStr
from typing_extensions import deprecated

from mailroom.models.base import Frozen
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.metrics import QueueMetrics
from mailroom.models.outbound.words import MessageQueueStatus as S

OLD = "The old queue's model goes; use MessageQueueItem and /queue/messages."

Number = StrictInt | StrictFloat


class LegacyStatus(StrEnum):
    WAITING = "waiting"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


@deprecated(OLD)
class QueueItem(Frozen, allow_inf_nan=False):
    """The 13 fields of Appendix A, and `actualWaitTime`. Wait times are minutes, times ISO 8601.
    Times stay the text that they were, so that a record can be given back as it came."""

    id: StrictStr
    customerId: StrictStr
    customerName: StrictStr
    customerEmail: StrictStr
    customerPhone: StrictStr
    serviceType: StrictStr
    priority: StrictInt = Field(ge=0, le=10, description="higher is more urgent")
    status: LegacyStatus
    notes: StrictStr
    estimatedWaitTime: Number = Field(description="minutes")
    actualWaitTime: Number | None = Field(default=None, description="minutes")
    createdAt: StrictStr
    updatedAt: StrictStr
    notificationsSent: list[JsonValue]


class LegacyMetrics(Frozen):
    """The five figures that the old queue showed, named as they were. Two have another meaning
    by section 3.3: `serviceUtilization` is messages per hour, times are seconds."""

    totalWaiting: int
    averageWaitTime: float
    longestWaitTime: float
    serviceUtilization: float
    customersServedToday: int


COMPUTED = "delivered_at - created_at"

FIELD_MAPPING: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "id": ("id",),
        "customerId": ("tenant_id",),
        "customerName": (),
        "customerEmail": ("recipient",),
        "customerPhone": (),
        "serviceType": ("campaign_id", "pool_name"),
        "priority": ("priority",),
        "status": ("status",),
        "notes": ("metadata.notes",),
        "estimatedWaitTime": ("next_attempt_at",),
        "actualWaitTime": (COMPUTED,),
        "createdAt": ("created_at",),
        "updatedAt": (),
        "notificationsSent": (),
    }
)
"""Section 3.1. What the new model has no field for stays in `metadata`."""

NEW_FIELDS = (
    "message_id",
    "sender",
    "domain",
    "num_attempts",
    "smtp_response",
    "bounce_classification",
)
"""Those of section 3.1 that the old record had nothing for."""

STATUS_MAPPING: Mapping[LegacyStatus, S] = MappingProxyType(
    {
        LegacyStatus.WAITING: S.READY,
        LegacyStatus.IN_PROGRESS: S.IN_DELIVERY,
        LegacyStatus.COMPLETED: S.DELIVERED,
        LegacyStatus.CANCELLED: S.CANCELLED,
    }
)
"""Section 3.2; the other five statuses are new."""

METRIC_MAPPING: Mapping[str, str] = MappingProxyType(
    {
        "totalWaiting": "messages_by_status.ready",
        "averageWaitTime": "average_queue_time",
        "longestWaitTime": "oldest_message_age",
        "serviceUtilization": "delivery_rate",
        "customersServedToday": "messages_last_24h",
    }
)
"""Section 3.3."""

_SHOWN: Mapping[S, LegacyStatus] = MappingProxyType(
    {
        S.READY: LegacyStatus.WAITING,
        S.SCHEDULED: LegacyStatus.WAITING,
        S.IN_DELIVERY: LegacyStatus.IN_PROGRESS,
        S.DELIVERED: LegacyStatus.COMPLETED,
        S.CANCELLED: LegacyStatus.CANCELLED,
        S.BOUNCED: LegacyStatus.CANCELLED,
        S.EXPIRED: LegacyStatus.CANCELLED,
    }
)


def adapt_status(status: S) -> LegacyStatus:
    """Section 4.2; what the old queue had no word for waits."""
    return _SHOWN.get(status, LegacyStatus.WAITING)


@deprecated(OLD)
def adapt_message_to_legacy_queue(message: MessageQueueItem, now: datetime) -> QueueItem:
    """Section 4.2, field by field. An estimate is negative once its time is over."""
    metadata = message.metadata or {}
    created = iso(message.created_at)
    return QueueItem(
        id=str(message.id),
        customerId=message.tenant_id or "",
        customerName=_text(metadata.get("customer_name")) or "N/A",
        customerEmail=message.recipient,
        customerPhone="",
        serviceType=message.campaign_id or "email",
        priority=message.priority,
        status=adapt_status(message.status),
        notes=_text(metadata.get("notes")),
        estimatedWaitTime=_minutes_until(message.next_attempt_at, now),
        createdAt=created,
        updatedAt=created,
        notificationsSent=[],
    )


def legacy_metrics(metrics: QueueMetrics) -> LegacyMetrics:
    """Section 3.3."""
    return LegacyMetrics(
        totalWaiting=metrics.messages_by_status.get(S.READY, 0),
        averageWaitTime=metrics.average_queue_time,
        longestWaitTime=metrics.oldest_message_age,
        serviceUtilization=metrics.delivery_rate,
        customersServedToday=metrics.messages_last_24h,
    )


def iso(moment: datetime) -> str:
    """As the old queue wrote times: 2025-11-01T10:00:00Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _minutes_until(moment: datetime | None, now: datetime) -> int:
    return math.ceil((moment - now).total_seconds() / 60) if moment else 0


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""
