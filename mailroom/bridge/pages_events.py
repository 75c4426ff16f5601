"""`/events/stream`: tells a page that what it shows has changed (server-sent events).

Events carry no mail: a page asks anew for what it shows, and gets what its session may see.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from mailroom.bridge.auth import Caller, The, Who
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import rendered
from mailroom.models.events import MailEvent
from mailroom.models.names import email_reply_id

router = APIRouter(include_in_schema=False)

T = TypeVar("T")

# A mail takes six steps in its first tenth of a second; nobody reads that fast.
BURST_SECONDS = 0.4


@router.get("/events/stream", response_class=EventSourceResponse)
async def stream(
    request: Request,
    the: The,
    who: Who,
    mail: Annotated[str | None, Query(description="hash of one mail's workflow ID")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """`mails` and `counts` as the list changes; with `mail`, only `mail` as that one does.

    The first comes at once, for what happened while the page was on its way."""
    wanted = f"email-reply/{mail}" if mail else None
    async with the.feed.subscribe() as events:
        shown = None
        async for burst in bursts(events, stopping(request)):
            if not _concerns(burst, who, wanted):
                continue
            if mail:
                yield ServerSentEvent(event="mail", raw_data="changed")
                continue
            yield ServerSentEvent(event="mails", raw_data="changed")
            counts = await _counts(the, who)
            if counts != shown:
                shown = counts
                yield ServerSentEvent(event="counts", raw_data=counts)


def stopping(request: Request) -> asyncio.Event:
    """Set when the server stops, so that open streams don't hold it."""
    event = request.app.state.stopping
    assert isinstance(event, asyncio.Event)
    return event


async def before(stop: asyncio.Event, waiting: Coroutine[Any, Any, T]) -> T | None:
    """What was waited for, or None if the server stopped before."""
    wanted, stopped = asyncio.create_task(waiting), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((wanted, stopped), return_when=asyncio.FIRST_COMPLETED)
        return wanted.result() if wanted.done() else None
    finally:
        wanted.cancel()
        stopped.cancel()


async def bursts(
    events: asyncio.Queue[MailEvent], stop: asyncio.Event, seconds: float = BURST_SECONDS
) -> AsyncIterator[list[MailEvent]]:
    """An empty one at once, then what has come, every so many seconds at most."""
    yield []
    while not stop.is_set():
        first = await before(stop, events.get())
        if first is None:
            return
        yield [first, *(events.get_nowait() for _ in range(events.qsize()))]
        await before(stop, asyncio.sleep(seconds))


def _concerns(burst: list[MailEvent], who: Caller, workflow_id: str | None) -> bool:
    mine = [event for event in burst if event.owner in who.owners]
    if not burst or workflow_id is None:
        return not burst or bool(mine)
    return any(email_reply_id(event.owner, event.message_id) == workflow_id for event in mine)


async def _counts(the: Context, who: Caller) -> str:
    return rendered("_counts.html", counts=await the.statistics.counts(who.owners))
