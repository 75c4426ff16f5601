"""What operators' words, and the end of a message's time, do to it: pure rules."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from mailroom.models.outbound.message import (
    Event,
    Order,
    OutboundProgress,
    Outcome,
    SettleMessage,
    Word,
)
from mailroom.models.outbound.words import BounceType, MessageQueueStatus
from mailroom.models.text import one_line

S = MessageQueueStatus

LONGEST_REASON, LONGEST_NAME = 500, 255
# A relay that has a message is not ours to command.
NOT_OF_RELAYED = (Order.SUSPEND, Order.RETRY, Order.REBIND)
_PRIORITIES = {10: 1, 9: 1, 8: 2, 7: 2, 6: 3, 5: 3, 4: 3, 3: 4, 2: 4, 1: 5, 0: 5}
EVENTS: Mapping[Order, Event] = {
    Order.SUSPEND: Event.SUSPENDED,
    Order.RESUME: Event.RESUMED,
    Order.REBIND: Event.REBOUND,
    Order.BOUNCE: Event.BOUNCED,
    Order.RETRY: Event.RETRIED,
    Order.CANCEL: Event.CANCELLED,
    Order.SET_PRIORITY: Event.PRIORITY,
    Order.EXPIRE: Event.EXPIRED,
}


def temporal_priority(priority: int) -> int:
    """Ours is higher for what is more urgent, Temporal's is lower."""
    return _PRIORITIES[priority]


def changes_nothing(word: Word, progress: OutboundProgress) -> bool:
    """What may have been sent goes on by `retry` alone, not when many are resumed."""
    if progress.relayed and word.order in NOT_OF_RELAYED:
        return True
    if word.order is Order.RESUME:
        return progress.status is not S.SUSPENDED or progress.unknown
    return word.order is Order.SUSPEND and progress.status is S.SUSPENDED


def still_meant(word: Word, outcome: Outcome) -> bool:
    """Whoever said `retry` while an attempt was under way did not know that it would end without
    an answer: what may have been sent is sent again by those alone who can know that."""
    if word.order is not Order.RETRY or not outcome.unknown:
        return True
    return word.at is None or outcome.at is None or word.at >= outcome.at


def as_said(text: str, longest: int) -> str:
    """From people, and from any tool: what neither PostgreSQL nor a list can hold is left out."""
    return one_line(text[: 4 * longest], longest)


def step_of(id: UUID, word: Word, progress: OutboundProgress, now: datetime) -> SettleMessage:
    """What is written down where a word is followed."""
    step = SettleMessage(
        id=id,
        step=progress.step + 1,
        event=EVENTS[word.order],
        reason=word.reason,
        next_attempt_at=progress.next_attempt_at,
        num_attempts=progress.num_attempts,
    )
    return step.model_copy(update=_changes(word, progress, now))


def _changes(word: Word, progress: OutboundProgress, now: datetime) -> dict[str, object]:
    ended: dict[str, object] = {"next_attempt_at": None}
    changes: dict[Order, dict[str, object]] = {
        Order.SUSPEND: {"status": S.SUSPENDED},
        Order.RESUME: {"status": _resumed(progress, now)},
        Order.REBIND: {"queue_name": word.queue_name},
        Order.SET_PRIORITY: {"priority": word.priority},
        Order.RETRY: {"status": S.READY, **ended},
        Order.CANCEL: {"status": S.CANCELLED, **ended},
        Order.BOUNCE: {
            "status": S.BOUNCED,
            "bounce_classification": BounceType.UNKNOWN,
            **ended,
        },
        Order.EXPIRE: {"status": S.EXPIRED, "reason": _why_expired(progress), **ended},
    }
    return changes[word.order]


def _resumed(progress: OutboundProgress, now: datetime) -> MessageQueueStatus:
    at = progress.next_attempt_at
    if at is None or at <= now:
        return S.READY
    return S.DEFERRED if progress.num_attempts else S.SCHEDULED


def _why_expired(progress: OutboundProgress) -> str:
    if progress.relayed:
        return "No report came in time; the relay may still deliver it."
    return progress.reason or "Its time was over before it could be delivered."
