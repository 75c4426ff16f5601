"""What the store and a delivery tell each other."""

from uuid import UUID

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.message import Event
from mailroom.models.outbound.parcel import Parcel
from mailroom.models.outbound.words import BounceType, DeliveryProtocol, MessageQueueStatus


class Claim(Frozen):
    """A message that is to be delivered. Without a parcel it is not: it has ended (`status`), its
    queue holds it (`held`, and why), or its recipient is suppressed."""

    status: MessageQueueStatus
    parcel: Parcel | None = None
    blob: str | None = None
    max_attempts: int = 20
    expires_at: AwareDatetime | None = None
    held: str | None = Field(default=None, description="why its queue holds it")
    suppressed: str | None = Field(default=None, description="why its recipient gets no mail")


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
