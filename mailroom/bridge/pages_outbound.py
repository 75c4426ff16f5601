"""Outbound mail as it goes: counts, queues, the latest messages. The operator's."""

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from mailroom.bridge import queue_reading
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import render
from mailroom.bridge.pages_outbound_words import shares
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.problems import Problem
from mailroom.bridge.queue_reading import Wanted
from mailroom.models.outbound.words import MessageQueueStatus

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PAGE, QUEUES_SHOWN = 30, 12

Text = Annotated[str, Field(max_length=320, pattern=r"^[^\x00]*$")]


class Filter(BaseModel):
    """Which messages are shown; an empty field stands for all."""

    status: MessageQueueStatus | Literal[""] = ""
    domain: Text = ""
    queue: Text = ""
    campaign: Text = ""
    recipient: Text = ""

    @property
    def query(self) -> str:
        return self.with_status(self.status)

    def with_status(self, status: str) -> str:
        """The same filter, for another status."""
        given = {name: str(getattr(self, name)).strip() for name in Filter.model_fields}
        return urlencode(
            {name: value for name, value in (given | {"status": status}).items() if value}
        )

    def wanted(self, cursor: str | None) -> Wanted:
        """As the API takes it."""
        return Wanted(
            status=[self.status] if self.status else [],
            domain=self.domain.strip().lower() or None,
            queue_name=self.queue.strip() or None,
            campaign_id=self.campaign.strip() or None,
            recipient=self.recipient.strip() or None,
            limit=PAGE,
            cursor=cursor,
        )


class Listed(Filter):
    cursor: Annotated[str | None, Field(max_length=500)] = None


@router.get("/outbound")
async def outbound_page(
    request: Request, wanted: Annotated[Listed, Query()], the: The, who: Operator
) -> Response:
    shown = await _now(the, wanted) | {"statuses": list(MessageQueueStatus), "refused": None}
    try:
        shown |= await _messages(the, who, wanted)
    except Problem as problem:
        shown |= {"messages": [], "older": None, "refused": problem.detail}
        return render(request, "outbound.html", who, shown, problem.status)
    return render(request, "outbound.html", who, shown)


@router.get("/outbound/now")
async def now(
    request: Request, wanted: Annotated[Listed, Query()], the: The, who: Operator
) -> Response:
    """What changes on the page: counts and queues."""
    return render(request, "_outbound_now.html", who, await _now(the, wanted))


@router.get("/outbound/messages")
async def messages(
    request: Request, wanted: Annotated[Listed, Query()], the: The, who: Operator
) -> Response:
    """And the messages."""
    shown = await _messages(the, who, wanted)
    return render(request, "_outbound_messages.html", who, shown | {"wanted": wanted})


async def _now(the: Context, wanted: Listed) -> dict[str, object]:
    overview = await the.message_views.overview(wanted.campaign.strip() or None)
    return {
        "wanted": wanted,
        "total": sum(overview.messages_by_status.values()),
        "shares": shares(overview.messages_by_status),
        "queues": overview.queues[:QUEUES_SHOWN],
        "more_queues": max(0, len(overview.queues) - QUEUES_SHOWN),
    }


async def _messages(the: Context, who: Operator, wanted: Listed) -> dict[str, object]:
    page = await queue_reading.messages(the, who, wanted.wanted(wanted.cursor))
    return {"messages": page.items, "older": page.next_cursor}
