"""What went wrong, out of Temporal's wrapping."""

from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType

LONGEST_CAUSE = 500


def cause(error: ActivityError) -> str:
    """The sentence of the activity's own error, cut to what a page can show."""
    inner = error.cause
    if isinstance(inner, TimeoutError):
        return "It took too long, or the worker that did it went away."
    sentence = inner.message if isinstance(inner, ApplicationError) else str(inner or error)
    return sentence[:LONGEST_CAUSE]


def is_ours(error: ActivityError) -> bool:
    """Our own store or worker went away: nothing that the owner could mend."""
    inner = error.cause
    if isinstance(inner, TimeoutError):
        return inner.type is TimeoutType.HEARTBEAT
    return isinstance(inner, ApplicationError) and inner.type == "StoreAway"


def is_send_unknown(error: ActivityError) -> bool:
    return isinstance(error.cause, ApplicationError) and error.cause.type == "SendUnknown"
