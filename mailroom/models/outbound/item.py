"""One message in the outbound queue: the 31 fields of seed 004, section 1."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue

from mailroom.models.base import Frozen
from mailroom.models.outbound.words import (
    BounceType,
    DeliveryProtocol,
    MessageQueueStatus,
    QueueState,
)

DEFAULT_PRIORITY, DEFAULT_MAX_ATTEMPTS = 5, 20

MessagePriority = Annotated[int, Field(ge=0, le=10, description="higher is more urgent")]
Attempts = Annotated[int, Field(ge=1, le=1_000)]


class SmtpResponse(Frozen):
    """What a server answered, in a form that programs can read."""

    code: int = Field(description="such as 250, 421, 550")
    message: str
    enhanced_code: str | None = Field(default=None, description="RFC 3463, such as 5.1.1")
    timestamp: AwareDatetime


class MessageQueueItem(Frozen):
    """Names, optionality and defaults are the seed's; optional fields are left out where there is
    nothing to say."""

    id: UUID
    message_id: str = Field(description="the Message-ID header")
    queue_name: str = Field(description="the recipient's domain, unless another was given")

    recipient: str
    sender: str = Field(description="envelope sender")
    domain: str = Field(description="of the recipient")
    routing_domain: str | None = Field(default=None, description="goes there instead")

    campaign_id: str | None = None
    tenant_id: str | None = None
    pool_name: str | None = None

    status: MessageQueueStatus
    queue_state: QueueState = QueueState.ACTIVE
    priority: MessagePriority = DEFAULT_PRIORITY

    size_bytes: int = Field(ge=0)
    num_attempts: int = Field(default=0, ge=0)
    max_attempts: Attempts = DEFAULT_MAX_ATTEMPTS
    last_attempt_at: AwareDatetime | None = None
    next_attempt_at: AwareDatetime | None = None

    last_bounce_reason: str | None = None
    bounce_classification: BounceType | None = None

    created_at: AwareDatetime
    scheduled_at: AwareDatetime | None = None
    delivered_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None

    smtp_response: SmtpResponse | None = None
    delivery_protocol: DeliveryProtocol | None = DeliveryProtocol.SMTP

    headers: dict[str, str] | None = Field(default=None, description="From, To, Subject and others")
    body_hash: str | None = Field(default=None, description="SHA-256 of the body")
    attachment_count: int | None = Field(default=0, ge=0)

    tags: list[str] | None = None
    metadata: dict[str, JsonValue] | None = None
