"""Agents as cheap as they can be: letters sent, sessions that read their stream and confirm.

HTTP/1.1 by hand over connections that are kept open, so that what is measured is Mailroom.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from bench.__main__ import Stack

MARK = re.compile(rb"bench-[a-z0-9-]+")
EVENT_ID = re.compile(rb'"event_id": (\d+)')
STATUS = re.compile(rb"HTTP/1\.1 (\d+)")
LENGTH = re.compile(rb"content-length: (\d+)", re.I)
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Http:
    """`keeps` off: a connection for each request, as of one who comes every 30 seconds."""

    port: int
    keeps: bool = True
    _idle: list[Connection] = field(default_factory=list)

    async def post(self, path: str, token: str, said: dict[str, Any] | None = None) -> Any:
        return await self._asked("POST", path, token, json.dumps(said).encode() if said else b"")

    async def get(self, path: str, token: str) -> Any:
        return await self._asked("GET", path, token, b"")

    async def delete(self, path: str, token: str) -> None:
        await self._asked("DELETE", path, token, b"")

    async def stream(self, path: str, token: str) -> Connection:
        """Where an answer that does not end can be read; its head has been."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(self._head("GET", path, token, b""))
        _expect(path, await reader.readuntil(b"\r\n\r\n"), b"")
        return reader, writer

    async def _asked(self, method: str, path: str, token: str, body: bytes) -> Any:
        reader, writer = await self._connection()
        writer.write(self._head(method, path, token, body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        answer = await reader.readexactly(int(length[1])) if length else b""
        if self.keeps:
            self._idle.append((reader, writer))
        else:
            writer.close()
        _expect(path, head, answer)
        return json.loads(answer) if answer else None

    def _head(self, method: str, path: str, token: str, body: bytes) -> bytes:
        return (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"authorization: Bearer {token}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode()

    async def _connection(self) -> Connection:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


def _expect(path: str, head: bytes, answer: bytes) -> None:
    status = STATUS.match(head)
    if status is None or status[1] not in (b"200", b"201", b"202", b"204"):
        raise RuntimeError(f"{path} answered {head!r} {answer!r}")


@dataclass
class Letter:
    """Under way: when it was seen at the session's stream, and when its confirmation was
    answered."""

    seen: asyncio.Future[float] = field(default_factory=asyncio.Future)
    confirmed: asyncio.Future[float] = field(default_factory=asyncio.Future)


@dataclass
class Session:
    http: Http
    address: str
    session_id: str
    token: str
    letters: dict[str, Letter]
    order: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/sessions/{self.session_id}"

    async def heartbeat(self) -> None:
        await self.http.post(f"{self.path}/heartbeat", self.token)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Confirms what comes, one after the other, while the block runs."""
        reader, writer = await self.http.stream(f"{self.path}/events", self.token)
        task = asyncio.create_task(self._read(reader))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            # The bridge writes an event in one chunk (RFC 9112 §7.1).
            size = int(await reader.readuntil(b"\r\n"), 16)
            chunk = await reader.readexactly(size + 2)
            if b"event: message.received" in chunk:
                await self._take(chunk)

    async def _take(self, chunk: bytes) -> None:
        mark, event = MARK.search(chunk), EVENT_ID.search(chunk)
        assert mark
        assert event
        name = mark[0].decode()
        letter = self.letters[name]
        if letter.seen.done():
            raise RuntimeError(f"{name} came twice")
        letter.seen.set_result(time.perf_counter())
        self.order.append(name)
        await self.http.post(f"{self.path}/events/{event[1].decode()}/confirm", self.token)
        letter.confirmed.set_result(time.perf_counter())


@dataclass
class Office:
    """`token` is the operator's; `sender` is a session's that sends."""

    http: Http
    token: str
    sender: str = ""
    letters: dict[str, Letter] = field(default_factory=dict)

    async def register(self, address: str, session_id: str | None = None) -> Session:
        new = {"address": address, "daemon_id": "bench"}
        if session_id:
            new["session_id"] = session_id
        made = await self.http.post("/sessions", self.token, new)
        return Session(self.http, address, made["session_id"], made["token"], self.letters)

    async def introduce(self, address: str) -> None:
        """Makes an address known that is offline."""
        session = await self.register(address)
        await self.http.delete(session.path, session.token)

    async def send(self, mark: str, to: str) -> tuple[float, Letter]:
        """When it was sent."""
        letter = self.letters[mark] = Letter()
        begun = time.perf_counter()
        await self.http.post(
            "/mail",
            self.sender or self.token,
            {"to": to, "subject": mark, "body": "The bridge is closed; take the ferry."},
        )
        return begun, letter

    async def queued(self, address: str) -> int:
        return int((await self.http.get(f"/presence/{address}", self.token))["queued"])


async def office_of(here: Stack) -> Office:
    office = Office(Http(here.port), here.token)
    office.sender = (await office.register("bench/sender")).token
    return office


@asynccontextmanager
async def online(office: Office, addresses: Iterable[str]) -> AsyncIterator[list[Session]]:
    """A session for each, which listens and confirms while the block runs."""
    async with AsyncExitStack() as on_exit:
        sessions = [await office.register(address) for address in addresses]
        for session in sessions:
            await on_exit.enter_async_context(session.listening())
        yield sessions
    for session in sessions:
        await office.http.delete(session.path, session.token)


@dataclass
class Usage:
    """CPU seconds of the process that is worker and bridge, and of Temporal and PostgreSQL."""

    own: float
    servers: float

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(self.own - other.own, self.servers - other.servers)


def usage(here: Stack) -> Usage:
    servers = here.process.children(recursive=True)
    if here.postgres not in servers:
        servers += [here.postgres, *here.postgres.children()]
    ended = here.postgres.cpu_times()
    gone = ended.children_user + ended.children_system
    return Usage(_seconds(here.process), sum(map(_seconds, servers)) + float(gone))


def _seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        used = process.cpu_times()
        return float(used.user + used.system)
    return 0.0
