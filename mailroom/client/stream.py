"""A session's events as they come (server-sent events), through lost connections and restarts of
the bridge."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse
from pydantic import ValidationError

from mailroom.client.confirming import confirmed
from mailroom.client.errors import Refused, Unreachable
from mailroom.client.leases import Leases
from mailroom.client.pauses import LONGEST, pauses
from mailroom.client.sessions import MESSAGE_RECEIVED, SessionEvent
from mailroom.client.wire import Wire, check, segment_of

# The bridge says at least a comment every 15 s.
SILENCE_SECONDS = 50.0
CONNECT_SECONDS = 10.0
REMEMBERED = 10_000

log = logging.getLogger(__name__)


class Stream:
    def __init__(self, wire: Wire, leases: Leases, session_id: str) -> None:
        self._wire = wire
        self._leases = leases
        self._id = session_id
        self._last: str | None = None
        self._seen: OrderedDict[int, None] = OrderedDict()

    async def events(self) -> AsyncGenerator[SessionEvent, None]:
        """Each once, letters confirmed, until the session is unregistered by this client."""
        now = asyncio.get_running_loop().time
        pausing = pauses()
        while self._leases.holds(self._id):
            began = now()
            try:
                async with aclosing(self._connected()) as events:
                    async for event in events:
                        yield event
            except Unreachable as error:
                log.info("the events of a session broke off: %s", error)
            except Refused as refusal:
                log.info("the events of a session were refused: %s", refusal)
                await self._register_again()
            if now() - began > LONGEST:  # it was there meanwhile
                pausing = pauses()
            await asyncio.sleep(next(pausing))

    async def _register_again(self) -> None:
        if not self._leases.holds(self._id):
            return
        try:
            await self._leases.register_again(self._id)
        except Unreachable as error:
            log.info("a session could not be registered again yet: %s", error)

    async def _connected(self) -> AsyncGenerator[SessionEvent, None]:
        """Of one connection, until it ends."""
        headers = {"Last-Event-ID": self._last} if self._last else {}
        url = self._wire.url(f"/sessions/{segment_of(self._id)}/events")
        waits = httpx.Timeout(CONNECT_SECONDS, read=SILENCE_SECONDS)
        try:
            async with aconnect_sse(
                self._wire.http, "GET", url, headers=headers, timeout=waits
            ) as source:
                if not source.response.is_success:
                    await source.response.aread()
                    check(source.response)
                async with aclosing(source.aiter_sse()) as said:
                    async for one in said:
                        event = _event(one)
                        if event and await self._is_new(event):
                            yield event
                        self._last = one.id or self._last
        except httpx.HTTPError as error:
            raise Unreachable(str(error) or type(error).__name__) from error

    async def _is_new(self, event: SessionEvent) -> bool:
        """Letters have an ID, and are confirmed; other events come once, as they happen."""
        if event.event_id is None or event.message is None:
            return True
        if event.event_id in self._seen:
            return False
        new = await confirmed(self._wire, self._id, event.event_id, event.message.id)
        if new:
            self._remember(event.event_id)
        return new

    def _remember(self, event_id: int) -> None:
        self._seen[event_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


def _event(said: ServerSentEvent) -> SessionEvent | None:
    if not said.data:
        return None
    try:
        event = SessionEvent.model_validate({"type": said.event, **said.json()})
    except (ValueError, TypeError, ValidationError):
        log.warning("an event of a session could not be read, of the type %r", said.event[:60])
        return None
    if event.type == MESSAGE_RECEIVED and (event.message is None or event.event_id is None):
        log.warning("an event of a session has no letter, or no ID to confirm it by")
        return None
    return event
