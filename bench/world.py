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
import httpx
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
            length = int(re.search(rb"content-length: (\d+)", head, re.I)[1])  # type: ignore[index]
            body = json.loads(await reader.readexactly(length))
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


@dataclass
class Owner:
    """Answers texts through the signed webhook."""

    http: httpx.AsyncClient
    webhook: Webhook
    url: str

    async def say(self, message_id: str, body: str) -> None:
        now = datetime.now(UTC)
        content = json.dumps(
            {"message_id": message_id, "from": PHONE, "body": body, "timestamp": now.isoformat()}
        )
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self.webhook.sign(message_id, now, content),
        }
        response = await self.http.post(self.url, content=content, headers=headers)
        if response.status_code != 200 or response.json()["outcome"] not in ("accepted", "kept"):
            raise RuntimeError(f"the webhook answered {response.status_code}: {response.text}")


def mail(mark: str) -> bytes:
    return (
        f"From: Ada <ada@example.com>\r\nTo: owner@mailroom.test\r\nSubject: Meeting {mark}\r\n"
        f"Message-ID: <{mark}@example.com>\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\n\r\n"
        "Hi, can we meet tomorrow at 2pm to discuss the project?\r\n"
    ).encode()


class Senders:
    """SMTP connections that are kept open, as a busy mail server's are."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[aiosmtplib.SMTP] = []

    async def send(self, mark: str) -> float:
        """The moment of the 250."""
        smtp = self._idle.pop() if self._idle else await self._connect()
        await smtp.sendmail("ada@example.com", ["owner@mailroom.test"], mail(mark))
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
