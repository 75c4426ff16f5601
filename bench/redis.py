"""A Redis without durability, as the seed of agent mail has it, spoken to by hand (RESP2)."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HOUR = "3600"


@dataclass
class Redis:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def call(self, *words: str) -> bytes | int | None:
        self.writer.write(_command(words))
        line = (await self.reader.readuntil(b"\r\n"))[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RuntimeError(f"Redis refused {words[0]}: {rest.decode()}")
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        return (await self.reader.readexactly(int(rest) + 2))[:-2] if rest != b"-1" else None

    # What the seed does, under its keys

    async def register(self, name: str) -> None:
        await self.call("SETEX", f"routing:session:{name}", HOUR, _session(name))
        await self.call("LLEN", f"routing:queue:{name}")

    async def heartbeat(self, name: str) -> None:
        await self.call("GET", f"routing:session:{name}")
        await self.call("SETEX", f"routing:session:{name}", HOUR, _session(name))

    async def route(self, name: str) -> None:
        event = json.dumps({"id": name, "type": "message.received", "content": 40 * "word "})
        await self.call("GET", f"routing:session:{name}")
        await self.call("LPUSH", f"daemon:events:{name}", event)
        await self.call("PUBLISH", f"daemon:{name}:events", event)
        await self.call("SETEX", f"routing:delivered:{name}", HOUR, _session(name))


def _command(words: tuple[str, ...]) -> bytes:
    said = [b"$%d\r\n%s\r\n" % (len(word), word) for word in (each.encode() for each in words)]
    return b"*%d\r\n%s" % (len(said), b"".join(said))


def _session(name: str) -> str:
    now = time.time()
    session = {"sessionId": name, "daemonId": "bench", "status": "active"}
    return json.dumps(session | {"lastActiveAt": now, "createdAt": now})


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Redis | None]:
    """None where this system has no Redis."""
    binary = shutil.which("redis-server")
    if binary is None:
        yield None
        return
    path = folder / "redis.sock"
    process = await asyncio.create_subprocess_exec(
        binary, "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
        "--dir", folder, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield await _connected(path)
    finally:
        process.terminate()
        await process.wait()


async def _connected(path: Path) -> Redis:
    async with asyncio.timeout(20):
        while True:
            with suppress(OSError):
                return Redis(*await asyncio.open_unix_connection(path))
            await asyncio.sleep(0.05)
