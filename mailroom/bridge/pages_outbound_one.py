"""One outbound message: its fields, what happened to it, and what the operator may do with it."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from mailroom.bridge import queue_reading
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.pages_html import back_to, render
from mailroom.bridge.pages_outbound_words import maybe_sent, message_timeline
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.problems import Problem
from mailroom.bridge.queue_reading import OneOrder
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.listing import MessageWithTimeline
from mailroom.models.outbound.orders import LONGEST_REASON
from mailroom.models.outbound.words import MessageQueueStatus, QueueOperationType

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_S = MessageQueueStatus


class Offer(StrEnum):
    """What a button says."""

    SUSPEND = "suspend"
    RESUME = "resume"
    RETRY = "retry"
    CANCEL = "cancel"


class Said(BaseModel):
    """`sure`: the person knows that it may arrive twice."""

    offer: Offer
    reason: Annotated[str, Field(max_length=LONGEST_REASON)] = ""
    sure: bool = False


_SENTENCES = {
    Offer.SUSPEND: "The message is to be suspended.",
    Offer.RESUME: "The message is to go on.",
    Offer.RETRY: "The message is tried now.",
    Offer.CANCEL: "The message is to be cancelled.",
}
_BY_STATUS = {
    _S.SCHEDULED: {Offer.RETRY, Offer.SUSPEND, Offer.CANCEL},
    _S.READY: {Offer.SUSPEND, Offer.CANCEL},
    _S.DEFERRED: {Offer.RETRY, Offer.SUSPEND, Offer.CANCEL},
    _S.SUSPENDED: {Offer.RETRY, Offer.RESUME, Offer.CANCEL},
}


def offers(item: MessageQueueItem) -> frozenset[Offer]:
    """What its state allows. Nobody stops what is under way, and what has no content waits for
    it."""
    if item.body_hash is None:
        return frozenset()
    allowed = _BY_STATUS.get(item.status, set())
    return frozenset(allowed - {Offer.RESUME} if maybe_sent(item) else allowed)


@router.get("/outbound/{id}")
async def message_page(request: Request, id: UUID, the: The, who: Operator) -> Response:
    found = await queue_reading.message(id, the, who)
    return render(request, "outbound_message.html", who, _shown(found))


@router.get("/outbound/{id}/state")
async def state(request: Request, id: UUID, the: The, who: Operator) -> Response:
    """What changes on the page of a message."""
    found = await queue_reading.message(id, the, who)
    return render(request, "_outbound_state.html", who, _shown(found))


@router.post("/outbound/{id}")
async def say(
    request: Request, id: UUID, said: Annotated[Said, Form()], the: The, who: Operator
) -> Response:
    found = await queue_reading.message(id, the, who)
    if said.offer is Offer.RETRY and maybe_sent(found.item) and not said.sure:
        return render(request, "outbound_ask.html", who, _shown(found) | {"said": said})
    notice = await _done(id, said, the, who)
    return back_to(request, f"/outbound/{id}", notice)


def _shown(found: MessageWithTimeline) -> dict[str, object]:
    return {
        "message": found.item,
        "suspensions": found.suspensions,
        "offers": offers(found.item),
        "lines": message_timeline(found.timeline),
        "operations": list(QueueOperationType),
    }


async def _done(id: UUID, said: Said, the: The, who: Operator) -> str:
    """What came of a button, in a sentence. A refusal is an answer, not a fault of the page."""
    order = OneOrder(reason=said.reason.strip())
    try:
        await queue_reading.tell(id, QueueOperationType(said.offer.value), the, who, order)
    except Problem as problem:
        return problem.detail
    return _SENTENCES[said.offer]
