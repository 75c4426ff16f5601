"""Agents' mailboxes: who is there, what waits, what is dead, and the switch of the processing.

All pages of agents' mail are the operator's, who is the overseer.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from mailroom.bridge import letter_overview
from mailroom.bridge.agent_auth import AgentCaller
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.letter_overview import Processing
from mailroom.bridge.pages_events import bursts, stopping
from mailroom.bridge.pages_html import back_to, render
from mailroom.bridge.pages_route import PageRoute
from mailroom.models.agent_mail import event_owner
from mailroom.models.base import Frozen
from mailroom.models.letter_rows import MailboxRow

router = APIRouter(route_class=PageRoute, include_in_schema=False)

OVERSEER = AgentCaller()
MOST_SHOWN = 200
# Fifty letters a second are two hundred events; a page of mailboxes counts all that wait.
BURST_SECONDS = 1.0
LETTER_ID = "^[0-9a-f]{32}$"

Find = Annotated[str, Query(max_length=200, description="a part of the address")]


class Mailboxes(Frozen):
    """The first of them whose addresses have `find`; the sums are over all of these."""

    find: str
    items: list[MailboxRow]
    total: int
    online: int
    queued: int
    dead_letters: int
    enabled: bool


class Switch(BaseModel):
    enabled: bool


@router.get("/agents")
async def agents_page(request: Request, the: The, who: Operator, find: Find = "") -> Response:
    return render(request, "agents.html", who, {"boxes": await _mailboxes(the, find)})


@router.get("/agents/mailboxes")
async def mailboxes(request: Request, the: The, who: Operator, find: Find = "") -> Response:
    """What changes on the page."""
    return render(request, "_agents.html", who, {"boxes": await _mailboxes(the, find)})


@router.post("/agents/processing")
async def switch(
    request: Request, wanted: Annotated[Switch, Form()], the: The, who: Operator
) -> Response:
    await letter_overview.switch(Processing(enabled=wanted.enabled), the, OVERSEER)
    notice = "Letters go on." if wanted.enabled else "Letters are taken, and wait."
    return back_to(request, "/agents", notice)


@router.get("/agents/stream", response_class=EventSourceResponse)
async def stream(
    request: Request,
    the: The,
    who: Operator,
    letter: Annotated[str | None, Query(pattern=LETTER_ID)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """`agents` as something happens to letters or sessions; with `letter`, as it happens to that.

    The first comes at once, for what happened while the page was on its way."""
    agents = event_owner("")
    async with the.feed.subscribe() as events:
        async for burst in bursts(events, stopping(request), BURST_SECONDS):
            about = {each.message_id for each in burst if each.owner.startswith(agents)}
            if not burst or letter in about or (about and letter is None):
                yield ServerSentEvent(event="agents", raw_data="changed")


async def _mailboxes(the: Context, find: str) -> Mailboxes:
    wanted = find.strip().lower()
    found = [one for one in await the.letter_figures.mailboxes() if wanted in one.address]
    return Mailboxes(
        find=wanted,
        items=found[:MOST_SHOWN],
        total=len(found),
        online=sum(one.online for one in found),
        queued=sum(one.queued for one in found),
        dead_letters=sum(one.dead_letters for one in found),
        enabled=await the.letter_figures.enabled(),
    )
