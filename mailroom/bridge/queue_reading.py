"""`/queue/overview` and `/queue/messages/{id}`: what waits to be delivered, and what became of it;
and what operators say to one message."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, Field, ValidationError

from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.audit import by, order_of
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.flows import NotRunning
from mailroom.bridge.problems import Problem
from mailroom.models.base import Frozen
from mailroom.models.outbound.item import MessagePriority, MessageQueueItem
from mailroom.models.outbound.listing import MessageWithTimeline, Overview
from mailroom.models.outbound.operation_request import OperationRequest
from mailroom.models.outbound.orders import LONGEST_REASON
from mailroom.models.outbound.submission import Name
from mailroom.models.outbound.words import MessageQueueStatus, QueueOperationType
from mailroom.models.text import one_line

router = APIRouter(prefix="/queue", tags=["queue"], route_class=ApiRoute)


Word = Annotated[str, Field(max_length=LONGEST_REASON, pattern=r"^[^\x00]*$")]


class OneOrder(Frozen):
    """`queue_name` of a rebind, `priority` of a set_priority."""

    reason: Annotated[str, Field(max_length=LONGEST_REASON), AfterValidator(one_line)] = ""
    queue_name: Name | None = None
    priority: MessagePriority | None = None


@router.get("/overview")
async def overview(
    the: The, who: Operator, campaign_id: Annotated[Word | None, Query()] = None
) -> Overview:
    """How many messages there are by status, and the fifty longest queues with their last error."""
    return await the.message_views.overview(campaign_id)


@router.get("/messages/{id}", response_model_exclude_none=True)
async def message(id: UUID, the: The, who: Operator) -> MessageWithTimeline:
    item = await the.message_views.one(id)
    if item is None:
        raise _unknown()
    return MessageWithTimeline(
        item=item,
        timeline=await the.message_views.timeline(id),
        suspensions=await the.suspensions.of(id),
    )


@router.post("/messages/{id}/{operation}", status_code=HTTPStatus.ACCEPTED)
async def tell(
    id: UUID, operation: QueueOperationType, the: The, who: Operator, order: OneOrder | None = None
) -> None:
    """Says it to the message's workflow, which follows as soon as nothing else has it in hand."""
    order = order or OneOrder()
    arguments, noted = _arguments(operation, order), _noted(id, operation, order)
    try:
        await the.message_flows.tell(id, operation.value, *arguments)
        await the.operations.note(noted, by(who))
    except NotRunning as error:
        item = await the.message_views.one(id)
        if item is None:
            raise _unknown() from error
        # One that came from the old queue has no workflow before it has its content.
        cancel = operation is QueueOperationType.CANCEL
        if cancel and await the.legacy_queue.store.cancel(id, order.reason or None):
            return
        raise Problem(HTTPStatus.CONFLICT, _why_not(item)) from error


def _noted(id: UUID, operation: QueueOperationType, order: OneOrder) -> OperationRequest:
    try:
        return order_of(id, operation, order.model_dump(exclude_none=True))
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def _why_not(item: MessageQueueItem) -> str:
    if item.status is MessageQueueStatus.SUSPENDED:
        return "The message has no content yet; PUT it to /queue/messages/{id}/content first."
    return f"The message is {item.status}; nothing changes that any more."


def _arguments(operation: QueueOperationType, order: OneOrder) -> list[str | int]:
    match operation:
        case QueueOperationType.PURGE:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "purge is no order for one message.")
        case QueueOperationType.REBIND:
            if order.queue_name is None:
                raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "queue_name: Say to which queue.")
            return [order.queue_name, order.reason]
        case QueueOperationType.SET_PRIORITY:
            if order.priority is None:
                raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "priority: Say which, 0 to 10.")
            return [order.priority]
    return [order.reason]


def _unknown() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "There is no such message.")
