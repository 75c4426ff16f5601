"""What the workflow of a message and its steps tell each other. No address is in it: histories are
read by many."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.outbound.item import MessagePriority
from mailroom.models.outbound.item import SmtpResponse as SmtpResponse  # noqa: PLC0414
from mailroom.models.outbound.words import BounceType, MessageQueueStatus

OUTBOUND = "outbound"
"""Whose timeline messages are in."""


class Event(StrEnum):
    """Lines of a message's timeline."""

    SUBMITTED = "message.submitted"
    HELD = "message.held"
    ATTEMPTED = "message.attempted"
    DELIVERED = "message.delivered"
    RELAYED = "message.relayed"
    DEFERRED = "message.deferred"
    BOUNCED = "message.bounced"
    UNKNOWN = "message.unknown"
    COMPLAINT = "message.complaint"
    RETURNED = "message.returned"
    EXPIRED = "message.expired"
    SUSPENDED = "message.suspended"
    RESUMED = "message.resumed"
    REBOUND = "message.rebound"
    RETRIED = "message.retried"
    CANCELLED = "message.cancelled"
    PRIORITY = "message.priority"


class OutboundMessage(Frozen):
    """A message as its workflow gets it."""

    id: UUID
    queue_name: str
    tenant_id: str | None = None
    priority: MessagePriority
    weight: float = Field(default=1.0, gt=0, description="of the queue's share and rate")
    scheduled_at: AwareDatetime | None = None
    expires_at: AwareDatetime


class OutboundProgress(Frozen):
    """`held` by its queue's state; `relayed`: another server has taken it and tells us later;
    `unknown`: it may have been sent, and only a person has it sent again."""

    status: MessageQueueStatus = MessageQueueStatus.READY
    step: int = 0
    num_attempts: int = 0
    next_attempt_at: AwareDatetime | None = None
    held: bool = False
    relayed: bool = False
    unknown: bool = False
    reason: str | None = None


class OutboundInput(Frozen):
    message: OutboundMessage
    carried: OutboundProgress | None = None


class DeliverInput(Frozen):
    """`attempt` counts from 1 over the message's whole life."""

    id: UUID
    step: int
    attempt: int

    @property
    def marker(self) -> str:
        """The key of its send-once marker."""
        return f"outbound/{self.id}/{self.attempt}"


class Outcome(Frozen):
    """Where the message stands after a try, as it is written down."""

    status: MessageQueueStatus
    num_attempts: int
    next_attempt_at: AwareDatetime | None = None
    held: bool = False
    relayed: bool = False
    unknown: bool = False
    reason: str | None = None
    at: AwareDatetime | None = Field(default=None, description="before this nobody could know")


class Order(StrEnum):
    """What people and other steps say to a message's workflow."""

    SUSPEND = "suspend"
    RESUME = "resume"
    REBIND = "rebind"
    BOUNCE = "bounce"
    RETRY = "retry"
    CANCEL = "cancel"
    SET_PRIORITY = "set_priority"
    EXPIRE = "expire"
    WAKE = "wake"
    REPORTED = "reported"
    ADOPT = "adopt"


class Change(Frozen):
    """A message as an operation over many has left it. Of an older step it says nothing."""

    step: int
    status: MessageQueueStatus
    next_attempt_at: AwareDatetime | None = None
    queue_name: str
    priority: MessagePriority
    weight: float = 1.0
    reason: str | None = None


class Word(Frozen):
    order: Order
    reason: str | None = None
    queue_name: str | None = None
    priority: MessagePriority | None = None
    status: MessageQueueStatus | None = None
    change: Change | None = None
    at: AwareDatetime | None = None


class SettleMessage(Frozen):
    """A step that delivers nothing. Without a status it stays where it is."""

    id: UUID
    step: int
    event: Event
    status: MessageQueueStatus | None = None
    reason: str | None = None
    next_attempt_at: AwareDatetime | None = None
    bounce_classification: BounceType | None = None
    queue_name: str | None = Field(default=None, description="of a rebind")
    priority: MessagePriority | None = Field(default=None, description="of a set_priority")
    idle: bool = Field(default=False, description="no attempt is under way, whatever the row says")
    num_attempts: int = Field(default=0, description="of which the workflow knows")


class Settled(Frozen):
    """`followed` is False where a delivery is under way, or a report came first: `status` is then
    what it is."""

    status: MessageQueueStatus
    followed: bool
    weight: float = Field(default=1.0, description="of its queue, perhaps another by now")
    step: int = Field(default=0, description="the row's, where it was not followed")
