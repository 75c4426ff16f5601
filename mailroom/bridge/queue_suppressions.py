"""The list of addresses that get no more mail."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Discriminator, Field, Tag

from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.problems import Problem
from mailroom.models.base import Frozen
from mailroom.models.outbound import suppression_csv
from mailroom.models.outbound.suppression import (
    LONGEST_ADDRESS,
    Listed,
    NewSuppression,
    Source,
    SuppressionPage,
    TenantId,
    suppressed_form,
)
from mailroom.models.outbound.suppression_csv import BadLine, CsvRefused
from mailroom.models.outbound.suppression_place import FIRST, Place

router = APIRouter(prefix="/queue/suppressions", tags=["queue"], route_class=ApiRoute)

MOST_AT_ONCE = 1_000
ERRORS_SHOWN = 1_000

Tenant = Annotated[
    TenantId | None,
    Query(description="empty: what is without tenant; left out: all of them"),
]
OneTenant = Annotated[TenantId | None, Query(description="left out: without tenant")]
Address = Annotated[str, Query(max_length=LONGEST_ADDRESS)]


class Several(Frozen):
    items: Annotated[list[NewSuppression], Field(min_length=1, max_length=MOST_AT_ONCE)]


def _shape(given: object) -> str:
    several = isinstance(given, Several) or (isinstance(given, dict) and "items" in given)
    return "several" if several else "one"


# Told apart first, so that a refusal speaks of what was meant.
Given = Annotated[
    Annotated[NewSuppression, Tag("one")] | Annotated[Several, Tag("several")],
    Discriminator(_shape),
]


class Imported(Listed):
    """`refused` counts the lines that are no suppression; `errors` says why of the first 1,000."""

    refused: int
    errors: list[BadLine]


@router.get("")
async def suppressions(
    the: The,
    who: Operator,
    tenant_id: Tenant = None,
    search: Annotated[Address, Query(description="how an address begins")] = "",
    cursor: Annotated[str | None, Query(max_length=2_000)] = None,
    *,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
) -> SuppressionPage:
    """By address."""
    return await the.suppressions.page(tenant_id, _prefix(search), _place(cursor), limit)


@router.post("")
async def suppress(given: Given, the: The, who: Operator) -> Listed:
    """One, or `{"items": [...]}`: all of them or none."""
    items = given.items if isinstance(given, Several) else [given]
    return await the.suppressions.add(items)


@router.post(
    "/import",
    openapi_extra={
        "requestBody": {"content": {"text/csv": {"schema": {"type": "string"}}}, "required": True}
    },
)
async def import_suppressions(
    request: Request,
    the: The,
    who: Operator,
    tenant_id: OneTenant = None,
    source: Annotated[Source | None, Query()] = None,
    *,
    atomic: Annotated[bool, Query(description="all lines or none")] = False,
) -> Imported:
    """CSV with `address,reason`, or what the first line names; 100,000 lines at most. Good lines
    are listed together, or, where the store fails, none of them."""
    data = await request.body()
    try:
        good, bad = await asyncio.to_thread(_read, data, tenant_id, source)
    except CsvRefused as refusal:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(refusal)) from refusal
    errors = bad[:ERRORS_SHOWN]
    if atomic and bad:
        raise _refused(len(bad), errors)
    listed = await the.suppressions.add(good)
    return Imported(added=listed.added, known=listed.known, refused=len(bad), errors=errors)


@router.get("/export", response_class=StreamingResponse)
async def export_suppressions(the: The, who: Operator, tenant_id: Tenant = None) -> Response:
    """The list as CSV, which `import` reads. A cell that a spreadsheet would run has an apostrophe
    in front."""
    return StreamingResponse(
        _csv(the, tenant_id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="suppressions.csv"'},
    )


@router.delete("/{address:path}", status_code=HTTPStatus.NO_CONTENT)
async def allow(address: str, the: The, who: Operator, tenant_id: OneTenant = None) -> None:
    """The address gets mail again."""
    if not await the.suppressions.remove(suppressed_form(_without_nul(address)), tenant_id):
        whose = f" of the tenant {tenant_id}" if tenant_id else " without tenant"
        raise Problem(HTTPStatus.NOT_FOUND, f"This address is not on the list{whose}.")


async def _csv(the: Context, tenant_id: str | None) -> AsyncIterator[str]:
    yield suppression_csv.written((), header=True)
    async for page in the.suppressions.every(tenant_id):
        yield suppression_csv.written(page.items)


def _read(
    data: bytes, tenant_id: str | None, source: str | None
) -> tuple[list[NewSuppression], list[BadLine]]:
    good: list[NewSuppression] = []
    bad: list[BadLine] = []
    for line in suppression_csv.read(suppression_csv.as_text(data), tenant_id, source):
        if isinstance(line, BadLine):
            bad.append(line)
        else:
            good.append(line)
    return good, bad


def _refused(count: int, errors: list[BadLine]) -> Problem:
    first = errors[0]
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"Nothing was imported: {count:,} lines can't be used. Line {first.line}: {first.error}.",
        errors=[error.model_dump() for error in errors],
    )


def _prefix(search: str) -> str:
    return _without_nul(search).strip().lower()


def _without_nul(text: str) -> str:
    # PostgreSQL has no text with it, and no address either.
    return text.replace("\0", "")


def _place(cursor: str | None) -> Place:
    if cursor is None:
        return FIRST
    try:
        return Place.of(cursor)
    except ValueError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
