"""Figures over some days, for programs and spreadsheets."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from mailroom.adapters.postgres.analytics import MOST_DAYS
from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Caller, The, Who
from mailroom.bridge.context import Context
from mailroom.models.figures import Figures, csv_of

# Before the routes that take any Message-ID.
router = APIRouter(tags=["workflow"], route_class=ApiRoute)

Days = Annotated[int, Query(ge=1, le=MOST_DAYS, description="how many days of UTC, with today")]


@router.get("/workflow/stats")
async def stats(the: The, who: Who, days: Days = 30) -> Figures:
    """Mails, texts, answers, response times, edits, failures and tokens by day; rates by sender
    and by source of the draft; the latest edits with what they changed."""
    return await figures_of(the, who, days)


@router.get("/workflow/stats.csv")
async def stats_csv(the: The, who: Who, days: Days = 30) -> Response:
    """The days alone, one line each."""
    figures = await figures_of(the, who, days)
    return Response(
        csv_of(figures.days),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="mailroom-{days}-days.csv"'},
    )


async def figures_of(the: Context, who: Caller, days: int) -> Figures:
    return await the.analytics.figures(days, None if who.operator else who.owners)
