"""The other side of Mailroom, as fast as it can be: senders, a gateway, an owner, a mail server.

The gateway and the mail server speak just enough of their protocols and do nothing else, so
that what is measured is Mailroom.
"""

import asyncio
import json
import re
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiosmtplib
from standardwebhooks import Webhook

PHONE = "+12025550123"
CODE = re.compile(r"\b([A-Z]\d[A-Z]\d)\b")
MARK = re.compile(r"bench-[a-z0-9-]+")


@dataclass
class World:
    """Times by a mail's mark: when its text came, and when its reply came."""

    texted: dict[str, "asyncio.Future[tuple[float, str]]"] = field(
        default_factory=lambda: defaultdict(asyncio.Future)
    )
    replied: dict[str, "asyncio.Future[float]"] = field(
        default_factory=lambda: defaultdict(asyncio.Future)
    )
    gateway_port: int = 0
    sink_port: int = 0

    async def gateway(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """HTTP/1.1 with keep-alive: every POST is a text that was taken."""
        while head := await _head(reader):
            body = json.loads(await reader.readexactly(_length(head)))
            self.take(body["body"])
            answer = json.dumps({"message_id": body["client_reference"][-40:]}).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%s" % (len(answer), answer)
            )
        writer.close()

    def take(self, body: str) -> None:
        mark, code = MARK.search(body), CODE.search(body)
        if mark and code and not self.texted[mark[0]].done():
            self.texted[mark[0]].set_result((time.perf_counter(), code[1]))

    async def sink(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """SMTP that takes everything."""
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            command = line[:4].upper()
            if command == b"DATA":
                writer.write(b"354 go\r\n")
                self.keep(await _mail(reader))
            if command == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            writer.write(b"250 OK\r\n")
        writer.close()

    def keep(self, raw: bytes) -> None:
        mark = MARK.search(raw.decode(errors="replace"))
        if mark and not self.replied[mark[0]].done():
            self.replied[mark[0]].set_result(time.perf_counter())


def _length(head: bytes) -> int:
    return int(re.search(rb"content-length: (\d+)", head, re.I)[1])  # type: ignore[index]


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def _mail(reader: asyncio.StreamReader) -> bytes:
    lines = []
    while (line := await reader.readline()) not in (b".\r\n", b""):
        lines.append(line)
    return b"".join(lines)


@asynccontextmanager
async def running():  # type: ignore[no-untyped-def]
    world = World()
    gateway = await asyncio.start_server(world.gateway, "127.0.0.1", 0)
    sink = await asyncio.start_server(world.sink, "127.0.0.1", 0)
    world.gateway_port = gateway.sockets[0].getsockname()[1]
    world.sink_port = sink.sockets[0].getsockname()[1]
    yield world
    gateway.close()
    sink.close()


class Owner:
    """Answers texts through the signed webhook, over connections that are kept open."""

    def __init__(self, webhook: Webhook, port: int, path: str) -> None:
        self._webhook = webhook
        self._port = port
        self._path = path
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def say(self, message_id: str, body: str, phone: str = PHONE) -> None:
        now = datetime.now(UTC)
        content = json.dumps(
            {"message_id": message_id, "from": phone, "body": body, "timestamp": now.isoformat()}
        )
        status, answer = await self._post(
            f"POST {self._path} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n"
            f"webhook-id: {message_id}\r\nwebhook-timestamp: {int(now.timestamp())}\r\n"
            f"webhook-signature: {self._webhook.sign(message_id, now, content)}\r\n\r\n{content}"
        )
        if b" 200 " not in status or json.loads(answer)["outcome"] not in ("accepted", "kept"):
            raise RuntimeError(f"the webhook answered {status!r}: {answer!r}")

    async def _post(self, request: str) -> tuple[bytes, bytes]:
        """The status line and the body of the answer."""
        reader, writer = await self._connection()
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length(head))
        self._idle.append((reader, writer))
        return head.partition(b"\r\n")[0], body

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


OWNER = "owner@mailroom.test"


def mail(mark: str, to: str = OWNER) -> bytes:
    return (
        f"From: Ada <ada@example.com>\r\nTo: {to}\r\nSubject: Meeting {mark}\r\n"
        f"Message-ID: <{mark}@example.com>\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\n\r\n"
        "Hi, can we meet tomorrow at 2pm to discuss the project?\r\n"
    ).encode()


class Senders:
    """SMTP connections that are kept open, as a busy mail server's are."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[aiosmtplib.SMTP] = []

    async def send(self, mark: str, to: str = OWNER) -> float:
        """The moment of the 250."""
        smtp = self._idle.pop() if self._idle else await self._connect()
        await smtp.sendmail("ada@example.com", [to], mail(mark, to))
        accepted = time.perf_counter()
        self._idle.append(smtp)
        return accepted

    async def _connect(self) -> aiosmtplib.SMTP:
        smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=self._port, timeout=60)
        await smtp.connect()
        return smtp

    async def close(self) -> None:
        for smtp in self._idle:
            await smtp.quit()
