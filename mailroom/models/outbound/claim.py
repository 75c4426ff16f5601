"""What the store and a delivery tell each other."""

from uuid import UUID

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.outbound.item import DEFAULT_MAX_ATTEMPTS, SmtpResponse
from mailroom.models.outbound.message import Event
from mailroom.models.outbound.parcel import Parcel
from mailroom.models.outbound.words import BounceType, DeliveryProtocol, MessageQueueStatus


class Claim(Frozen):
    """A message that is to be delivered now, or where it stands without that: it has ended, this
    attempt was written down before, its queue holds it, its recipient is suppressed."""

    status: MessageQueueStatus
    parcel: Parcel | None = Field(default=None, description="None: it is not delivered")
    blob: str | None = None
    size_bytes: int = 0
    num_attempts: int = 0
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    next_attempt_at: AwareDatetime | None = None
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    relayed: bool = False
    expired: bool = False
    held: str | None = Field(default=None, description="why its queue holds it")
    suppressed: str | None = Field(default=None, description="why its recipient gets no mail")
    reason: str | None = None


class Attempted(Frozen):
    """An attempt, as it is written down."""

    id: UUID
    step: int
    attempt: int
    status: MessageQueueStatus
    event: Event
    reason: str | None = None
    bounce_classification: BounceType | None = None
    response: SmtpResponse | None = None
    next_attempt_at: AwareDatetime | None = None
    protocol: DeliveryProtocol = DeliveryProtocol.SMTP
    relayed: bool = False
    suppress: str | None = Field(default=None, description="why its recipient gets no more mail")
    suppressed: bool = Field(default=False, description="it was no attempt: nobody was asked")
    of_domain: bool = Field(default=True, description="a result of the recipient's domain")
