"""What the pages say: states, times, and the timeline as sentences. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from mailroom.adapters.postgres.views import TimelineEntry, WorkflowState
from mailroom.models.base import Frozen
from mailroom.models.names import (
    REASON_BOUNCED,
    REASON_BY_OPERATOR,
    REASON_BY_OWNER,
    REASON_SEND_UNKNOWN,
)
from mailroom.models.states import MailState, Stage


class Tone(StrEnum):
    """The colour of a pill. Its words say the same, for those who don't see colours."""

    WORKING = "working"
    WAITING = "waiting"
    FAILED = "failed"
    SENT = "sent"
    CLOSED = "closed"


class Line(Frozen):
    """One line of the timeline; `detail` is somebody else's text."""

    at: datetime
    text: str
    detail: str | None = None
    tone: Tone = Tone.CLOSED
    link: str | None = None
    link_text: str = ""


_S = MailState

_WORDS = {
    _S.PENDING: ("arrived", Tone.WORKING),
    _S.AI_GENERATING: ("drafting", Tone.WORKING),
    _S.AI_GENERATED: ("draft ready", Tone.WORKING),
    _S.SMS_SENDING: ("texting you", Tone.WORKING),
    _S.SMS_SENT: ("texted you", Tone.WORKING),
    _S.AWAITING_USER: ("waits for you", Tone.WAITING),
    _S.USER_APPROVED: ("sending", Tone.WORKING),
    _S.USER_EDIT_REQUESTED: ("changing", Tone.WORKING),
    _S.USER_IGNORED: ("ignored", Tone.CLOSED),
    _S.REPLY_SENT: ("sent", Tone.SENT),
    _S.FAILED: ("failed", Tone.FAILED),
    _S.TIMEOUT: ("timed out", Tone.CLOSED),
}

_CHANNELS = {
    "sms": "by text message",
    "page": "on the page",
    "api": "through the API",
    "cli": "on the command line",
    "signal": "by a signal in Temporal",
}

_FAILED = {
    Stage.DRAFT: "No draft could be made.",
    Stage.SMS: "You could not be texted.",
    Stage.REPLY: "The reply could not be sent.",
}

_PLAIN = {
    _S.PENDING: "The mail arrived.",
    _S.AI_GENERATING: "A draft is being made.",
    _S.SMS_SENDING: "You are being texted.",
    _S.AWAITING_USER: "Waiting for your answer.",
    _S.USER_EDIT_REQUESTED: "You asked for a change{through}.",
    _S.USER_APPROVED: "You approved the draft{through}.",
    _S.REPLY_SENT: "The reply was sent.",
}

# Told only while they last: the next line says what came of them.
_PASSING = frozenset({_S.AI_GENERATING, _S.SMS_SENDING, _S.AWAITING_USER})

_SAID_BY_OTHERS = {
    _S.USER_APPROVED: "attached",
    _S.USER_EDIT_REQUESTED: "instructions",
    _S.REPLY_SENT: "response",
    _S.FAILED: "error",
}


def state_words(row: WorkflowState) -> str:
    if row.current_state is _S.FAILED and row.reason == REASON_SEND_UNKNOWN:
        return "may have been sent"
    if row.current_state is _S.FAILED and row.reason == REASON_BOUNCED:
        return "reply came back"
    if row.current_state is _S.USER_APPROVED and row.send_at:
        return "sent later"
    if row.current_state is _S.AWAITING_USER and row.snoozed_until:
        return "put off"
    return _WORDS[row.current_state][0]


def tone(state: MailState) -> Tone:
    return _WORDS[state][1]


def age(at: datetime, now: datetime | None = None) -> str:
    """How long ago, in one unit: "5 min", "3 h", "2 d"."""
    passed = (now or datetime.now(UTC)) - at
    if passed < timedelta(minutes=1):
        return "now"
    if passed < timedelta(hours=1):
        return f"{passed // timedelta(minutes=1)} min"
    if passed < timedelta(days=1):
        return f"{passed // timedelta(hours=1)} h"
    return f"{passed.days:,} d"


def clock(at: datetime) -> str:
    """For browsers without JavaScript; with it they show their own time zone."""
    return f"{at.astimezone(UTC):%d %b %Y, %H:%M} UTC"


def sender(shown: str | None) -> tuple[str, str]:
    """Name and address of a sender's display form; the address alone where there is no name."""
    name, _, address = (shown or "(no sender)").rpartition(" <")
    return (name.strip('"'), address.rstrip(">")) if name else (address, "")


def one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def timeline(entries: Sequence[TimelineEntry]) -> list[Line]:
    """Oldest first, without what a later line makes needless."""
    last = entries[-1] if entries else None
    shown = [entry for entry in entries if entry is last or entry.type not in _PASSING]
    return [_line(entry) for entry in shown]


def _line(entry: TimelineEntry) -> Line:
    try:
        state = MailState(entry.type)
    except ValueError:
        return Line(at=entry.at, text=entry.type.replace("_", " "))
    said = entry.detail.get(_SAID_BY_OTHERS.get(state, ""))
    return Line(at=entry.at, text=_told(state, entry), detail=said, tone=tone(state))


def _told(state: MailState, entry: TimelineEntry) -> str:
    match state:
        case _S.AI_GENERATED:
            return _drafted(entry)
        case _S.SMS_SENT:
            texts = entry.detail.get("texts") or 1
            return f"You were texted{f' in {texts} parts' if texts > 1 else ''}."
        case _S.USER_IGNORED | _S.TIMEOUT:
            return _closed(state, entry)
        case _S.FAILED:
            return _failed(entry)
        case _S.AWAITING_USER if entry.detail.get("until") or entry.detail.get("delegate"):
            return _waits_on(entry)
        case _:
            plain = _PLAIN[state].format(through=_through(entry))
            return plain + _sent_later(entry) + _attached(entry)


def _waits_on(entry: TimelineEntry) -> str:
    if delegate := entry.detail.get("delegate"):
        return f"{delegate} was asked in your place."
    return f"You put it off until {clock(datetime.fromisoformat(entry.detail['until']))}."


def _attached(entry: TimelineEntry) -> str:
    return " Attached to it:" if entry.detail.get("attached") else ""


def _sent_later(entry: TimelineEntry) -> str:
    until = entry.detail.get("until")
    return f" It is to be sent {clock(datetime.fromisoformat(until))}." if until else ""


def _drafted(entry: TimelineEntry) -> str:
    known = entry.detail
    about = [f"code {known['code']}"] if known.get("code") else []
    about += [known["source"]] if known.get("source") else []
    made = f"Draft {known.get('revision') or 1} was made"
    return f"{made} ({', '.join(about)})." if about else f"{made}."


def _closed(state: MailState, entry: TimelineEntry) -> str:
    reason = entry.detail.get("reason")
    if reason == REASON_BY_OWNER:
        return f"You left it unanswered{_through(entry)}."
    if reason == REASON_BY_OPERATOR:
        return "The wait for your answer was ended by hand."
    if state is _S.TIMEOUT:
        return "No answer came in time; it was left unanswered."
    return f"Left unanswered: {reason}." if reason else "Left unanswered."


def _failed(entry: TimelineEntry) -> str:
    known = entry.detail
    if known.get("reason") == REASON_SEND_UNKNOWN:
        return "The connection was lost while sending: the reply may have been sent."
    if known.get("reason") == REASON_BOUNCED:
        return "The reply came back: the recipient's server could not deliver it."
    if known.get("stage"):
        return _FAILED[Stage(known["stage"])]
    return f"You are asked whether to send it again (code {known.get('code')})."


def _through(entry: TimelineEntry) -> str:
    via = entry.detail.get("via")
    return f" {_CHANNELS.get(via, f'through {via}')}" if via else ""
