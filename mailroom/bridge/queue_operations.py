"""`/queue/operations`: what operators do to many messages, and the audit trail of it."""

from collections.abc import Awaitable
from datetime import UTC, timedelta
from http import HTTPStatus
from typing import Annotated, NamedTuple
from uuid import UUID, uuid4, uuid5

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter

from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.audit import by
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.flows import NotRunning
from mailroom.bridge.problems import Problem
from mailroom.models.base import Frozen
from mailroom.models.outbound.bulk import (
    OperationFilter,
    OperationPage,
    OperationRef,
    OperationStatus,
    OperationView,
)
from mailroom.models.outbound.operation_request import OperationRequest
from mailroom.models.outbound.words import QueueOperationType

router = APIRouter(prefix="/queue/operations", tags=["queue"], route_class=ApiRoute)

_KEYS = UUID("5f2c5a0e-5b0d-4a58-9b8d-0d5f6a1c8f1e")
LONGEST_WAIT, PAGE = 60, 50
_MOMENT = TypeAdapter(AwareDatetime)


class Wanted(Frozen):
    """Which entries of the audit trail."""

    operation: QueueOperationType | None = None
    status: OperationStatus | None = None
    limit: int = Field(default=PAGE, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=100)


Wait = Annotated[
    float,
    Query(ge=0, le=LONGEST_WAIT, description="seconds to wait for its end, or its question"),
]


class How(NamedTuple):
    id: UUID
    wait: float


async def _how(
    wait: Wait = 0, idempotency_key: Annotated[str | None, Header(max_length=200)] = None
) -> How:
    return How(uuid5(_KEYS, idempotency_key) if idempotency_key else uuid4(), wait)


class Begun(BaseModel):
    """It goes on by itself; `operation` is how far it was when the waiting was over."""

    operation_id: UUID
    operation: OperationView | None = None


@router.post("", status_code=HTTPStatus.ACCEPTED, response_model_exclude_none=True)
async def begin(
    request: OperationRequest,
    the: The,
    who: Operator,
    response: Response,
    how: Annotated[How, Depends(_how)],
) -> Begun:
    """Begins an operation. More than 1,000 messages are changed only once it is confirmed: with
    `confirm`, or later by POST to /queue/operations/{id}/confirm. With `wait` the answer has the
    operation itself, and 200 where it has ended."""
    id = how.id
    if not await the.operations.add(id, request, by(who)):
        raise Problem(
            HTTPStatus.CONFLICT,
            "This Idempotency-Key was used for another operation; use a new one.",
        )
    await the.operation_flows.start(
        OperationRef(
            id=id,
            operation=request.operation,
            dry_run=request.dry_run,
            confirmed=request.confirm,
            whole=request.whole is not None,
        )
    )
    if request.confirm:
        await _confirm_one_that_asks(the, id)
    if not how.wait:
        return Begun(operation_id=id)
    view = await _at_rest(the, id, how.wait)
    if view.status.ended:
        response.status_code = HTTPStatus.OK
    return Begun(operation_id=id, operation=view)


@router.get("", response_model_exclude_none=True)
async def operations(the: The, who: Operator, wanted: Annotated[Wanted, Query()]) -> OperationPage:
    """The newest first."""
    chosen = OperationFilter(
        operation=wanted.operation, status=wanted.status, **_place(wanted.cursor)
    )
    found = await the.operations.page(chosen, wanted.limit + 1)
    items = found[: wanted.limit]
    more = len(found) > wanted.limit
    return OperationPage(items=items, next_cursor=_cursor(items[-1]) if more else None)


@router.get("/{id}", response_model_exclude_none=True)
async def operation(id: UUID, the: The, who: Operator, wait: Wait = 0) -> OperationView:
    """How far it is; with `wait`, when it has ended or asks to be confirmed."""
    await _known(the, id)
    return await _at_rest(the, id, wait)


@router.post("/{id}/confirm", response_model_exclude_none=True)
async def confirm(id: UUID, the: The, who: Operator, wait: Wait = 0) -> OperationView:
    """The messages that were counted are meant."""
    await _still_asks(the, id)
    await _said(the.operation_flows.confirm(id))
    return await _at_rest(the, id, wait)


@router.post("/{id}/abandon", response_model_exclude_none=True)
async def abandon(id: UUID, the: The, who: Operator, wait: Wait = 0) -> OperationView:
    """It changes no more messages; what it has changed stays. One that was written down while
    Temporal was away, and never began, ends without having changed any."""
    view = await _known(the, id)
    if view.status is OperationStatus.PLANNING:
        await the.operation_flows.never_begin(OperationRef(id=id, operation=view.operation))
    else:
        await _said(the.operation_flows.abandon(id))
    return await _at_rest(the, id, wait)


async def _confirm_one_that_asks(the: Context, id: UUID) -> None:
    """The same key again, now with `confirm`."""
    if (await _known(the, id)).status is OperationStatus.AWAITING_CONFIRMATION:
        await _said(the.operation_flows.confirm(id))


async def _at_rest(the: Context, id: UUID, wait: float) -> OperationView:
    if wait:
        await the.operation_flows.at_rest(id, timedelta(seconds=wait))
    return await _known(the, id)


async def _known(the: Context, id: UUID) -> OperationView:
    view = await the.operations.one(id)
    if view is None:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such operation.")
    return view


async def _still_asks(the: Context, id: UUID) -> None:
    view = await _known(the, id)
    if view.status is not OperationStatus.AWAITING_CONFIRMATION:
        raise Problem(HTTPStatus.CONFLICT, f"The operation is {view.status} and asks for nothing.")


async def _said(saying: Awaitable[None]) -> None:
    try:
        await saying
    except NotRunning as error:
        raise Problem(HTTPStatus.CONFLICT, "The operation has ended.") from error


def _cursor(last: OperationView) -> str:
    """Without a plus sign, which means a space in an address."""
    at = last.created_at.astimezone(UTC).replace(tzinfo=None)
    return f"{at.isoformat()}Z/{last.id}"


def _place(cursor: str | None) -> dict[str, object]:
    if cursor is None:
        return {}
    at, _, id = cursor.partition("/")
    try:
        return {"before": _MOMENT.validate_python(at), "before_id": UUID(id)}
    except ValueError as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "cursor: This is none; take `next_cursor` of the page before.",
        ) from error
