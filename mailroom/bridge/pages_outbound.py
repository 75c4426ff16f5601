"""Outbound mail as it goes: counts, what happened when, queues and domains. The operator's."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import render
from mailroom.bridge.pages_outbound_charts import chart_of, depths_of
from mailroom.bridge.pages_outbound_words import shares
from mailroom.bridge.pages_route import PageRoute
from mailroom.models.outbound.queue_figures import QueueScope
from mailroom.models.outbound.scopes import SuspensionScope

router = APIRouter(route_class=PageRoute, include_in_schema=False)

QUEUES_SHOWN, HOLDS_SHOWN = 12, 5

Text = Annotated[str, Field(max_length=320, pattern=r"^[^\x00]*$")]


class Period(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


_LENGTHS = {
    Period.HOUR: timedelta(hours=1),
    Period.DAY: timedelta(days=1),
    Period.WEEK: timedelta(days=7),
}


class Looked(BaseModel):
    """All messages, or those of a campaign."""

    campaign: Text = ""
    period: Period = Period.HOUR

    @property
    def campaign_id(self) -> str | None:
        return self.campaign.strip() or None

    @property
    def scope(self) -> QueueScope:
        return QueueScope(campaign_id=self.campaign_id)

    @property
    def query(self) -> str:
        return self.over(self.period)

    def over(self, period: Period) -> str:
        """The same, for another period."""
        campaign = {"campaign": self.campaign_id} if self.campaign_id else {}
        return urlencode({**campaign, "period": period})

    def list_of(self, **more: str) -> str:
        """The filter of a list of these messages."""
        campaign = {"campaign_id": self.campaign_id} if self.campaign_id else {}
        return urlencode({**more, **campaign})


@router.get("/outbound")
async def outbound_page(
    request: Request, wanted: Annotated[Looked, Query()], the: The, who: Operator
) -> Response:
    shown = await _now(the, wanted) | await _figures(the, wanted) | {"periods": list(Period)}
    return render(request, "outbound.html", who, shown)


@router.get("/outbound/now")
async def now(
    request: Request, wanted: Annotated[Looked, Query()], the: The, who: Operator
) -> Response:
    """What changes on the page: counts and queues."""
    return render(request, "_outbound_now.html", who, await _now(the, wanted))


@router.get("/outbound/figures")
async def figures(
    request: Request, wanted: Annotated[Looked, Query()], the: The, who: Operator
) -> Response:
    """What changes more slowly."""
    return render(request, "_outbound_figures.html", who, await _figures(the, wanted))


async def _now(the: Context, wanted: Looked) -> dict[str, object]:
    overview = await the.message_views.overview(wanted.campaign_id)
    return {
        **await _holds(the, wanted),
        "wanted": wanted,
        "total": sum(overview.messages_by_status.values()),
        "shares": shares(overview.messages_by_status),
        "queues": overview.queues[:QUEUES_SHOWN],
        "more_queues": max(0, len(overview.queues) - QUEUES_SHOWN),
    }


async def _holds(the: Context, wanted: Looked) -> dict[str, object]:
    """The first few suspensions; on a campaign's page its own."""
    if wanted.campaign_id:
        its = await the.suspensions.one(SuspensionScope.CAMPAIGN, wanted.campaign_id)
        return {"holds": [its] if its else [], "more_holds": False}
    page = await the.suspensions.page(HOLDS_SHOWN)
    return {"holds": page.items, "more_holds": page.next_cursor is not None}


async def _figures(the: Context, wanted: Looked) -> dict[str, object]:
    series = await the.queue_figures.series(wanted.scope, _LENGTHS[wanted.period])
    metrics = await the.queue_figures.metrics(wanted.scope)
    return {
        "wanted": wanted,
        "chart": chart_of(series),
        "metrics": metrics,
        "depths": depths_of(metrics.queue_depth_by_domain),
    }
