"""`POST /queue/messages`: messages to be delivered."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, Field, JsonValue, ValidationError

from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.problems import Problem
from mailroom.bridge.submissions import Refusal, Submitted
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.submission import NewMessage
from mailroom.models.spool import NORMAL, SpooledSubmission
from mailroom.ports import Permanent

router = APIRouter(prefix="/queue", tags=["queue"], route_class=ApiRoute)

MOST_ITEMS = 1_000
SECONDS = 60.0
Batch = dict[str, JsonValue]
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/NewMessage"},
                        {
                            "type": "object",
                            "required": ["items"],
                            "properties": {
                                "items": {
                                    "type": "array",
                                    "maxItems": MOST_ITEMS,
                                    "items": {"$ref": "#/components/schemas/NewMessage"},
                                }
                            },
                        },
                    ]
                }
            }
        },
    }
}


class Rejected(BaseModel):
    """`index` counts from 0; `field` is the first that is wrong, where it is a field."""

    index: int
    error: str
    field: str | None = None


class Taken(BaseModel):
    """`accepted` are the IDs of those that were, in their order; `spooled`: they are kept until
    Temporal and PostgreSQL are back."""

    accepted: list[UUID]
    rejected: list[Rejected]
    spooled: bool = False


class How(BaseModel):
    atomic: bool = Field(default=False, description="all of them, or none")
    first: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000,
        description="the place of the first, where one `Idempotency-Key` takes several requests",
    )


@router.post("/messages", status_code=HTTPStatus.ACCEPTED, openapi_extra=_BODY)
async def submit(
    body: Batch,
    the: The,
    who: Operator,
    how: Annotated[How, Query()],
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Taken:
    """Takes one message, or up to 1,000 in `items`. What is accepted is durable. With an
    `Idempotency-Key` the same message again is the same message."""
    items = _items(body)
    rejected, messages = _rolled_out(the, *_read(items, idempotency_key, how.first))
    if rejected and how.atomic:
        raise _all_refused(rejected)
    taken = await the.handover.on(
        lambda: the.submissions.take([one for _, one in messages], atomic=how.atomic), SECONDS
    )
    if taken is None:
        await _keep(the, messages)
    rejected += _refused(messages, taken or [])
    if rejected and (how.atomic or "items" not in body):
        raise _all_refused(rejected)
    return _answer(messages, rejected, spooled=taken is None)


@router.put("/messages/{id}/content", response_model_exclude_none=True)
async def give_content(id: UUID, new: NewMessage, the: The, who: Operator) -> MessageQueueItem:
    """Content for a message that was imported without; it goes on then."""
    item = await the.message_views.one(id)
    if item is None:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such message.")
    try:
        return await the.submissions.give_content(item, new)
    except Permanent as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error


async def accept(the: Context, message: SpooledSubmission, queued_at: datetime) -> None:
    """Out of the spool. Raises `Permanent`."""
    try:
        new = NewMessage.model_validate(message.message)
    except ValidationError as error:
        raise Permanent(_problem(0, error).error) from error
    one = Submitted(UUID(message.id), new, queued_at)
    refused = await the.submissions.take([one], promised=True)
    if refused:
        raise Permanent(refused[0].why)


def _items(body: Batch) -> list[JsonValue]:
    if "items" not in body:
        return [body]
    items = body["items"]
    if not isinstance(items, list) or len(body) > 1:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "items: It has to be a list, and nothing beside it."
        )
    if not 0 < len(items) <= MOST_ITEMS:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"items: A request may have 1 to {MOST_ITEMS:,}."
        )
    return items


def _read(
    items: list[JsonValue], key: str | None, first: int
) -> tuple[list[Rejected], list[tuple[int, Submitted]]]:
    now = datetime.now(UTC)
    rejected: list[Rejected] = []
    messages: list[tuple[int, Submitted]] = []
    for index, item in enumerate(items):
        try:
            new = NewMessage.model_validate(item)
        except ValidationError as error:
            rejected.append(_problem(index, error))
        else:
            id = uuid5(NAMESPACE_URL, f"{key}/{first + index}") if key else uuid4()
            messages.append((index, Submitted(id, new, now)))
    return rejected, messages


def _rolled_out(
    the: Context, rejected: list[Rejected], messages: list[tuple[int, Submitted]]
) -> tuple[list[Rejected], list[tuple[int, Submitted]]]:
    """Without those of tenants that have the old queue model (ENABLE_EMAIL_QUEUE_MODEL)."""
    refusals = {index: the.queue_model.refusal(one.new.tenant_id) for index, one in messages}
    refused = [Rejected(index=index, error=why) for index, why in refusals.items() if why]
    return [*rejected, *refused], [one for one in messages if not refusals[one[0]]]


def _problem(index: int, error: ValidationError) -> Rejected:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"])) or None
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    return Rejected(index=index, field=field, error=f"{field}: {said}." if field else f"{said}.")


def _refused(messages: list[tuple[int, Submitted]], refusals: list[Refusal]) -> list[Rejected]:
    why = {one.id: one.why for one in refusals}
    return [Rejected(index=n, error=why[one.id]) for n, one in messages if one.id in why]


def _all_refused(rejected: list[Rejected]) -> Problem:
    first = min(rejected, key=lambda one: one.index)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if first.field else HTTPStatus.CONFLICT
    return Problem(status, first.error, rejected=[one.model_dump() for one in rejected])


def _answer(
    messages: list[tuple[int, Submitted]], rejected: list[Rejected], *, spooled: bool
) -> Taken:
    wrong = {one.index for one in rejected}
    return Taken(
        accepted=[one.id for index, one in messages if index not in wrong],
        rejected=sorted(rejected, key=lambda one: one.index),
        spooled=spooled,
    )


async def _keep(the: Context, messages: list[tuple[int, Submitted]]) -> None:
    for _, one in messages:
        kept = SpooledSubmission(
            id=one.id.hex, message=one.new.model_dump(mode="json", exclude_none=True)
        )
        await the.handover.keep(kept, NORMAL)
