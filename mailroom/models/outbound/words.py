"""The words of seed 004 for messages, queues, bounces and operations."""

from enum import StrEnum


class MessageQueueStatus(StrEnum):
    """Where one message stands."""

    SCHEDULED = "scheduled"
    READY = "ready"
    IN_DELIVERY = "in_delivery"
    SUSPENDED = "suspended"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class QueueState(StrEnum):
    """Of a whole queue. `draining` delivers what it has and takes nothing new; `disabled` does
    neither."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DRAINING = "draining"
    DISABLED = "disabled"

    @property
    def accepts(self) -> bool:
        return self in (QueueState.ACTIVE, QueueState.SUSPENDED)

    @property
    def delivers(self) -> bool:
        return self in (QueueState.ACTIVE, QueueState.DRAINING)


class BounceType(StrEnum):
    HARD = "hard"
    SOFT = "soft"
    BLOCK = "block"
    COMPLAINT = "complaint"
    UNKNOWN = "unknown"


class DeliveryProtocol(StrEnum):
    SMTP = "smtp"
    HTTP = "http"


class QueueOperationType(StrEnum):
    SUSPEND = "suspend"
    RESUME = "resume"
    REBIND = "rebind"
    BOUNCE = "bounce"
    RETRY = "retry"
    CANCEL = "cancel"
    PURGE = "purge"
    SET_PRIORITY = "set_priority"


class QueueSortField(StrEnum):
    CREATED_AT = "created_at"
    SCHEDULED_AT = "scheduled_at"
    PRIORITY = "priority"
    NUM_ATTEMPTS = "num_attempts"
    SIZE_BYTES = "size_bytes"
    RECIPIENT = "recipient"
    DOMAIN = "domain"


class SortOrder(StrEnum):
    ASC = "asc"
    DESC = "desc"
