"""Letters as people and agents get to see them, and figures about them."""

import base64
import binascii
import json
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from mailroom.models.agent_mail import Channel, Delivery, LetterState, Priority
from mailroom.models.base import Frozen

LARGEST_NUMBER = 2**63 - 1


class LetterRow(BaseModel):
    """A letter as it stands now. `body` is None in lists where it is long: the letter by itself
    has it."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    id: str
    sender: str = Field(alias="from")
    to: str
    subject: str
    body: str | None
    priority: Priority
    delivery: Delivery
    status: LetterState
    reason: str | None
    thread_id: str
    reply_to: str | None
    pinned: bool
    strategy: str | None
    channel: Channel | None = Field(description="how it arrived")
    session_id: str | None
    attempts: int
    sent_at: AwareDatetime
    expires_at: AwareDatetime | None
    last_attempt: AwareDatetime | None
    retry_at: AwareDatetime | None
    delivered_at: AwareDatetime | None
    read_at: AwareDatetime | None
    acknowledged_at: AwareDatetime | None


class LetterPage(BaseModel):
    """`next_cursor` leads to the next page; None on the last."""

    items: list[LetterRow]
    next_cursor: int | None


class InboxCursor(Frozen):
    """A place in an inbox: after which letter the next page begins."""

    pinned: bool
    rank: int = Field(ge=0, le=3)
    sent_at: AwareDatetime
    number: int = Field(ge=1, le=LARGEST_NUMBER)

    def text(self) -> str:
        raw = self.model_dump_json().encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    @classmethod
    def of(cls, text: str) -> "InboxCursor":
        """Raises ValueError where it is none of ours."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return cls.model_validate(json.loads(raw))
        except (binascii.Error, ValidationError, ValueError, RecursionError) as error:
            raise ValueError("This cursor is none of a page before; leave it out.") from error


class InboxPage(BaseModel):
    items: list[LetterRow]
    next_cursor: str | None


class LetterFilter(Frozen):
    """Every condition that is given must hold. `mine`: only letters to or from this address."""

    to: str | None = None
    sender: str | None = None
    statuses: tuple[LetterState, ...] = ()
    priorities: tuple[Priority, ...] = ()
    search: str | None = None
    unread: bool = False
    thread: str | None = None
    mine: str | None = None


class LetterEvent(Frozen):
    """A line of a letter's timeline."""

    id: int
    type: str
    at: AwareDatetime
    detail: dict[str, Any]


class QueuedLetter(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)

    id: str
    sender: str = Field(alias="from")
    to: str
    subject: str
    priority: Priority
    status: LetterState
    attempts: int
    last_attempt: AwareDatetime | None
    queued_at: AwareDatetime
    retry_at: AwareDatetime | None
    error: str | None


class QueueView(Frozen):
    total: int
    items: list[QueuedLetter]


class Queues(Frozen):
    """`inbound` waits in inboxes, `outbound` for its next try, `dead_letter` for a person."""

    enabled: bool
    inbound: QueueView
    outbound: QueueView
    dead_letter: QueueView


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class MailboxRow(Frozen):
    address: str
    online: bool
    sessions: int
    queued: int
    unread: int
    dead_letters: int
    circuit: CircuitState
    last_active_at: AwareDatetime | None


class Percentiles(Frozen):
    """Seconds; None where nothing was measured."""

    p50: float | None
    p95: float | None


class QueueDepth(Frozen):
    """`oldest`: when the letter that has waited longest was sent."""

    address: str
    queued: int
    oldest: AwareDatetime


class StrategyFigures(Frozen):
    strategy: str
    letters: int
    delivered: int
    delivery_seconds: Percentiles
    acknowledge_seconds: Percentiles


class LetterFigures(Frozen):
    """`failed` became dead letters or expired. `events` counts since the beginning."""

    success_rate: float | None
    delivered: int
    failed: int
    delivery_seconds: Percentiles
    acknowledge_seconds: Percentiles
    queue_depths: list[QueueDepth]
    events: dict[str, int]
    strategies: list[StrategyFigures]


class LetterCounts(Frozen):
    """For gauges; letters that have arrived or ended are counted as events."""

    letters: dict[LetterState, int]
    sessions: int
    circuits_open: int
    events: dict[str, int]

    @property
    def waiting(self) -> int:
        return sum(self.letters[one] for one in self.letters if one != LetterState.DEAD_LETTER)
