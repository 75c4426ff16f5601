"""A letter from one agent to another: what it says, how it is to be delivered, where it stands."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.letter_words import Delivery as Delivery  # noqa: PLC0414  names of here, too
from mailroom.models.letter_words import LetterState as LetterState  # noqa: PLC0414
from mailroom.models.letter_words import Priority as Priority  # noqa: PLC0414

MOST_SUBJECT, MOST_ADDRESS = 500, 200
"""Characters."""
INLINE_BYTES = 32 * 1024
"""A body that is longer goes by reference: histories hold 2 MiB at most."""

WAITING = (LetterState.QUEUED, LetterState.RETRYING)
ARRIVED = (LetterState.DELIVERED, LetterState.ACKNOWLEDGED)
ENDED = (*ARRIVED, LetterState.EXPIRED, LetterState.DISCARDED)


def no_nul(text: str) -> str:
    return text.replace("\0", "")


Said = Annotated[str, AfterValidator(no_nul)]


class Letter(Frozen):
    """As its workflow gets it: for one recipient, rules applied, `delivery` decided. A long body
    is in the blob store."""

    id: str = Field(pattern=r"\A[0-9a-f]{32}\z")
    sender: str
    to: str
    subject: Said = ""
    body: Said | None = ""
    blob: str | None = None
    priority: Priority = Priority.NORMAL
    delivery: Delivery = Delivery.QUEUE
    reply_to: str | None = None
    thread: str
    pinned: bool = False
    sent_at: AwareDatetime
    not_before: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    strategy: str | None = Field(default=None, description="the arm of an experiment")
    channel: str | None = None
    source: str | None = Field(default=None, description="where it came from, if not by HTTP")


class Terms(Frozen):
    """How hard a letter is tried, decided when it is sent. Retries come after the first try."""

    retries: int = Field(default=3, ge=0)
    retry_after: timedelta = Field(default=timedelta(minutes=5), description="doubling")
    confirm_within: timedelta = timedelta(seconds=5)
    confirm_retries: int = Field(default=3, ge=0)
    confirm_pause: timedelta = Field(default=timedelta(seconds=1), description="doubling")
    confirm_longest_pause: timedelta = timedelta(seconds=10)
    acknowledge_within: timedelta | None = Field(
        default=None, description="of a letter that escalates; None for one that does not"
    )
    confirm_backoff: float = Field(default=2.0, ge=1)
    queue_ttl: timedelta | None = Field(
        default=timedelta(hours=24), description="how long it waits for somebody to come"
    )


class Channel(StrEnum):
    """By which a letter arrived."""

    SESSION = "session"
    TMUX = "tmux"
    WEBHOOK = "webhook"
    COMMAND = "command"
    INBOX = "inbox"


class Result(StrEnum):
    """Of an attempt. `waits`: nobody is there; `unanswered`: somebody is, and did not take it;
    `pending`: it was pushed, and is not confirmed yet."""

    ARRIVED = "arrived"
    WAITS = "waits"
    UNANSWERED = "unanswered"
    DEAD = "dead"
    PENDING = "pending"


class Attempt(Frozen):
    result: Result
    state: LetterState
    session_id: str | None = None
    channel: Channel | None = None
    error: str | None = None


def retry_pause(terms: Terms, retry: int) -> timedelta:
    """Before the first retry, the second, ..."""
    return terms.retry_after * (1 << (retry - 1))


def resolved_delivery(wanted: Delivery, priority: Priority) -> Delivery:
    """What `auto` means for a letter."""
    if wanted is not Delivery.AUTO:
        return wanted
    return Delivery.INTERRUPT if priority.interrupts else Delivery.QUEUE


def nearer(a: datetime | None, b: datetime | None) -> datetime | None:
    """The earlier of two moments, of which either may be none."""
    return min((each for each in (a, b) if each is not None), default=None)


def event_owner(address: str) -> str:
    """Whose timeline an agent's events are in."""
    return f"agent/{address}"


class Event(StrEnum):
    """On a letter's timeline; the first eight are seed 002's."""

    ROUTED = "message.routed"
    ROUTING_FAILED = "message.routing_failed"
    ROUTING_ERROR = "message.routing_error"
    QUEUED = "message.queued"
    REGISTERED = "session.registered"
    UNREGISTERED = "session.unregistered"
    PROCESSING_STARTED = "queue.processing_started"
    PROCESSING_COMPLETED = "queue.processing_completed"
    DELIVERING = "message.delivering"
    READ = "message.read"
    ACKNOWLEDGED = "message.acknowledged"
    ESCALATED = "message.escalated"
    NOTIFIED = "message.notified"
    DEAD = "message.dead_letter"
    EXPIRED = "message.expired"
    DISCARDED = "message.discarded"
    REPLAYED = "message.replayed"


class Move(Frozen):
    """A letter's next state, as its workflow has it. `waits`: its workflow rests and has to be
    told what happens to the letter."""

    id: str
    step: int
    state: LetterState
    event: Event
    reason: Said | None = None
    attempts: int = 0
    retry_at: AwareDatetime | None = None
    waits: bool = False
    channel: Channel | None = None


class Placing(Frozen):
    """How a letter is put into the inbox. `attempt` is how often this step has been tried before;
    `trying`: somebody is there besides sessions; `all_sessions`, or one after the other."""

    letter: Letter
    step: int
    attempt: int = 0
    push: bool = True
    trying: bool = False
    all_sessions: bool = False
    by_priority: bool = True
    circuit_opens: int = 5


class Placed(Frozen):
    """`events` were pushed to sessions. While the circuit is not closed nothing is pushed."""

    state: LetterState
    read: bool
    events: tuple[int, ...] = ()
    paused: bool = False
    failures: int = 0
    opened_at: AwareDatetime | None = None
    probing_since: AwareDatetime | None = None


class LetterOutcome(Frozen):
    """What has become of a letter so far."""

    id: str
    to: str
    status: LetterState
    session_id: str | None
    error: str | None


class Waiting(Frozen):
    """A letter in the inbox whose workflow rests."""

    id: str
    sender: str
    subject: str
    priority: Priority
    delivery: Delivery
    body: str | None
    blob: str | None
    thread: str
    reply_to: str | None
    sent_at: AwareDatetime
    channel: str | None
    strategy: str | None
    notified: bool


class News(StrEnum):
    """What a letter's workflow is told while it rests."""

    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    UNANSWERED = "unanswered"
    BURIED = "buried"
    DISCARDED = "discarded"
    REPLAYED = "replayed"


class Heard(Frozen):
    news: News
    text: str | None = None


class LetterProgress(Frozen):
    """Where a letter's workflow stands, as `status` says it and a later run begins with it.
    `attempts` are those that failed."""

    state: LetterState = LetterState.QUEUED
    attempts: int = 0
    step: int = 0
    error: str | None = None
    session_id: str | None = None
    resting: bool = False
    rests_until: AwareDatetime | None = None
    escalations: int = 0
    began_at: AwareDatetime | None = None


class AgentMailInput(Frozen):
    letter: Letter
    terms: Terms = Terms()
    carried: LetterProgress | None = None


class DeliverInput(Frozen):
    letter: Letter
    terms: Terms
    step: int
    attempts: int
    expired: bool = False
    pushed: bool = Field(default=False, description="by the same attempt, a moment ago")


class SettleInput(Frozen):
    move: Move
    to: str


class EscalateInput(Frozen):
    """`escalation` counts from 1: the first nudges again, the second texts the owner."""

    letter: Letter
    escalation: int


class TellOverseerInput(Frozen):
    letter: Letter
    reason: str
    dead: bool = False


class DrainInput(Frozen):
    """`gathers`: others that come within a moment go along."""

    address: str
    gathers: bool = False
    within: timedelta = timedelta(seconds=1)


class Drained(Frozen):
    processed: int = 0
    left: int = 0


class ScanInput(Frozen):
    priorities: tuple[Priority, ...]
