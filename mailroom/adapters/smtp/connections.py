"""Connections to one destination: those that are idle, and how many there may be at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosmtplib import SMTP, SMTPException

from mailroom.ports.outbound import Busy

# The next mail spares greeting, TLS and login if it comes within this time. Servers wait for
# minutes (RFC 5321 §4.5.3.2.7), but count connections.
IDLE_SECONDS = 10
# Then another one: who came first in the DNS may be back, and others have their turn.
LONGEST_USE_SECONDS = 300
QUIT_SECONDS = 5
# Whoever waits longer lets others have the worker's place.
BUSY_SECONDS = 5


@dataclass(eq=False)
class Link:
    """A connection to the server of this name; `unfinished` once an envelope was begun that came
    to nothing."""

    smtp: SMTP
    name: str
    unfinished: bool = False
    opened: float = field(default_factory=time.monotonic)


class Connections:
    def __init__(self, most: int = 1_000_000) -> None:
        """`most` at once; as many may wait for one."""
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._waiting = 0
        self._idle: dict[Link, asyncio.TimerHandle] = {}
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
        if not self._free.locked():
            await self._free.acquire()
            return
        if self._waiting >= self._most:
            raise Busy(f"{self._most} connections are in use, and as many messages wait for one.")
        self._waiting += 1
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise Busy(f"{self._most} connections are in use for a while.") from None
        finally:
            self._waiting -= 1

    def take(self) -> Link | None:
        """An idle one, the latest, which may have been closed meanwhile."""
        if not self._idle:
            return None
        link, timer = self._idle.popitem()
        timer.cancel()
        return link

    def keep(self, link: Link) -> None:
        if time.monotonic() - link.opened > LONGEST_USE_SECONDS:
            self._leave(link)
            return
        timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._let_go, link)
        self._idle[link] = timer

    def _let_go(self, link: Link) -> None:
        del self._idle[link]
        self._leave(link)

    def _leave(self, link: Link) -> None:
        leaving = asyncio.create_task(_quit(link.smtp))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)


async def _quit(smtp: SMTP) -> None:
    try:
        await smtp.quit(timeout=QUIT_SECONDS)
    except (SMTPException, OSError, TimeoutError):
        # Everything was confirmed; how the server says goodbye changes nothing.
        smtp.close()
