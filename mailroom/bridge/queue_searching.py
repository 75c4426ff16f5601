"""`GET /queue/messages`: messages by any filter in any order; and filters that have a name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from psycopg.errors import QueryCanceled
from pydantic import Field, ValidationError
from sqlalchemy.exc import OperationalError

from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.problems import Problem
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.listing import MessagePage
from mailroom.models.outbound.places import LONGEST_CURSOR, Place, place_of
from mailroom.models.outbound.saved_filters import (
    MOST_SAVED,
    FilterName,
    SavedFilter,
    SavedFilters,
    merged,
)

router = APIRouter(prefix="/queue", tags=["queue"], route_class=ApiRoute)

# Each of them has an index that goes on by time.
_NARROWING = ("created_after", "status", "domain", "campaign_id", "tenant_id")


class Selecting(MessageSelection):
    """A selection as parameters of a request; `filter` is a saved one, which they go before."""

    filter: FilterName | None = None


class Asked(Selecting):
    cursor: str | None = Field(default=None, max_length=LONGEST_CURSOR)


@router.get("/messages", response_model_exclude_none=True)
async def messages(the: The, who: Operator, asked: Annotated[Asked, Query()]) -> MessagePage:
    """By `created_at`, the newest first, unless `sort_by` and `sort_order` say otherwise."""
    selection = await selection_of(the, asked)
    after = _place(selection, asked.cursor) if asked.cursor else None
    async with not_too_slow(selection):
        return await the.message_search.page(selection, after)


@router.get("/filters", response_model_exclude_none=True)
async def filters(the: The, who: Operator) -> SavedFilters:
    return SavedFilters(items=await the.saved_filters.every())


@router.get("/filters/{name}", response_model_exclude_none=True)
async def one_filter(name: FilterName, the: The, who: Operator) -> SavedFilter:
    return await _saved(the, name)


@router.put("/filters/{name}", response_model_exclude_none=True)
async def save_filter(
    name: FilterName, selection: MessageSelection, the: The, who: Operator
) -> SavedFilter:
    """In place of an older one of this name."""
    saved = await the.saved_filters.save(name, selection, MOST_SAVED)
    if saved is None:
        detail = f"There are {MOST_SAVED} saved filters already; remove one of them first."
        raise Problem(HTTPStatus.CONFLICT, detail)
    return saved


@router.delete("/filters/{name}", status_code=HTTPStatus.NO_CONTENT)
async def remove_filter(name: FilterName, the: The, who: Operator) -> None:
    if not await the.saved_filters.remove(name):
        raise _unknown(name)


async def selection_of(the: Context, asked: Selecting) -> MessageSelection:
    """What is asked for, and what a saved filter says besides."""
    saved = await _saved(the, asked.filter) if asked.filter else None
    try:
        return merged(saved, asked)
    except ValidationError as error:
        problems = [{**one, "loc": ("query", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(problems) from error


@asynccontextmanager
async def not_too_slow(selection: MessageSelection) -> AsyncIterator[None]:
    """The store gives up what takes longer than its time-out."""
    try:
        yield
    except OperationalError as error:
        if not isinstance(error.orig, QueryCanceled):
            raise
        given = selection.model_dump(exclude_none=True)
        missing = [name for name in _NARROWING if name not in given]
        hint = f"narrow it by {' or '.join(missing[:3])}" if missing else "try a narrower one"
        problem = Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, f"This filter takes too long right now; {hint}."
        )
        problem.headers["Retry-After"] = "5"
        raise problem from error


def _place(selection: MessageSelection, cursor: str) -> Place:
    if selection.offset:
        detail = "offset: The cursor leads on by itself; give one of both."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    try:
        return place_of(selection, cursor)
    except ValueError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"cursor: {error}.") from error


async def _saved(the: Context, name: str) -> SavedFilter:
    saved = await the.saved_filters.one(name)
    if saved is None:
        raise _unknown(name)
    return saved


def _unknown(name: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"There is no saved filter {name!r}.")
