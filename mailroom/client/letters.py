"""Letters as they are sent and as they are seen (`POST /mail`, `GET /mail`)."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from mailroom.models.agent_mail import ARRIVED, WAITING, Delivery, LetterState, Priority
from mailroom.models.base import Frozen


class Theirs(BaseModel):
    """What the bridge says: a field that this client doesn't know yet is no error."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Message(Frozen):
    """A letter to be sent. The same message sent again to the same address, after an answer was
    lost, is the same letter: its `key` goes along as Idempotency-Key."""

    body: str = ""
    subject: str = ""
    priority: Priority = Priority.NORMAL
    delivery: Delivery = Delivery.AUTO
    ttl: timedelta | None = None
    reply_to: str | None = Field(default=None, description="the ID of a letter")
    pinned: bool = False
    channel: str | None = None
    id: str = Field(default_factory=lambda: uuid4().hex)

    def key(self, to: str) -> str:
        return hashlib.sha256(f"{self.id}\0{to}".encode(errors="replace")).hexdigest()

    def wire(self, to: str, sender: str | None, ttl: timedelta | None = None) -> dict[str, Any]:
        """The JSON of `POST /mail`; `ttl` is for one that says none itself."""
        ttl = self.ttl or ttl
        known = self.model_dump(mode="json", exclude={"ttl", "id"}, exclude_none=True)
        return {
            **known,
            "to": to,
            **({"from": sender} if sender else {}),
            **({"ttl_seconds": ttl.total_seconds()} if ttl else {}),
        }


class Letter(Theirs):
    """A letter of an inbox or a list. Those of an event have no state: they arrive just now."""

    id: str
    sender: str = Field(alias="from")
    to: str
    subject: str = ""
    body: str | None = None
    priority: Priority = Priority.NORMAL
    delivery: Delivery | None = None
    status: LetterState | None = None
    reason: str | None = None
    thread_id: str | None = None
    reply_to: str | None = None
    pinned: bool = False
    strategy: str | None = None
    channel: str | None = None
    session_id: str | None = None
    attempts: int = 0
    sent_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    last_attempt: AwareDatetime | None = None
    retry_at: AwareDatetime | None = None
    delivered_at: AwareDatetime | None = None
    read_at: AwareDatetime | None = None
    acknowledged_at: AwareDatetime | None = None


class SentLetter(Theirs):
    """One letter of what was sent: a group has one for each member."""

    id: str
    to: str
    status: LetterState
    session_id: str | None = None
    error: str | None = None


class Sent(Theirs):
    """`applied` are sentences of routing rules; `spooled`: Temporal or PostgreSQL is away, the
    bridge has kept it and sends it on by itself."""

    id: str
    status: LetterState
    session_id: str | None = None
    letters: tuple[SentLetter, ...] = ()
    applied: tuple[str, ...] = ()
    spooled: bool = False


class RouteStatus(StrEnum):
    DELIVERED = "delivered"
    OFFLINE = "offline"
    FAILED = "failed"


class RouteMessageResult(Frozen):
    """Of `route_message`. `offline` is a success: the letter waits, durably. `error` says of a
    letter that failed why, and of one that waits what its last attempt came to."""

    success: bool
    status: RouteStatus
    session_id: str | None = None
    error: str | None = None

    @classmethod
    def failed(cls, error: str) -> "RouteMessageResult":
        return cls(success=False, status=RouteStatus.FAILED, error=error)


def result_of(sent: Sent) -> RouteMessageResult:
    """Of several letters: the worst that became of one."""
    letters = sent.letters or (SentLetter(id=sent.id, to="", **_known(sent)),)
    status, worst = min(((_route_status(one.status), one) for one in letters), key=_goodness)
    return RouteMessageResult(
        success=status is not RouteStatus.FAILED,
        status=status,
        session_id=worst.session_id,
        error=worst.error or (f"It is {worst.status}." if status is RouteStatus.FAILED else None),
    )


def _known(sent: Sent) -> dict[str, Any]:
    return {"status": sent.status, "session_id": sent.session_id}


def _goodness(rated: tuple[RouteStatus, SentLetter]) -> int:
    return _WORST_FIRST.index(rated[0])


_WORST_FIRST: Sequence[RouteStatus] = (
    RouteStatus.FAILED,
    RouteStatus.OFFLINE,
    RouteStatus.DELIVERED,
)


def _route_status(state: LetterState) -> RouteStatus:
    if state in ARRIVED:
        return RouteStatus.DELIVERED
    if state in (*WAITING, LetterState.DELIVERING):
        return RouteStatus.OFFLINE
    return RouteStatus.FAILED
