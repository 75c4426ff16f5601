"""Events as they are written: PostgreSQL's LISTEN, passed on to whoever is subscribed."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
import structlog
from sqlalchemy import URL, make_url

from mailroom.models.events import QUEUE_LIMIT, RESUMED, MailEvent

log = structlog.get_logger()

RECONNECT_SECONDS = 1.0
CONNECT_SECONDS = 2.0
# A connection costs 10 ms, and a letter waits for its confirmation for less than that.
LINGER_SECONDS = 60.0


class EventFeed:
    """One connection for all subscribers of this process, and none a while after the last has
    gone: a mail has seven events, and hearing them costs as much as a statement."""

    def __init__(self, url: URL | str) -> None:
        # psycopg wants a plain libpq URL.
        self._url = make_url(url).set(drivername="postgresql").render_as_string(False)
        self._subscribers: dict[str | None, set[asyncio.Queue[MailEvent]]] = defaultdict(set)
        self._wanted = asyncio.Event()
        self._listening = asyncio.Event()
        self._deserted_at = 0.0
        self._missed = False

    async def run(self) -> None:
        """Listens for subscribers until cancelled; a lost connection is made again."""
        while True:
            await self._wanted.wait()
            try:
                await self._listen()
            except psycopg.Error as error:
                log.warning("event feed lost its connection", error=str(error))
                self._missed = True
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        """Until an event for which nobody has been subscribed for a while."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute("LISTEN mailroom")
            self._listening.set()
            if self._missed:
                self._missed = False
                self._resume()
            try:
                async for note in connection.notifies():
                    self._publish(MailEvent.model_validate_json(note.payload))
                    if self._is_deserted():
                        self._wanted.clear()
                        return
            finally:
                self._listening.clear()

    def _is_deserted(self) -> bool:
        return not self._subscribers and time.monotonic() - self._deserted_at > LINGER_SECONDS

    def _resume(self) -> None:
        """Whoever shows what events tell of looks again."""
        for whose, queues in self._subscribers.items():
            event = MailEvent(id=0, owner=whose or "", message_id="", type=RESUMED)
            for queue in queues:
                with suppress(asyncio.QueueFull):
                    queue.put_nowait(event)

    def _publish(self, event: MailEvent) -> None:
        for whose in (None, event.owner):
            for queue in self._subscribers.get(whose, ()):
                # A page that is this far behind reloads anyway.
                with suppress(asyncio.QueueFull):
                    queue.put_nowait(event)

    @asynccontextmanager
    async def subscribe(self, owner: str | None = None) -> AsyncIterator[asyncio.Queue[MailEvent]]:
        """What happens within the block, to one owner or to all; without a database nothing
        does."""
        queue: asyncio.Queue[MailEvent] = asyncio.Queue(QUEUE_LIMIT)
        self._subscribers[owner].add(queue)
        self._wanted.set()
        try:
            if not self._listening.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._listening.wait(), CONNECT_SECONDS)
            yield queue
        finally:
            self._leave(owner, queue)

    def _leave(self, owner: str | None, queue: asyncio.Queue[MailEvent]) -> None:
        self._subscribers[owner].discard(queue)
        if not self._subscribers[owner]:
            del self._subscribers[owner]
            self._deserted_at = time.monotonic()
