"""All replies with their state, newest first."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from mailroom.adapters.postgres.views import WorkflowState
from mailroom.bridge.auth import Caller, The, Who
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import render
from mailroom.bridge.pages_route import PageRoute
from mailroom.models.base import Frozen
from mailroom.models.states import MailState

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PAGE = 50
# A part of the list that is refreshed may have grown since it was loaded.
GROWN = 200


class Shown(StrEnum):
    """Which mails are listed."""

    ALL = "all"
    WAITING = "waiting"
    FAILED = "failed"
    DONE = "done"


STATES = {
    Shown.ALL: (),
    Shown.WAITING: (MailState.AWAITING_USER,),
    Shown.FAILED: (MailState.FAILED,),
    Shown.DONE: (MailState.REPLY_SENT, MailState.USER_IGNORED, MailState.TIMEOUT),
}


class Part(Frozen):
    """Rows older than `before` and not older than `until`; `more` says that older ones follow."""

    shown: Shown
    before: int | None
    until: int
    rows: list[WorkflowState]
    more: bool


Filter = Annotated[Shown, Query(alias="state")]
Before = Annotated[int | None, Query(ge=1, description="the last `id` of the part before")]


@router.get("/")
async def mails_page(
    request: Request, the: The, who: Who, shown: Filter = Shown.ALL, before: Before = None
) -> Response:
    part = await _part(the, who, shown, before)
    counts = await the.statistics.counts(who.owners)
    return render(
        request, "mails.html", who, {"part": part, "counts": counts, "filters": list(Shown)}
    )


@router.get("/mails")
async def older(
    request: Request, the: The, who: Who, shown: Filter = Shown.ALL, before: Before = None
) -> Response:
    """The next part of the list."""
    return render(request, "_part.html", who, {"part": await _part(the, who, shown, before)})


class Range(BaseModel):
    """What a part of the list showed when it was loaded."""

    state: Shown = Shown.ALL
    before: int | None = Field(default=None, ge=1)
    until: int = Field(default=0, ge=0)


@router.get("/mails/rows")
async def rows(request: Request, the: The, who: Who, shown: Annotated[Range, Query()]) -> Response:
    """The rows of a part of the list as they are now."""
    found = await the.views.page(who.owners, STATES[shown.state], shown.before, GROWN)
    kept = [row for row in found if row.id >= shown.until]
    hidden = len(kept) == GROWN and kept[-1].id > shown.until
    return render(
        request, "_rows.html", who, {"rows": kept, "shown": shown.state, "hidden": hidden}
    )


async def _part(the: Context, who: Caller, shown: Shown, before: int | None) -> Part:
    found = await the.views.page(who.owners, STATES[shown], before, PAGE + 1)
    rows = found[:PAGE]
    return Part(
        shown=shown,
        before=before,
        until=rows[-1].id if rows else 0,
        rows=rows,
        more=len(found) > PAGE,
    )
