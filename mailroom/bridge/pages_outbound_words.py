"""What the pages say of outbound messages: states, bars, the timeline as sentences. Pure."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from mailroom.bridge.pages_words import Line, Tone, clock
from mailroom.models.base import Frozen
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.listing import MessageEvent
from mailroom.models.outbound.message import Event
from mailroom.models.outbound.timeline_words import answer_of, told
from mailroom.models.outbound.words import BounceType, MessageQueueStatus, QueueState

_S, _E = MessageQueueStatus, Event

_TONES = {
    _S.SCHEDULED: Tone.CLOSED,
    _S.READY: Tone.WORKING,
    _S.IN_DELIVERY: Tone.WORKING,
    _S.SUSPENDED: Tone.WAITING,
    _S.DEFERRED: Tone.WAITING,
    _S.DELIVERED: Tone.SENT,
    _S.BOUNCED: Tone.FAILED,
    _S.EXPIRED: Tone.FAILED,
    _S.CANCELLED: Tone.CLOSED,
}
_LINES: Mapping[str, Tone] = {
    _E.DELIVERED: Tone.SENT,
    _E.RELAYED: Tone.WORKING,
    _E.ATTEMPTED: Tone.WORKING,
    _E.RESUMED: Tone.WORKING,
    _E.RETRIED: Tone.WORKING,
    _E.DEFERRED: Tone.WAITING,
    _E.HELD: Tone.WAITING,
    _E.SUSPENDED: Tone.WAITING,
    _E.UNKNOWN: Tone.WAITING,
    _E.BOUNCED: Tone.FAILED,
    _E.COMPLAINT: Tone.FAILED,
    _E.RETURNED: Tone.FAILED,
    _E.EXPIRED: Tone.FAILED,
}
LASTINGS = (("1h", "1 hour"), ("4h", "4 hours"), ("1d", "1 day"), ("7d", "7 days"))
"""How long a suspension may be, as pages offer it."""
# Of a hundred: what is there can be seen, however little of the whole it is.
NARROWEST = 0.8


class Share(Frozen):
    """A part of the bar; `left` and `width` are of a hundred."""

    status: MessageQueueStatus
    count: int
    left: float
    width: float


def shares(counts: Mapping[MessageQueueStatus, int]) -> list[Share]:
    there = [(status, counts[status]) for status in _S if counts.get(status)]
    total = sum(count for _, count in there)
    wide = [max(NARROWEST, 100 * count / total) for _, count in there]
    found, left = [], 0.0
    for (status, count), each in zip(there, wide, strict=True):
        width = 100 * each / sum(wide)
        found.append(Share(status=status, count=count, left=round(left, 3), width=round(width, 3)))
        left += width
    return found


def status_words(item: MessageQueueItem) -> str:
    return "may have been sent" if maybe_sent(item) else status_name(item.status)


def status_name(status: MessageQueueStatus) -> str:
    return status.replace("_", " ")


def status_tone(status: MessageQueueStatus) -> Tone:
    return _TONES[status]


def queue_tone(state: QueueState) -> Tone:
    return Tone.CLOSED if state is QueueState.ACTIVE else Tone.WAITING


def score_tone(score: float) -> Tone:
    """Of a domain's health, of a hundred."""
    return Tone.SENT if score >= 80 else Tone.WAITING if score >= 50 else Tone.FAILED


def maybe_sent(item: MessageQueueItem) -> bool:
    """The server did not confirm it; only a person has it sent again."""
    unknown = item.bounce_classification is BounceType.UNKNOWN
    return item.status is _S.SUSPENDED and unknown


def last_word(item: MessageQueueItem) -> str:
    """Why it is where it is: the latest reason, else what the server said."""
    answer = answer_of(item.smtp_response) if item.smtp_response else ""
    if item.status is _S.DELIVERED:
        return answer
    return item.last_bounce_reason or answer


def message_timeline(events: Sequence[MessageEvent]) -> list[Line]:
    """Oldest first."""
    return [_line(event) for event in events]


def _line(event: MessageEvent) -> Line:
    said = told(event)
    later = f" Next attempt {clock(said.next_attempt_at)}." if said.next_attempt_at else ""
    tone = _LINES.get(event.type, Tone.CLOSED)
    known = {"at": event.at, "text": said.text + later, "detail": said.detail, "tone": tone}
    return Line.model_validate({**known, **_order(event)})


def _order(event: MessageEvent) -> dict[str, str]:
    """The operation over many that it was part of."""
    id, by = event.detail.get("operation"), event.detail.get("by")
    if not _is_id(id):
        return {}
    return {
        "link": f"/outbound/operations/{id}",
        "link_text": f"an operation by {by or 'somebody'}",
    }


def _is_id(given: object) -> bool:
    try:
        return isinstance(given, str) and str(UUID(given)) == given
    except ValueError:
        return False
