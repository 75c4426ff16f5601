"""`/outbound/stream`: tells the pages of outbound mail that what they show has changed."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from mailroom.bridge.auth import Operator, The
from mailroom.bridge.pages_events import before, stopping
from mailroom.bridge.pages_html import rendered
from mailroom.bridge.pages_route import PageRoute
from mailroom.models.events import RESUMED, MailEvent
from mailroom.models.outbound.message import OUTBOUND, Event

router = APIRouter(route_class=PageRoute, include_in_schema=False)

# A campaign has hundreds of events a second, and the page counts all messages.
BURST_SECONDS = 1.0
RATE_SECONDS = 10.0


class Rate:
    """Deliveries per second, over the last ten."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._seen: deque[tuple[float, int]] = deque()

    def after(self, burst: list[MailEvent], now: float) -> float:
        self._seen.append((now, sum(event.type == Event.DELIVERED for event in burst)))
        while now - self._seen[0][0] > RATE_SECONDS:
            self._seen.popleft()
        passed = min(RATE_SECONDS, max(BURST_SECONDS, now - self._began))
        return sum(count for _, count in self._seen) / passed


@router.get("/outbound/stream", response_class=EventSourceResponse)
async def stream(
    request: Request,
    the: The,
    who: Operator,
    message: Annotated[UUID | None, Query(description="events of this one alone")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """`outbound` as something happens to a message, once a second at most; without `message` also
    `rate`, how many are delivered.

    The first comes at once, for what happened while the page was on its way."""
    rate, shown = Rate(monotonic()), ""
    async with the.feed.subscribe() as events:
        async for burst in _bursts(events, stopping(request)):
            if burst is None or _concerns(burst, message):
                yield ServerSentEvent(event="outbound", raw_data="changed")
            if message is None:
                words = rendered("_outbound_rate.html", rate=rate.after(burst or [], monotonic()))
                if words != shown:
                    shown = words
                    yield ServerSentEvent(event="rate", raw_data=words)


async def _bursts(
    events: asyncio.Queue[MailEvent], stop: asyncio.Event
) -> AsyncIterator[list[MailEvent] | None]:
    """None at once, then what has come each second; an empty one after ten quiet seconds, by which
    the rate is back at nothing."""
    yield None
    while not stop.is_set():
        first = await before(stop, _next(events))
        if stop.is_set():
            return
        burst = [first] if first else []
        yield [*burst, *(events.get_nowait() for _ in range(events.qsize()))]
        await before(stop, asyncio.sleep(BURST_SECONDS))


async def _next(events: asyncio.Queue[MailEvent]) -> MailEvent | None:
    try:
        return await asyncio.wait_for(events.get(), BURST_SECONDS)
    except TimeoutError:
        return None


def _concerns(burst: list[MailEvent], message: UUID | None) -> bool:
    if any(event.type == RESUMED for event in burst):
        return True
    about = {event.message_id for event in burst if event.owner == OUTBOUND}
    return str(message) in about if message else bool(about)
