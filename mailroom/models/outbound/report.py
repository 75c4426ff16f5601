"""What others say of a message after it left: a DSN, a complaint, a relay's log."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.words import BounceType, MessageQueueStatus


class ReportKind(StrEnum):
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    COMPLAINT = "complaint"

    @property
    def status(self) -> MessageQueueStatus | None:
        """Where the message stands then; a complaint changes nothing about that."""
        return None if self is ReportKind.COMPLAINT else MessageQueueStatus(self.value)


class ReportSource(StrEnum):
    DSN = "dsn"
    ARF = "arf"
    KUMOMTA = "kumomta"


class Report(Frozen):
    """`key` is the same for the same report, however often it comes. The message is known by its
    ID, or else by its Message-ID and recipient."""

    key: str
    kind: ReportKind
    source: ReportSource
    id: UUID | None = None
    message_id: str | None = Field(default=None, description="the Message-ID header")
    recipient: str | None = None
    at: AwareDatetime
    reason: str | None = None
    bounce_type: BounceType | None = None
    suppresses: bool | None = Field(
        default=None, description="the recipient gets no more mail; None: the response decides"
    )
    response: SmtpResponse | None = None
    num_attempts: int | None = None
