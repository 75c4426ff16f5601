"""Messages by any filter, in any order, with what can be done to many at once."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.datastructures import QueryParams

from mailroom.adapters import parquet
from mailroom.bridge import queue_searching
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import back_to, render
from mailroom.bridge.pages_outbound_filter import Filter, filter_of, query_of
from mailroom.bridge.pages_outbound_words import LASTINGS
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.problems import Problem
from mailroom.models.outbound.formats import ExportFormat
from mailroom.models.outbound.listing import MessagePage
from mailroom.models.outbound.places import LONGEST_CURSOR, Place, place_of
from mailroom.models.outbound.saved_filters import MOST_SAVED, FilterName, SavedFilter
from mailroom.models.outbound.words import (
    BounceType,
    MessageQueueStatus,
    QueueOperationType,
    QueueSortField,
    QueueState,
)

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PAGE = 50
LIST = "/outbound/messages"
_NAME: TypeAdapter[str] = TypeAdapter(FilterName)
_FORMATS = {
    ExportFormat.CSV: "CSV",
    ExportFormat.JSONL: "JSON Lines",
    ExportFormat.PARQUET: "Parquet",
}
_EMPTY = MessagePage(items=[], total=0, total_is_exact=True)
_LONGEST_QUERY = 16_000

Query = Annotated[str, Field(max_length=_LONGEST_QUERY)]


class Named(BaseModel):
    """A filter, to be saved under this name."""

    name: Annotated[str, Field(max_length=200)] = ""
    query: Query = ""


@router.get(LIST)
async def list_page(request: Request, the: The, who: Operator) -> Response:
    wanted, cursor = _wanted(request)
    shown: dict[str, object] = {
        "statuses": list(MessageQueueStatus),
        "states": list(QueueState),
        "bounces": list(BounceType),
        "sorts": list(QueueSortField),
        "operations": list(QueueOperationType),
        "lastings": LASTINGS,
        "formats": _formats(),
        "saved": [_saved(one) for one in await the.saved_filters.every()],
        "refused": None,
    }
    try:
        shown |= await _rows(the, wanted, cursor)
    except Problem as problem:
        shown |= _part(wanted, cursor, _EMPTY) | {"refused": problem.detail}
        return render(request, "outbound_list.html", who, shown, problem.status)
    return render(request, "outbound_list.html", who, shown)


@router.get(f"{LIST}/rows")
async def rows(request: Request, the: The, who: Operator) -> Response:
    """What changes on the page."""
    return render(request, "_outbound_rows.html", who, await _rows(the, *_wanted(request)))


@router.post("/outbound/filters")
async def save(
    request: Request, named: Annotated[Named, Form()], the: The, who: Operator
) -> Response:
    wanted = filter_from(named.query)
    notice = await _save(the, named.name.strip(), wanted)
    return back_to(request, list_of(wanted.query), notice)


@router.post("/outbound/filters/remove")
async def remove(
    request: Request, named: Annotated[Named, Form()], the: The, who: Operator
) -> Response:
    there = await the.saved_filters.remove(named.name)
    notice = f"The filter {named.name} is removed." if there else "There is no such filter."
    return back_to(request, list_of(filter_from(named.query).query), notice)


def filter_from(query: str) -> Filter:
    return filter_of(QueryParams(query).multi_items())


def list_of(query: str) -> str:
    return f"{LIST}?{query}" if query else LIST


def _wanted(request: Request) -> tuple[Filter, str | None]:
    given = request.query_params.multi_items()
    cursor = request.query_params.get("cursor") or None
    return filter_of(pair for pair in given if pair[0] != "cursor"), cursor


async def _rows(the: Context, wanted: Filter, cursor: str | None) -> dict[str, object]:
    if wanted.problems:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, " ".join(wanted.problems))
    selection = wanted.selection.model_copy(update={"limit": PAGE})
    async with queue_searching.not_too_slow(selection):
        page = await the.message_search.page(selection, _place(wanted, cursor))
    return _part(wanted, cursor, page)


def _place(wanted: Filter, cursor: str | None) -> Place | None:
    if not cursor:
        return None
    try:
        return place_of(wanted.selection, cursor[:LONGEST_CURSOR])
    except ValueError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"cursor: {error}.") from error


def _part(wanted: Filter, cursor: str | None, page: MessagePage) -> dict[str, object]:
    return {"wanted": wanted, "cursor": cursor, "page": page, "columns": _COLUMNS}


async def _save(the: Context, name: str, wanted: Filter) -> str:
    """What came of it, in a sentence."""
    if wanted.problems:
        return " ".join(wanted.problems)
    try:
        name = _NAME.validate_python(name)
    except ValidationError:
        return "Give the filter a name of 100 characters at most, without a slash."
    saved = await the.saved_filters.save(name, wanted.selection, MOST_SAVED)
    if saved is None:
        return f"There are {MOST_SAVED} saved filters already; remove one of them first."
    return f"The filter is saved as {saved.name}."


def _formats() -> list[tuple[str, str]]:
    """Parquet takes an extra that not everybody has installed."""
    there = parquet.is_there()
    return [(each, _FORMATS[each]) for each in _FORMATS if there or each != ExportFormat.PARQUET]


def _saved(one: SavedFilter) -> Mapping[str, Any]:
    return {"name": one.name, "query": query_of(one.selection)}


_COLUMNS = (
    ("recipient", "Recipient"),
    ("domain", "Domain"),
    (None, "Status"),
    ("priority", "Priority"),
    ("num_attempts", "Attempts"),
    ("size_bytes", "Size"),
    ("scheduled_at", "Scheduled"),
    ("created_at", "Submitted"),
)
