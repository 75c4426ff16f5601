"""Connections to one destination: those that are idle, and how many there may be at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiosmtplib import SMTP, SMTPException

from mailroom.ports.outbound import Busy

# The next mail spares greeting, TLS and login if it comes within this time. Servers wait for
# minutes (RFC 5321 §4.5.3.2.7), but count connections.
IDLE_SECONDS = 10
QUIT_SECONDS = 5
# Whoever waits longer lets others have the worker's place.
BUSY_SECONDS = 5


class Connections:
    def __init__(self, most: int = 1_000_000, busy_seconds: float = BUSY_SECONDS) -> None:
        """`most` at once; as many may wait for one, for `busy_seconds`."""
        self._most = most
        self._busy_seconds = busy_seconds
        self._free = asyncio.Semaphore(most)
        self._waiting = 0
        self._idle: dict[SMTP, asyncio.TimerHandle] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def one_of_few(self) -> AsyncIterator[None]:
        """Raises `Busy` where there are too many already."""
        await self._until_free()
        try:
            yield
        finally:
            self._free.release()

    async def _until_free(self) -> None:
        if self._free.locked() and self._waiting >= self._most:
            raise Busy(f"{self._most} connections are in use, and as many messages wait for one.")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._busy_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Busy(f"{self._most} connections are in use for a while.") from None
        finally:
            self._waiting -= 1

    def take(self) -> SMTP | None:
        """An idle one, the latest, which may have been closed meanwhile."""
        if not self._idle:
            return None
        smtp, timer = self._idle.popitem()
        timer.cancel()
        return smtp

    def keep(self, smtp: SMTP) -> None:
        loop = asyncio.get_running_loop()
        self._idle[smtp] = loop.call_later(IDLE_SECONDS, self._let_go, smtp)

    def _let_go(self, smtp: SMTP) -> None:
        del self._idle[smtp]
        leaving = asyncio.create_task(_quit(smtp))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)


async def _quit(smtp: SMTP) -> None:
    try:
        await smtp.quit(timeout=QUIT_SECONDS)
    except (SMTPException, OSError, TimeoutError):
        # Everything was confirmed; how the server says goodbye changes nothing.
        smtp.close()
