"""What a queue and a domain do, in figures (seed 004, section 2.1)."""

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.outbound.words import BounceType, MessageQueueStatus


class DomainHealthScore(Frozen):
    """Rates are percentages."""

    domain: str
    score: float = Field(ge=0, le=100)
    bounce_rate: float
    average_delivery_time: float = Field(description="seconds")
    last_successful_delivery: AwareDatetime | None = None
    throttle_rate: float | None = Field(default=None, description="messages per minute")


class QueueMetrics(Frozen):
    """Times and ages in seconds, sizes in bytes, rates in percent except `delivery_rate`."""

    total_messages: int
    messages_by_status: dict[MessageQueueStatus, int]

    average_queue_time: float
    average_delivery_time: float = Field(description="from creation to delivery")
    delivery_rate: float = Field(description="messages per hour")

    queue_depth: int
    queue_depth_by_domain: dict[str, int]
    queue_depth_by_campaign: dict[str, int]

    total_retries: int
    retry_rate: float
    bounce_rate: float
    bounces_by_type: dict[BounceType, int]

    domain_health_scores: dict[str, DomainHealthScore]

    messages_last_hour: int
    messages_last_24h: int
    messages_last_7d: int

    total_size_bytes: int
    oldest_message_age: float
    newest_message_age: float
