"""Which messages are meant (seed 004, section 2.2)."""

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.outbound.item import MessagePriority
from mailroom.models.outbound.words import (
    BounceType,
    MessageQueueStatus,
    QueueSortField,
    QueueState,
    SortOrder,
)

DEFAULT_LIMIT, MOST = 50, 1_000


class QueueFilter(Frozen):
    """What is not given does not matter; of a list, one has to fit."""

    status: MessageQueueStatus | list[MessageQueueStatus] | None = None
    queue_state: QueueState | list[QueueState] | None = None

    domain: str | None = None
    domains: list[str] | None = None
    sender: str | None = None
    recipient: str | None = None
    routing_domain: str | None = None

    campaign_id: str | None = None
    tenant_id: str | None = None
    pool_name: str | None = None

    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None
    scheduled_after: AwareDatetime | None = None
    scheduled_before: AwareDatetime | None = None

    search_query: str | None = Field(default=None, description="in recipient, sender and subject")
    tags: list[str] | None = Field(default=None, description="all of them")

    min_attempts: int | None = Field(default=None, ge=0)
    max_attempts: int | None = Field(default=None, ge=0)
    bounce_type: BounceType | None = None

    min_size_bytes: int | None = Field(default=None, ge=0)
    max_size_bytes: int | None = Field(default=None, ge=0)
    priority: MessagePriority | None = None

    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MOST)
    offset: int = Field(default=0, ge=0)
    sort_by: QueueSortField = QueueSortField.CREATED_AT
    sort_order: SortOrder = SortOrder.DESC
