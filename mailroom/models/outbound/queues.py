"""Queues as a whole: what they may do, until when, and who said so."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from mailroom.models.base import Frozen
from mailroom.models.durations import LONGEST
from mailroom.models.outbound.metrics import DomainHealthScore
from mailroom.models.outbound.scopes import SuspensionScope
from mailroom.models.outbound.words import MessageQueueStatus, QueueState

Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[^\x00]*$", min_length=1, max_length=500),
]


class SetBy(StrEnum):
    """HEALTH is the circuit of the domain of that name."""

    OPERATOR = "operator"
    HEALTH = "health"


class CircuitState(StrEnum):
    OPEN = "open"
    HALF_OPEN = "half_open"


class QueueStanding(Frozen):
    """A queue that nobody said anything of is active. With a scope it is no queue, but what has
    this name there."""

    queue_name: str
    scope: SuspensionScope | None = None
    state: QueueState = QueueState.ACTIVE
    reason: str | None = None
    until: AwareDatetime | None = None
    ends_in: timedelta | None = Field(default=None, description="by the store's clock")
    set_by: SetBy | None = None
    openings: int = Field(default=0, ge=0, description="of its circuit, one after the other")

    @property
    def circuit(self) -> CircuitState | None:
        """One that is half open ends with its probe, at no known time."""
        if self.set_by is not SetBy.HEALTH or self.state is not QueueState.SUSPENDED:
            return None
        return CircuitState.OPEN if self.until else CircuitState.HALF_OPEN


def _in_future(until: datetime) -> datetime:
    now = datetime.now(UTC)
    if until <= now:
        raise ValueError("this moment has passed; name one that is to come")
    if until - now > LONGEST:
        raise ValueError(f"it is too far away; {LONGEST.days} days are the most")
    return until


End = Annotated[AwareDatetime, AfterValidator(_in_future)]


class SetState(Frozen):
    """What an operator wants of a queue; afterwards it is active by itself."""

    state: QueueState
    reason: Reason
    until: End | None = None


class QueueView(Frozen):
    queue_name: str
    state: QueueState
    reason: str | None = None
    until: AwareDatetime | None = None
    set_by: SetBy | None = None
    circuit: CircuitState | None = None
    depth: dict[MessageQueueStatus, int] = Field(description="messages that have not ended")


class DomainHealth(DomainHealthScore):
    """With what is behind the score. `results` fade: half as many after each half-life."""

    results: float
    block_rate: float
    deferral_rate: float
    scored_at: AwareDatetime | None = None
    circuit: CircuitState | None = None
    circuit_reason: str | None = None
    circuit_until: AwareDatetime | None = None


class DomainCursor(Frozen):
    """Where a page of domains ended; the worst come first."""

    score: float = Field(ge=0, le=100)
    domain: str

    @classmethod
    def of(cls, text: str) -> Self:
        """ValueError where it is none of ours."""
        score, _, domain = text.partition("/")
        if not domain or "\0" in domain:
            raise ValueError("This is no cursor; take `next_cursor` of the page before.")
        return cls(score=float(score), domain=domain)

    def __str__(self) -> str:
        return f"{self.score!r}/{self.domain}"


class HealthThen(Frozen):
    """How a domain stood at the end of an hour."""

    hour: AwareDatetime
    score: float
    bounce_rate: float
    results: float


class QueueRef(Frozen):
    """Which queue a workflow looks after, or which domain, campaign, tenant or pool; its state is
    in the store."""

    queue_name: str
    scope: SuspensionScope | None = None


class Ended(QueueRef):
    """The suspension that was to end at this moment, and no later one."""

    until: AwareDatetime


class Place(Frozen):
    """How far a release has come; the queue's own messages first, then others to its domain."""

    others: bool = False
    after: UUID | None = None
    woken: int = 0


class Release(QueueRef):
    place: Place = Place()
    done: bool = False

    def moved(self, page: Sequence[UUID]) -> Self:
        """After these were woken. Where there are none, the others come, or it is done."""
        place = self.place
        if page:
            place = place.model_copy(update={"after": page[-1], "woken": place.woken + len(page)})
        elif not place.others and self.scope is None:
            place = Place(others=True, woken=place.woken)
        else:
            return self.model_copy(update={"done": True})
        return self.model_copy(update={"place": place})


class Probe(Frozen):
    """Whether a message that waited is the probe, and when another one is offered."""

    woken: bool
    again_after: timedelta


class HealthRun(Frozen):
    """What one look at all domains did."""

    results: int = 0
    domains: int = 0
    opened: int = 0
    judged: int = 0
    woken: int = 0
    mirrored: int = Field(default=0, description="suspensions said to a relay, or taken back")
