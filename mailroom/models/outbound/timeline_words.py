"""A message's timeline as sentences. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from mailroom.models.base import Frozen
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.listing import MessageEvent
from mailroom.models.outbound.message import Event

_PLAIN: Mapping[str, str] = {
    Event.SUBMITTED: "It was submitted.",
    Event.HELD: "Its queue holds it",
    Event.ATTEMPTED: "It was tried",
    Event.DELIVERED: "It was delivered",
    Event.RELAYED: "A relay took it and goes on with it",
    Event.DEFERRED: "Not now",
    Event.BOUNCED: "It bounced",
    Event.UNKNOWN: "It may have been sent",
    Event.COMPLAINT: "The recipient complained",
    Event.RETURNED: "A notice about it came back",
    Event.EXPIRED: "It expired",
    Event.SUSPENDED: "It was suspended",
    Event.RESUMED: "It was resumed",
    Event.REBOUND: "It was moved to the queue {queue_name}",
    Event.RETRIED: "It is to be tried again",
    Event.CANCELLED: "It was cancelled",
    Event.PRIORITY: "Its priority is {priority} now",
}


class Told(Frozen):
    """`detail` is what somebody else said: a server, an operator."""

    text: str
    detail: str | None = None
    next_attempt_at: datetime | None = None


def told(event: MessageEvent) -> Told:
    known: Mapping[str, Any] = event.detail
    words = _PLAIN.get(event.type, event.type.removeprefix("message.").replace("_", " "))
    if event.type == Event.HELD and known.get("scope"):
        words = f"The suspension of the {known['scope']} {known.get('name', '')} holds it"
    words = words.replace("{queue_name}", str(known.get("queue_name", "")))
    words = words.replace("{priority}", str(known.get("priority", "")))
    return Told(
        text=f"{words.rstrip('.')}{_about(known)}.",
        detail=_detail(known),
        next_attempt_at=_moment(known.get("next_attempt_at")),
    )


def answer_of(response: SmtpResponse) -> str:
    """As the server gave it, on one line; most messages begin with the enhanced code."""
    code, message = response.enhanced_code or "", response.message
    known = message.startswith(code)
    return " ".join([str(response.code), *([] if known else [code]), message]).strip()


def _about(known: Mapping[str, Any]) -> str:
    attempt, kind = known.get("attempt"), known.get("bounce_classification")
    facts = [f"attempt {attempt}"] if attempt else []
    facts += [str(kind)] if kind else []
    facts += [f"by {str(known['source']).replace('_', ' ')}"] if known.get("source") else []
    facts += ["the address gets no more mail"] if known.get("suppressed") else []
    return f" ({', '.join(facts)})" if facts else ""


def _detail(known: Mapping[str, Any]) -> str | None:
    """The server's answer and the reason, or the one that has the other in it."""
    response, reason = _response(known.get("response")), str(known.get("reason") or "")
    if response is None:
        return reason or None
    answer = answer_of(response)
    if response.message and response.message in reason:
        return max(answer, reason, key=len)
    return f"{answer} {reason}".strip()


def _response(given: object) -> SmtpResponse | None:
    try:
        return None if given is None else SmtpResponse.model_validate(given)
    except ValidationError:
        return None


def _moment(given: object) -> datetime | None:
    try:
        return datetime.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        return None
