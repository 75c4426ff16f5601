"""A way to a server that breaks: connections are cut, answers get lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx

PIECE = 65_536


@dataclass
class Relay:
    """`lose`: the next answer to a request with these words is not passed on. `closed`: nobody is
    let in."""

    host: str
    port: int
    url: str = ""
    lose: bytes | None = None
    lost: int = 0
    closed: bool = False
    opened: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        self.opened += 1
        there, back = await asyncio.open_connection(self.host, self.port)
        self._open |= {writer, back}
        losing = asyncio.Event()
        with suppress(OSError):
            await asyncio.wait(
                [
                    asyncio.create_task(self._forth(reader, back, losing)),
                    asyncio.create_task(self._back(there, writer, losing)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        for each in (writer, back):
            each.transport.abort()
        self._open -= {writer, back}

    async def _forth(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while piece := await reader.read(PIECE):
            if self.lose and self.lose in piece:
                self.lose = None
                losing.set()
            to.write(piece)
            await to.drain()

    async def _back(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while piece := await reader.read(PIECE):
            if losing.is_set():
                self.lost += 1
                return
            to.write(piece)
            await to.drain()


@asynccontextmanager
async def relay_to(http: httpx.AsyncClient) -> AsyncIterator[Relay]:
    url = http.base_url
    relay = Relay(url.host, url.port or 80)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield relay
        relay.cut()
