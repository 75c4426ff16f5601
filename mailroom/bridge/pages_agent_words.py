"""What the pages say of agents' letters: states, the timeline as sentences, rules. Pure."""

from collections.abc import Sequence

from mailroom.bridge.pages_words import Line, Tone
from mailroom.models.agent_mail import Channel, Event, LetterState
from mailroom.models.agent_rules import MailRule
from mailroom.models.durations import shown
from mailroom.models.letter_rows import CircuitState, LetterEvent, LetterRow

_S, _E = LetterState, Event

_STATES = {
    _S.QUEUED: ("waits", Tone.WAITING),
    _S.DELIVERING: ("on its way", Tone.WORKING),
    _S.DELIVERED: ("delivered", Tone.SENT),
    _S.ACKNOWLEDGED: ("acknowledged", Tone.SENT),
    _S.RETRYING: ("tried again later", Tone.WAITING),
    _S.DEAD_LETTER: ("dead letter", Tone.FAILED),
    _S.EXPIRED: ("expired", Tone.CLOSED),
    _S.DISCARDED: ("discarded", Tone.CLOSED),
}

_CIRCUITS = {
    CircuitState.CLOSED: Tone.SENT,
    CircuitState.HALF_OPEN: Tone.WAITING,
    CircuitState.OPEN: Tone.FAILED,
}

_ARRIVED = {
    Channel.SESSION: "It was delivered to a session",
    Channel.TMUX: "It was typed into the recipient's terminal",
    Channel.WEBHOOK: "The recipient's webhook took it",
    Channel.COMMAND: "The recipient's command took it",
    Channel.INBOX: "It was taken from the inbox",
}

# What was said with it, if anything, follows after a colon.
_HAPPENED = {
    _E.DELIVERING: ("A delivery was tried", Tone.WORKING),
    _E.QUEUED: ("It waits in the inbox", Tone.WAITING),
    _E.ROUTING_FAILED: ("An attempt failed", Tone.FAILED),
    _E.ROUTING_ERROR: ("It could not be delivered", Tone.FAILED),
    _E.NOTIFIED: ("The recipient's terminal said that it waits", Tone.WAITING),
    _E.READ: ("It was read", Tone.SENT),
    _E.ACKNOWLEDGED: ("It was acknowledged", Tone.SENT),
    _E.DEAD: ("It became a dead letter", Tone.FAILED),
    _E.EXPIRED: ("It expired", Tone.CLOSED),
    _E.DISCARDED: ("It was given up", Tone.CLOSED),
    _E.REPLAYED: ("It is tried again, as if never tried before", Tone.WORKING),
}


def letter_state(state: LetterState) -> str:
    return _STATES[state][0]


def letter_tone(state: LetterState) -> Tone:
    return _STATES[state][1]


def circuit_tone(circuit: CircuitState) -> Tone:
    return _CIRCUITS[circuit]


def letter_timeline(letter: LetterRow, events: Sequence[LetterEvent]) -> list[Line]:
    """Oldest first, beginning with its sending, without what the next line makes needless."""
    sent = Line(at=letter.sent_at, text=f"{letter.sender} sent it.")
    return [sent, *(_line(letter, event) for event in _telling(events))]


def _telling(events: Sequence[LetterEvent]) -> list[LetterEvent]:
    """A try that brought the letter to its recipient is told by that."""
    following = [*(event.type for event in events[1:]), ""]
    return [
        event
        for event, after in zip(events, following, strict=True)
        if (event.type, after) != (_E.DELIVERING, _E.ROUTED)
    ]


def _line(letter: LetterRow, event: LetterEvent) -> Line:
    match event.type:
        case _E.ROUTED:
            return Line(at=event.at, text=_arrived(letter, event), tone=Tone.SENT)
        case _E.ESCALATED:
            return Line(at=event.at, text=_escalated(event), tone=Tone.WAITING)
        case known if known in _HAPPENED:
            words, tone = _HAPPENED[Event(known)]
            return Line(at=event.at, text=_because(words, event.detail.get("reason")), tone=tone)
        case other:
            return Line(at=event.at, text=other.replace("_", " ").replace(".", " "))


def _because(words: str, reason: object) -> str:
    return f"{words}: {reason}" if reason else f"{words}."


def _arrived(letter: LetterRow, event: LetterEvent) -> str:
    session = event.detail.get("session_id")
    given = event.detail.get("channel") or (Channel.SESSION if session else letter.channel)
    if given not in list(Channel):
        return "It was delivered."
    words = _ARRIVED[Channel(given)]
    return f"{words} ({session})." if session else f"{words}."


def _escalated(event: LetterEvent) -> str:
    if event.detail.get("channel") == Channel.TMUX:
        return "Nobody had acknowledged it: the recipient was nudged again in the terminal."
    return "Nobody had acknowledged it, and no terminal of the recipient is open to nudge."


def conditions(rule: MailRule) -> list[tuple[str, str]]:
    """Which letters it is about, each condition with its name."""
    match = rule.match
    said = {
        "from": " or ".join(match.sender),
        "to": " or ".join(match.to),
        "subject has": " or ".join(f"“{part}”" for part in match.subject),
        "priority": " or ".join(match.priority),
    }
    return [(name, words) for name, words in said.items() if words]


def effects(rule: MailRule) -> list[tuple[str, str]]:
    said = {
        "redirect to": rule.redirect,
        "copy to": ", ".join(rule.copy_to),
        "priority": rule.priority,
        "delay": shown(rule.delay) if rule.delay else "",
        "then": "no rules after it" if rule.stop else "",
    }
    return [(name, words) for name, words in said.items() if words]


def sent_notice(letters: Sequence[tuple[str, LetterState, str | None]], spooled: bool) -> str:
    """What came of a letter that was just written: for each recipient its state, and why."""
    [(to, state, error), *others] = letters
    if spooled:
        return f"The letter to {to} is kept, and goes on once the store is back."
    if others:
        return f"{len(letters)} letters are on their way."
    match state:
        case _S.DELIVERED | _S.ACKNOWLEDGED:
            return f"{to} has the letter."
        case _S.DEAD_LETTER | _S.EXPIRED | _S.DISCARDED:
            return _because(f"The letter to {to} was not delivered", error)
        case _S.QUEUED | _S.RETRYING:
            return f"The letter waits for {to}."
        case _:
            return f"The letter is on its way to {to}."
