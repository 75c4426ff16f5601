"""A mail server that takes everything and keeps nothing, as fast as it can; a process of its own.

    python -m bench.sink [--sync FILE] [--after MILLISECONDS]

Prints its port. With a file it syncs one to the disk for every mail before it answers, as every
server does that means its 250. Each of its answers leaves after as long as is asked, as one does
that comes from far away.
"""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from sys import executable, stdin

DOT = b"\r\n.\r\n"


class Conversation(asyncio.Protocol):
    def __init__(self, synced: int | None, after: float) -> None:
        self.synced = synced
        self.after = after
        self.rest = b""
        self.in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.say(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while self.in_body or b"\n" in self.rest:
            end = DOT if self.in_body else b"\n"
            said, found, rest = self.rest.partition(end)
            if not found:
                return
            self.rest = rest
            self.answer(said[:4].upper())

    def answer(self, verb: bytes) -> None:
        if self.in_body:
            self.in_body = False
            self.keep()
        elif verb == b"DATA":
            self.in_body = True
            self.say(b"354 go\r\n")
            return
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
            return
        self.say(b"250 2.0.0 OK\r\n")

    def say(self, answer: bytes) -> None:
        if self.after:
            asyncio.get_running_loop().call_later(self.after, self.transport.write, answer)
        else:
            self.transport.write(answer)

    def keep(self) -> None:
        if self.synced is not None:
            os.write(self.synced, b".")
            os.fdatasync(self.synced)


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[int]:
    """The port of one, while the block runs."""
    process = await asyncio.create_subprocess_exec(
        *(executable, "-m", "bench.sink", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sink", description=__doc__)
    parser.add_argument("--sync")
    parser.add_argument("--after", type=float, default=0)
    asked = parser.parse_args()
    after = asked.after / 1000
    file = os.open(asked.sync, os.O_CREAT | os.O_WRONLY) if asked.sync else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(file, after), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Until whoever started it lets go, or dies.
    await asyncio.to_thread(stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
