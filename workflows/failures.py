"""What went wrong, out of Temporal's wrapping."""

from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError

LONGEST_CAUSE = 500


def cause(error: ActivityError) -> str:
    """The sentence of the activity's own error, cut to what a page can show."""
    inner = error.cause
    if isinstance(inner, TimeoutError):
        return "It took too long, or the worker that did it went away."
    return str(inner or error).removeprefix(f"{type(inner).__name__}: ")[:LONGEST_CAUSE]


def is_store_away(error: ActivityError) -> bool:
    return isinstance(error.cause, ApplicationError) and error.cause.type == "StoreAway"


def is_send_unknown(error: ActivityError) -> bool:
    return isinstance(error.cause, ApplicationError) and error.cause.type == "SendUnknown"
