"""`/outbound/stream`: tells the pages of outbound mail that what they show has changed."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
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

OPERATIONS = "outbound/operations"
"""Whose events those of operations are; see migration 0017."""
# A changed row has to be on an open list within a second, and a campaign has hundreds of events in
# one.
ROWS_SECONDS = 0.25
# How long ago things were is told anew, where nothing happens.
AGES_SECONDS = 60.0
# What counts messages is looked at less often, and the charts still less.
BURST_SECONDS, FIGURES_SECONDS = 1.0, 5.0
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


class Seldom:
    """An event of which at most one is told in so many seconds, and the last one always is."""

    def __init__(self, name: str, seconds: float) -> None:
        self._name, self._seconds = name, seconds
        self._told = -seconds
        self._waits = False

    def after(self, changed: bool, now: float) -> Iterable[ServerSentEvent]:
        self._waits |= changed
        if self._waits and now - self._told >= self._seconds:
            self._told, self._waits = now, False
            yield _changed(self._name)


class Overview:
    """What is told of all messages together."""

    def __init__(self) -> None:
        self._rate, self._words = Rate(monotonic()), ""
        self._rated = -BURST_SECONDS
        self._uncounted: list[MailEvent] = []
        self._seldom = (Seldom("outbound", BURST_SECONDS), Seldom("figures", FIGURES_SECONDS))

    def after(self, burst: list[MailEvent], changed: bool) -> Iterable[ServerSentEvent]:
        now = monotonic()
        for each in self._seldom:
            yield from each.after(changed, now)
        self._uncounted += burst
        if now - self._rated >= BURST_SECONDS:
            self._rated = now
            yield from self._rates(now)

    def _rates(self, now: float) -> Iterable[ServerSentEvent]:
        words = rendered("_outbound_rate.html", rate=self._rate.after(self._uncounted, now))
        if words != self._words:
            yield ServerSentEvent(event="rate", raw_data=words)
        self._words, self._uncounted = words, []


@router.get("/outbound/stream", response_class=EventSourceResponse)
async def stream(
    request: Request,
    the: The,
    who: Operator,
    message: Annotated[UUID | None, Query(description="events of this one alone")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """`outbound` as something happens to a message; without `message` that once a second at most,
    `rows` four times, `figures` every five seconds, and `rate`, how many are delivered.

    The first comes at once, for what happened while the page was on its way."""
    overview, told = Overview(), monotonic()
    async with the.feed.subscribe() as events:
        async for burst in _bursts(events, stopping(request)):
            now = monotonic()
            concerns = burst is None or _concerns(burst, message) or now - told > AGES_SECONDS
            told = now if concerns else told
            if concerns:
                yield _changed("outbound" if message else "rows")
            if message:
                continue
            for event in overview.after(burst or [], concerns):
                yield event


@router.get("/outbound/operations/stream", response_class=EventSourceResponse)
async def operations(
    request: Request,
    the: The,
    who: Operator,
    operation: Annotated[UUID | None, Query(description="events of this one alone")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """`operation` as one goes on, and once at once."""
    async with the.feed.subscribe() as events:
        async for burst in _bursts(events, stopping(request)):
            if burst is None or _goes_on(burst, operation):
                yield _changed("operation")


async def _bursts(
    events: asyncio.Queue[MailEvent], stop: asyncio.Event
) -> AsyncIterator[list[MailEvent] | None]:
    """None at once, then what has come; an empty one where nothing has, by which the rate is back
    at nothing."""
    yield None
    while not stop.is_set():
        first = await before(stop, _next(events))
        if stop.is_set():
            return
        burst = [first] if first else []
        yield [*burst, *(events.get_nowait() for _ in range(events.qsize()))]
        await before(stop, asyncio.sleep(ROWS_SECONDS))


async def _next(events: asyncio.Queue[MailEvent]) -> MailEvent | None:
    try:
        return await asyncio.wait_for(events.get(), BURST_SECONDS)
    except TimeoutError:
        return None


def _concerns(burst: list[MailEvent], message: UUID | None) -> bool:
    if any(event.type == RESUMED for event in burst):
        return True
    # An operation that deletes messages leaves no events of theirs.
    if message is None and any(event.owner == OPERATIONS for event in burst):
        return True
    about = {event.message_id for event in burst if event.owner == OUTBOUND}
    return str(message) in about if message else bool(about)


def _goes_on(burst: list[MailEvent], operation: UUID | None) -> bool:
    about = {event.message_id for event in burst if event.owner == OPERATIONS}
    known = str(operation) in about if operation else bool(about)
    return known or any(event.type == RESUMED for event in burst)


def _changed(event: str) -> ServerSentEvent:
    return ServerSentEvent(event=event, raw_data="changed")
