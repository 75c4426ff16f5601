"""`/queue/suspensions`: what is held whatever queue it is in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from mailroom.adapters.postgres.suspensions import SuspensionPage
from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.audit import note_hold, note_release
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.problems import Problem
from mailroom.models.outbound.scopes import SuspensionScope, compared
from mailroom.models.outbound.submission import Name
from mailroom.models.outbound.suspensions import (
    Suspend,
    Suspended,
    Suspension,
    SuspensionCursor,
)

router = APIRouter(prefix="/queue/suspensions", tags=["queue"], route_class=ApiRoute)

PAGE_LIMIT = 200

Limit = Annotated[int, Query(ge=1, le=PAGE_LIMIT)]
Cursor = Annotated[
    str | None, Query(max_length=500, description="`next_cursor` of the page before")
]
HeldName = Annotated[
    Name, Path(description="the domain, or the ID of the campaign, tenant or pool")
]


@router.get("")
async def suspensions(
    the: The, who: Operator, cursor: Cursor = None, limit: Limit = PAGE_LIMIT
) -> SuspensionPage:
    try:
        place = SuspensionCursor.of(cursor) if cursor else None
    except ValueError as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "This is no cursor; take `next_cursor` of the page before.",
        ) from error
    return await the.suspensions.page(limit, place)


@router.get("/{scope}/{name:path}")
async def suspension(scope: SuspensionScope, name: HeldName, the: The, who: Operator) -> Suspension:
    async with _named():
        found = await the.suspensions.one(scope, compared(scope, name))
    if found is None:
        raise _nothing(scope, name)
    return found


@router.put("/{scope}/{name:path}")
async def suspend(
    scope: SuspensionScope, name: HeldName, wanted: Suspend, the: The, who: Operator
) -> Suspended:
    """Holds what is there and what comes, until it ends or is deleted."""
    async with _named():
        name = compared(scope, name)
    try:
        return await the.suspending.hold(scope, name, wanted.reason, wanted.until)
    finally:
        # It holds also where Temporal, which looks after its end, is away.
        await note_hold(the, who, scope, name, wanted)


@router.delete("/{scope}/{name:path}", status_code=HTTPStatus.NO_CONTENT)
async def release(scope: SuspensionScope, name: HeldName, the: The, who: Operator) -> Response:
    """What it held goes on, unless something else holds it, too."""
    async with _named():
        if not await the.suspending.release(scope, name):
            raise _nothing(scope, name)
    await note_release(the, who, scope, compared(scope, name))
    return Response(status_code=HTTPStatus.NO_CONTENT)


@asynccontextmanager
async def _named() -> AsyncIterator[None]:
    try:
        yield
    except ValueError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"name: {error}.") from error


def _nothing(scope: SuspensionScope, name: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"No suspension holds the {scope} {name}.")
