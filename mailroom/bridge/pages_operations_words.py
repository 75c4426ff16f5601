"""What the pages say of operations over many messages. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mailroom.bridge.pages_outbound_filter import query_of, words_of
from mailroom.bridge.pages_words import Tone
from mailroom.models.base import Frozen
from mailroom.models.outbound.bulk import UNCONFIRMED_MOST, OperationStatus, OperationView
from mailroom.models.outbound.operation_request import OperationRequest
from mailroom.models.outbound.words import QueueOperationType as Op

_S = OperationStatus
FINAL = {Op.PURGE, Op.BOUNCE, Op.CANCEL}
"""What nobody can take back."""
_VERBS = {Op.SET_PRIORITY: "Set the priority of"}
_PAST = {
    Op.SUSPEND: "suspended",
    Op.RESUME: "resumed",
    Op.REBIND: "moved",
    Op.BOUNCE: "bounced",
    Op.RETRY: "retried",
    Op.CANCEL: "cancelled",
    Op.PURGE: "purged",
    Op.SET_PRIORITY: "given another priority",
}
_WARNINGS = {
    Op.PURGE: "This can't be undone: the messages, their bodies and their timelines are deleted.",
    Op.BOUNCE: "This can't be undone: the messages are given up as bounced.",
    Op.CANCEL: "This can't be undone: the messages are never sent.",
}
_TONES = {
    _S.PLANNING: Tone.WORKING,
    _S.AWAITING_CONFIRMATION: Tone.WAITING,
    _S.RUNNING: Tone.WORKING,
    _S.COMPLETED: Tone.SENT,
    _S.ABANDONED: Tone.CLOSED,
}


class About(Frozen):
    """`whole` is what is suspended or opened with all that comes later; `query` leads to the list
    of the messages that were meant, where a filter says which."""

    title: str
    verb: str
    meant: list[tuple[str, str]]
    more: list[tuple[str, str]]
    query: str | None
    warning: str | None
    is_large: bool
    whole: str | None
    status_words: str
    tone: str


def about(operation: OperationView) -> About:
    asked = _asked(operation)
    count = "1 message" if operation.messages == 1 else f"{operation.messages:,} messages"
    verb = _VERBS.get(operation.operation, operation.operation.capitalize())
    whole = asked.whole if asked else None
    name = f"the {whole.scope} {whole.name}" if whole else count
    return About(
        title=f"{verb} {name}",
        verb=verb,
        meant=_meant(operation),
        more=_more(operation),
        query=_query(operation),
        warning=_WARNINGS.get(operation.operation),
        is_large=operation.messages > UNCONFIRMED_MOST and whole is None,
        whole=name if whole else None,
        status_words=_status(operation),
        tone=_tone(operation),
    )


def again(counted: OperationView) -> OperationRequest:
    """The same in earnest. Raises ValidationError where it can't be any more, such as with an end
    that has passed."""
    known: dict[str, Any] = counted.model_dump(
        include={"operation", "queue_name", "message_ids", "filter", "metadata", "reason"}
    )
    agreed = counted.messages > UNCONFIRMED_MOST
    return OperationRequest.model_validate({**known, "confirm": agreed})


def _asked(operation: OperationView) -> OperationRequest | None:
    """None for one whose time is over."""
    try:
        return again(operation)
    except ValidationError:
        return None


def sentence_of(operation: OperationView) -> str:
    """How far it is."""
    done = _count(operation.affected, _PAST[operation.operation])
    match operation.status:
        case _S.PLANNING:
            return "The messages are being counted."
        case _S.AWAITING_CONFIRMATION:
            return f"{operation.messages:,} messages would be changed; it waits to be confirmed."
        case _S.RUNNING:
            return f"{operation.done:,} of {operation.messages:,} messages."
    if operation.dry_run:
        what = f"would be {_PAST[operation.operation]}"
        return f"Only counted: {_count(operation.messages, what, verb='')}."
    failed = f"; {operation.failed:,} did not follow" if operation.failed else ""
    stopped = "It was stopped. " if operation.status is _S.ABANDONED else ""
    return f"{stopped}{done}{failed}."


def _count(number: int, what: str, verb: str | None = None) -> str:
    words = ("was " if number == 1 else "were ") if verb is None else verb
    return f"{number:,} {'message' if number == 1 else 'messages'} {words}{what}"


def _meant(operation: OperationView) -> list[tuple[str, str]]:
    if operation.message_ids is not None:
        number = len(operation.message_ids)
        return [("Messages", f"{number:,} chosen")]
    queue = {"queue_name": operation.queue_name} if operation.queue_name else {}
    return words_of({**(operation.filter or {}), **queue})


def _more(operation: OperationView) -> list[tuple[str, str]]:
    labels = {
        "queue_name": "To the queue",
        "routing_domain": "Routed to",
        "priority": "Priority",
        "until": "Until",
    }
    given: Mapping[str, Any] = operation.metadata or {}
    return [(labels.get(name, name), str(value)) for name, value in given.items()]


def _query(operation: OperationView) -> str | None:
    if operation.message_ids is not None:
        return None
    queue = {"queue_name": operation.queue_name} if operation.queue_name else {}
    return query_of({**(operation.filter or {}), **queue})


def _status(operation: OperationView) -> str:
    if operation.dry_run and operation.status is _S.COMPLETED:
        return "counted"
    if operation.failed and operation.status is _S.COMPLETED:
        return "done in part"
    return operation.status.replace("_", " ")


def _tone(operation: OperationView) -> str:
    if operation.dry_run and operation.status is _S.COMPLETED:
        return Tone.CLOSED
    if operation.failed and operation.status.ended:
        return Tone.FAILED
    return _TONES[operation.status]
