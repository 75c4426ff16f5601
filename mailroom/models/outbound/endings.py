"""How attempts end: what is written down of each, as pure rules."""

from collections.abc import Callable
from datetime import datetime, timedelta

from mailroom.models.outbound.backoff import retry_pause
from mailroom.models.outbound.bounces import Classification
from mailroom.models.outbound.claim import Attempted, Claim
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.message import DeliverInput, Event
from mailroom.models.outbound.parcel import Taken
from mailroom.models.outbound.words import BounceType, MessageQueueStatus

S = MessageQueueStatus
Ending = Callable[[DeliverInput], Attempted]

HARD_BOUNCE = "hard_bounce"
COMPLAINT = "complaint"
# Of these nobody's server said anything: the address bounced or complained before.
_SUPPRESSED = {HARD_BOUNCE: BounceType.HARD, COMPLAINT: BounceType.COMPLAINT}
MAYBE_SENT = "It may have been sent: the server did not confirm it."


def taken(request: DeliverInput, taken: Taken) -> Attempted:
    return Attempted(
        **_of(request),
        status=S.IN_DELIVERY if taken.relayed else S.DELIVERED,
        event=Event.RELAYED if taken.relayed else Event.DELIVERED,
        response=taken.response,
        protocol=taken.protocol,
        relayed=taken.relayed,
    )


def refused(
    request: DeliverInput, reason: str, response: SmtpResponse | None, found: Classification
) -> Attempted:
    return Attempted(
        **_of(request),
        status=S.BOUNCED,
        event=Event.BOUNCED,
        reason=reason,
        bounce_classification=found.type,
        response=response,
        suppress=HARD_BOUNCE if found.suppresses else None,
    )


def deferred(
    request: DeliverInput,
    claim: Claim,
    reason: str,
    response: SmtpResponse | None,
    found: Classification,
    *,
    terms: OutboundSection,
    now: datetime,
    retry_after: timedelta | None = None,
) -> Attempted:
    """Tried again after a pause, unless this was the last attempt or its time is over by then."""
    known = {**_of(request), "response": response, "bounce_classification": found.type}
    if request.attempt >= claim.max_attempts:
        exhausted = f"Attempts exhausted ({request.attempt}). The last one: {reason}"
        known["bounce_classification"] = BounceType.SOFT
        return Attempted(**known, status=S.BOUNCED, event=Event.BOUNCED, reason=exhausted)
    pause = retry_pause(request.id, request.attempt, terms.first_retry, terms.longest_retry)
    again = now + max(pause, retry_after or pause)
    if claim.expires_at:
        # Its end is what happens next then.
        again = min(again, claim.expires_at)
    return Attempted(
        **known, status=S.DEFERRED, event=Event.DEFERRED, reason=reason, next_attempt_at=again
    )


def unknown(request: DeliverInput, reason: str) -> Attempted:
    """Never sent again by itself (RFC 1047)."""
    return Attempted(
        **_of(request),
        status=S.SUSPENDED,
        event=Event.UNKNOWN,
        reason=f"{MAYBE_SENT} {reason} `retry` sends it again, `cancel` leaves it.",
        bounce_classification=BounceType.UNKNOWN,
    )


def suppressed(request: DeliverInput, claim: Claim, why: str) -> Attempted:
    """No attempt was made. Who unsubscribed did not bounce."""
    found = _SUPPRESSED.get(why)
    return Attempted(
        id=request.id,
        step=request.step,
        attempt=claim.num_attempts,
        status=S.BOUNCED if found else S.CANCELLED,
        event=Event.BOUNCED if found else Event.CANCELLED,
        reason=f"The recipient is on the suppression list: {why.replace('_', ' ')}.",
        bounce_classification=found,
        suppressed=True,
    )


def expired(request: DeliverInput, claim: Claim) -> Attempted:
    return Attempted(
        id=request.id,
        step=request.step,
        attempt=claim.num_attempts,
        status=S.EXPIRED,
        event=Event.EXPIRED,
        reason=claim.reason or "Its time was over before it could be delivered.",
        suppressed=True,
    )


def _of(request: DeliverInput) -> dict[str, object]:
    return {"id": request.id, "step": request.step, "attempt": request.attempt}
