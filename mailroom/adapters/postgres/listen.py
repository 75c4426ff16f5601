"""Events as they are written: PostgreSQL's LISTEN, passed on to whoever is subscribed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
import structlog
from sqlalchemy import URL, make_url

from mailroom.models.base import Frozen

log = structlog.get_logger()

RECONNECT_SECONDS = 1.0
CONNECT_SECONDS = 2.0
QUEUE_LIMIT = 1_000


class MailEvent(Frozen):
    id: int
    owner: str
    message_id: str
    type: str


class EventFeed:
    """One connection for all subscribers of this process, and none while there are none: a mail
    has seven events, and hearing them costs as much as a statement."""

    def __init__(self, url: URL | str) -> None:
        # psycopg wants a plain libpq URL.
        self._url = make_url(url).set(drivername="postgresql").render_as_string(False)
        self._subscribers: set[asyncio.Queue[MailEvent]] = set()
        self._wanted = asyncio.Event()
        self._listening = asyncio.Event()

    async def run(self) -> None:
        """Listens for subscribers until cancelled; a lost connection is made again."""
        while True:
            await self._wanted.wait()
            try:
                await self._listen()
            except psycopg.Error as error:
                log.warning("event feed lost its connection", error=str(error))
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        """Until the first event that nobody is subscribed for."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute("LISTEN mailroom")
            self._listening.set()
            try:
                async for note in connection.notifies():
                    self._publish(MailEvent.model_validate(json.loads(note.payload)))
                    if not self._subscribers:
                        return
            finally:
                self._listening.clear()

    def _publish(self, event: MailEvent) -> None:
        for queue in self._subscribers:
            # A page that is this far behind reloads anyway.
            with suppress(asyncio.QueueFull):
                queue.put_nowait(event)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[asyncio.Queue[MailEvent]]:
        """What happens within the block; without a database nothing does."""
        queue: asyncio.Queue[MailEvent] = asyncio.Queue(QUEUE_LIMIT)
        self._subscribers.add(queue)
        self._wanted.set()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._listening.wait(), CONNECT_SECONDS)
            yield queue
        finally:
            self._subscribers.discard(queue)
            if not self._subscribers:
                self._wanted.clear()
