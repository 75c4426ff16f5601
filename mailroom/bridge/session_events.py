"""A session's letters as they come: server-sent events, or a long poll."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, format_sse_event

from mailroom.bridge.agent_auth import Agent, AgentRoute
from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.bridge.pages_events import before, stopping
from mailroom.bridge.sessions import SessionId, the_session
from mailroom.models.agent_mail import Event, event_owner
from mailroom.models.events import QUEUE_LIMIT, RESUMED, MailEvent
from mailroom.models.sessions import Pushed, Session
from mailroom.ports import Permanent

router = APIRouter(tags=["sessions"], route_class=AgentRoute)

AT_ONCE = MOST_REMEMBERED = 100
LONGEST_POLL = 60
# The letter itself says the first, and nobody outside can do anything with the second.
UNSAID = (Event.DELIVERING, RESUMED)
# Below the idle time-outs of usual proxies.
PING_SECONDS = 15.0
PING = format_sse_event(comment="ping")


@router.get("/sessions/{session_id}/events")
async def events(
    session_id: SessionId,
    request: Request,
    the: The,
    agent: Agent,
    wait: Annotated[
        float | None,
        Query(ge=0, le=LONGEST_POLL, description="seconds; a JSON list instead of a stream"),
    ] = None,
) -> Response:
    """Letters until they are confirmed (`message.received`), and what happens to those of this
    address. A letter may come again with the same `event_id`."""
    session = await the_session(the, agent, session_id)
    if wait is not None:
        return JSONResponse(await _polled(the, session, wait, stopping(request)))
    stream = _Stream(the, session)
    return EventSourceResponse(stream.events(stopping(request)))


async def _polled(
    the: Context, session: Session, wait: float, stop: asyncio.Event
) -> list[dict[str, Any]]:
    async with the.feed.subscribe(event_owner(session.address)) as news:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while not (found := await _open(the, session)):
                    event = await before(stop, news.get())
                    if event is None:
                        break
                return [await _whole(the, each) for each in found]
    return []


async def _open(
    the: Context, session: Session, sent: Mapping[int, int] | None = None
) -> list[Pushed]:
    by_priority = the.agents.enable_priority_processing
    return await the.sessions.open(
        session.session_id, session.address, AT_ONCE, by_priority=by_priority, sent=sent or {}
    )


async def _whole(the: Context, pushed: Pushed) -> dict[str, Any]:
    body = pushed.body
    if body is None and pushed.blob:
        try:
            body = (await the.blobs.get(pushed.blob)).decode()
        except Permanent as error:
            # What was removed or lost must not hold up the letters behind it.
            body = str(error)
    return pushed.event(body or "")


class _Stream:
    def __init__(self, the: Context, session: Session) -> None:
        self._the = the
        self._session = session
        self._sent: dict[int, int] = {}

    async def events(self, stop: asyncio.Event) -> AsyncIterator[bytes]:
        """Until the client goes, the server stops or the session ends."""
        async with self._the.feed.subscribe(event_owner(self._session.address)) as news:
            yield PING
            async for letter in self._letters():
                yield letter
            while not stop.is_set():
                burst = await _burst(news, stop)
                if not burst:
                    yield PING
                for event in burst:
                    if event.type not in UNSAID:
                        yield _said(event)
                if _may_bring_letters(burst):
                    async for letter in self._letters():
                        yield letter
                if any(self._ends(event) for event in burst):
                    return

    async def _letters(self) -> AsyncIterator[bytes]:
        """What was pushed and not sent yet, or is to be sent again."""
        full = True
        while full:
            new = await _open(self._the, self._session, self._sent)
            self._sent |= {each.event_id: each.attempt for each in new}
            for each in new:
                yield await _letter(self._the, each)
            full = len(new) == AT_ONCE
        if len(self._sent) > MOST_REMEMBERED:
            session = self._session.session_id
            still = await self._the.sessions.still_open(session, list(self._sent))
            self._sent = {event: self._sent[event] for event in still}

    def _ends(self, event: MailEvent) -> bool:
        mine = event.message_id == self._session.session_id
        return mine and event.type == Event.UNREGISTERED


async def _letter(the: Context, pushed: Pushed) -> bytes:
    whole = json.dumps(await _whole(the, pushed), ensure_ascii=False)
    return format_sse_event(data_str=whole, event="message.received", id=str(pushed.event_id))


def _may_bring_letters(burst: Sequence[MailEvent]) -> bool:
    """Also where an event may be missing: the feed was cut off, or the client is that slow."""
    bring = (Event.DELIVERING, RESUMED)
    return len(burst) >= QUEUE_LIMIT or any(event.type in bring for event in burst)


async def _burst(news: asyncio.Queue[MailEvent], stop: asyncio.Event) -> list[MailEvent]:
    """The next events; none after a while, or when the server stops."""
    if not news.empty():
        return [news.get_nowait() for _ in range(news.qsize())]
    try:
        async with asyncio.timeout(PING_SECONDS):
            first = await before(stop, news.get())
    except TimeoutError:
        return []
    if first is None:
        return []
    return [first, *(news.get_nowait() for _ in range(news.qsize()))]


def _said(event: MailEvent) -> bytes:
    said = json.dumps({"type": event.type, "message_id": event.message_id})
    return format_sse_event(data_str=said, event=event.type)
