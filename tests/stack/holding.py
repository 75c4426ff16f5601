"""Brings mails to exact points on their way and keeps them there, for a kill to find them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import psycopg
from aiosmtpd.smtp import SMTP, Envelope, Session
from world import Sink

from stack.process import Stack, until


@dataclass
class HoldingSink(Sink):
    """Answers to RCPT (recipients that begin with `hold-rcpt`) or to the final dot
    (`hold-answer`) only when it is let go; the mail is kept by then."""

    reached: set[str] = field(default_factory=set)
    may_go: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("hold-rcpt"):
            await self._hold(address)
        return await super().handle_RCPT(server, session, envelope, address, options)

    async def keep(self, address: str, raw: bytes) -> None:
        await super().keep(address, raw)
        if address.startswith("hold-answer"):
            await self._hold(address)

    async def _hold(self, address: str) -> None:
        self.reached.add(address)
        await self.may_go[address].wait()

    async def until_reached(self, address: str) -> None:
        async def look() -> bool:
            return address in self.reached

        await until(look, f"a reply on its way to {address}")


@asynccontextmanager
async def holding_sink() -> AsyncIterator[HoldingSink]:
    sink = HoldingSink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        partial(SMTP, sink, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
    )
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        for event in sink.may_go.values():
            event.set()
        server.close()


class Locks:
    """Locks in PostgreSQL: the statement that meets one waits, and with it the activity."""

    def __init__(self, holder: psycopg.AsyncConnection, watcher: psycopg.AsyncConnection) -> None:
        self._holder = holder
        self._watcher = watcher
        self._known: set[int] = set()

    async def row(self, table: str, column: str, value: str) -> None:
        query = f"SELECT 1 FROM {table} WHERE {column} = %s FOR UPDATE"
        await self._holder.execute(query, [value])

    async def marker(self, key: str) -> None:
        """Who claims the same one waits, with a statement that has left the worker."""
        await self._holder.execute("INSERT INTO send_markers (key, blob) VALUES (%s, '')", [key])

    async def inserts(self, table: str) -> None:
        await self._holder.execute(f"LOCK TABLE {table} IN SHARE MODE")

    async def waiting(self) -> int:
        """The backend of the next statement that waits."""

        async def look() -> set[int]:
            return await self._backends() - self._known

        [backend] = await until(look, "a statement that waits for a lock")
        self._known.add(backend)
        return backend

    async def end(self, *backends: int) -> None:
        """Their statements are never done, as if they had not been sent."""
        for backend in backends:
            await self._watcher.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])

    async def let_go(self) -> None:
        """The others' statements are done, though nobody waits for them any more."""
        await self._holder.rollback()

        async def look() -> bool:
            return not await self._backends()

        await until(look, "the end of all waiting")

    async def outcome(self, marker: str) -> tuple[str | None] | None:
        """The outcome of a send-once marker, in a row of its own; None without a marker."""
        found = await self._watcher.execute(
            "SELECT outcome FROM send_markers WHERE key = %s", [marker]
        )
        return await found.fetchone()

    async def _backends(self) -> set[int]:
        found = await self._watcher.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = 'mailroom' AND wait_event_type = 'Lock'"
        )
        return {pid for (pid,) in await found.fetchall()}


@asynccontextmanager
async def locks_in(stack: Stack) -> AsyncIterator[Locks]:
    async with await stack.database() as holder, await stack.database() as watcher:
        await holder.set_autocommit(False)
        yield Locks(holder, watcher)
