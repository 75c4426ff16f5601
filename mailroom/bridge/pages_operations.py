"""Operations over many messages: what was done, by whom and why, and how far the running ones
are."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import urlencode
from uuid import UUID, uuid5

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field, ValidationError

from mailroom.bridge import queue_operations
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import back_to, render
from mailroom.bridge.pages_operations_asking import OPERATIONS
from mailroom.bridge.pages_operations_words import about, again, sentence_of
from mailroom.bridge.pages_outbound_filter import problems_of
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.problems import Problem
from mailroom.models.outbound.bulk import OperationStatus, OperationView
from mailroom.models.outbound.words import QueueOperationType

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PAGE = 30
_AFTER = UUID("1f4b8c1e-9a35-4a8c-8a53-3a9d3a1f5d10")
SURE = "Say first that all of them are meant."


class Listed(BaseModel):
    """Which entries of the trail; empty fields stand for all."""

    operation: QueueOperationType | Literal[""] = ""
    status: OperationStatus | Literal[""] = ""
    cursor: Annotated[str | None, Field(max_length=100)] = None

    @property
    def query(self) -> str:
        given = {"operation": self.operation, "status": self.status}
        return urlencode({name: each for name, each in given.items() if each})

    @property
    def wanted(self) -> queue_operations.Wanted:
        return queue_operations.Wanted(
            operation=self.operation or None,
            status=self.status or None,
            limit=PAGE,
            cursor=self.cursor,
        )


class Agreed(BaseModel):
    sure: bool = False


@router.get(OPERATIONS)
async def trail_page(
    request: Request, wanted: Annotated[Listed, Query()], the: The, who: Operator
) -> Response:
    shown = await _trail(the, who, wanted)
    choices = {"operations": list(QueueOperationType), "states": list(OperationStatus)}
    return render(request, "operations.html", who, shown | choices)


@router.get(f"{OPERATIONS}/trail")
async def trail(
    request: Request, wanted: Annotated[Listed, Query()], the: The, who: Operator
) -> Response:
    """What changes on the page."""
    return render(request, "_operations.html", who, await _trail(the, who, wanted))


@router.get(f"{OPERATIONS}/{{id}}")
async def operation_page(request: Request, id: UUID, the: The, who: Operator) -> Response:
    return render(request, "operation.html", who, await _shown(the, who, id))


@router.get(f"{OPERATIONS}/{{id}}/state")
async def state(request: Request, id: UUID, the: The, who: Operator) -> Response:
    """What changes on the page of an operation."""
    return render(request, "_operation.html", who, await _shown(the, who, id))


@router.post(f"{OPERATIONS}/{{id}}/do")
async def do(
    request: Request, id: UUID, agreed: Annotated[Agreed, Form()], the: The, who: Operator
) -> Response:
    """What was counted is done, once however often it is said."""
    counted = await queue_operations.operation(id, the, who)
    here = f"{OPERATIONS}/{id}"
    if not counted.dry_run:
        raise Problem(HTTPStatus.CONFLICT, "This was no count; it is done already.")
    if about(counted).is_large and not agreed.sure:
        return back_to(request, here, SURE)
    try:
        asked = again(counted)
    except ValidationError as error:
        return back_to(request, here, f"{' '.join(problems_of(error))} Ask again from the list.")
    how = queue_operations.How(_done_as(id), 0)
    await queue_operations.begin(asked, the, who, Response(), how)
    return RedirectResponse(f"{OPERATIONS}/{how.id}", HTTPStatus.SEE_OTHER)


@router.post(f"{OPERATIONS}/{{id}}/confirm")
async def confirm(request: Request, id: UUID, the: The, who: Operator) -> Response:
    return await _say(request, id, queue_operations.confirm(id, the, who), "It goes on.")


@router.post(f"{OPERATIONS}/{{id}}/abandon")
async def abandon(request: Request, id: UUID, the: The, who: Operator) -> Response:
    told = "It is to stop; what it has changed stays."
    return await _say(request, id, queue_operations.abandon(id, the, who), told)


async def _say(
    request: Request, id: UUID, saying: Awaitable[OperationView], notice: str
) -> Response:
    try:
        await saying
    except Problem as problem:
        notice = problem.detail
    return back_to(request, f"{OPERATIONS}/{id}", notice)


async def _trail(the: Context, who: Operator, wanted: Listed) -> dict[str, object]:
    page = await queue_operations.operations(the, who, wanted.wanted)
    return {"wanted": wanted, "page": page, "about": about, "sentence": sentence_of}


async def _shown(the: Context, who: Operator, id: UUID) -> dict[str, object]:
    operation = await queue_operations.operation(id, the, who)
    done = await the.operations.one(_done_as(id)) if operation.dry_run else None
    return {
        "operation": operation,
        "about": about(operation),
        "sentence": sentence_of(operation),
        "done_as": done.id if done else None,
    }


def _done_as(counted: UUID) -> UUID:
    """The operation that follows a count."""
    return uuid5(_AFTER, str(counted))
