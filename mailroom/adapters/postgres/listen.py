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
QUEUE_LIMIT = 1_000


class MailEvent(Frozen):
    id: int
    owner: str
    message_id: str
    type: str


class EventFeed:
    """One connection for all subscribers of this process."""

    def __init__(self, url: URL | str) -> None:
        # psycopg wants a plain libpq URL.
        self._url = make_url(url).set(drivername="postgresql").render_as_string(False)
        self._subscribers: set[asyncio.Queue[MailEvent]] = set()

    async def run(self) -> None:
        """Listens until cancelled; a lost connection is made again."""
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                log.warning("event feed lost its connection", error=str(error))
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute("LISTEN mailroom")
            async for note in connection.notifies():
                self._publish(MailEvent.model_validate(json.loads(note.payload)))

    def _publish(self, event: MailEvent) -> None:
        for queue in self._subscribers:
            # A page that is this far behind reloads anyway.
            with suppress(asyncio.QueueFull):
                queue.put_nowait(event)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[asyncio.Queue[MailEvent]]:
        queue: asyncio.Queue[MailEvent] = asyncio.Queue(QUEUE_LIMIT)
        self._subscribers.add(queue)
        try:
            yield queue
        finally:
            self._subscribers.discard(queue)
