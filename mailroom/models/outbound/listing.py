"""What lists of outbound messages show, and in which order."""

import base64
import binascii
from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue

from mailroom.models.base import Frozen
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.suspensions import Suspension
from mailroom.models.outbound.words import MessageQueueStatus, QueueState


class Place(Frozen):
    """After which a page begins, the newest first."""

    created_at: AwareDatetime
    id: UUID

    @property
    def cursor(self) -> str:
        place = f"{self.created_at.isoformat()}/{self.id}"
        return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """Raises ValueError where it is none of ours."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        created_at, _, id = text.partition("/")
        return Place(created_at=datetime.fromisoformat(created_at), id=UUID(id))
    except (ValueError, binascii.Error) as error:
        raise ValueError("this is no cursor of ours") from error


class MessageEvent(Frozen):
    """A line of a message's timeline."""

    id: int
    type: str
    at: AwareDatetime
    detail: dict[str, JsonValue]


class QueueDepth(Frozen):
    """What waits in a queue; `last_error` is of the latest attempt that failed. `reason` and
    `until` are those of a state other than active."""

    queue_name: str
    waiting: int
    held: int
    oldest: AwareDatetime
    state: QueueState
    reason: str | None = None
    until: AwareDatetime | None = None
    last_error: str | None = None


class Overview(Frozen):
    messages_by_status: dict[MessageQueueStatus, int]
    queues: list[QueueDepth]


class MessagePage(Frozen):
    """`next_cursor` leads to the next page; None on the last. `total` is of the whole list: exact
    up to 10,000, beyond that an estimate."""

    items: list[MessageQueueItem]
    total: int
    total_is_exact: bool
    next_cursor: str | None = None


class MessageWithTimeline(Frozen):
    item: MessageQueueItem
    timeline: list[MessageEvent]
    suspensions: list[Suspension] = Field(
        default=[], description="what holds it whatever queue it is in, while it waits"
    )
