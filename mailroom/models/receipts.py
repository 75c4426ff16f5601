"""What a provider says became of a text. Receipts come in any order, and some never do."""

from datetime import datetime
from enum import StrEnum

from mailroom.models.base import Frozen


class TextStatus(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"

    @property
    def is_lost(self) -> bool:
        """Taken by the provider, and never to reach the phone."""
        return self in (TextStatus.UNDELIVERED, TextStatus.FAILED)

    @property
    def replaces(self) -> tuple["TextStatus", ...]:
        """What it may follow: a status never goes back, and the first end is the end."""
        match self:
            case TextStatus.QUEUED:
                return ()
            case TextStatus.SENT:
                return (TextStatus.QUEUED,)
            case _:
                return (TextStatus.QUEUED, TextStatus.SENT)


class Receipt(Frozen):
    """`error_code` is the provider's own."""

    provider_id: str
    status: TextStatus
    status_at: datetime
    error_code: str | None = None


class LostText(Frozen):
    """A text that was taken and not delivered; what it said is in the store."""

    provider_id: str
    status: TextStatus
    error_code: str | None = None
