"""What is not ours: an SMS gateway and a mail server, real ones on loopback.

What they do is asked for in the mail itself (a word in its subject, a recipient's name), so
that tests that run side by side don't disturb each other.
"""

import asyncio
import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook
from web import web_server

PHONE = "+12025550123"
SLOW_SECONDS = 15


@dataclass
class Text:
    to: str
    body: str
    reference: str


@dataclass
class Gateway:
    """`POST /sms/send`. A body with `gw-fail-N` fails N times with 500, `gw-refuse` always
    with 400, `gw-down` always with 500; `gw-slow` is answered after 15 s, or once `hurry` is
    set. In a reference they do the same. `gw-babble` is refused in bytes that are no text."""

    texts: list[Text] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    url: str = ""
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/sms/send")
        async def send(request: Request, response: Response) -> Any:
            content = await request.json()
            return await self.take(
                Text(content["to"], content["body"], content["client_reference"]), response
            )

        return app

    async def take(self, text: Text, response: Response) -> dict[str, str] | Response:
        self.tries[text.reference] += 1
        if "gw-slow" in f"{text.body} {text.reference}":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.hurry.wait(), SLOW_SECONDS)
        if "gw-babble" in text.body:
            return Response(b"no\0such\xffthing", 400)
        status = self.verdict(text)
        if status:
            response.status_code = status
            return {"error": "as asked"}
        if not any(known.reference == text.reference for known in self.texts):
            self.texts.append(text)
        async with self.arrived:
            self.arrived.notify_all()
        return {"message_id": f"gw-{text.reference}"}

    def verdict(self, text: Text) -> int:
        body = f"{text.body} {text.reference}"
        if "gw-refuse" in body:
            return 400
        if "gw-down" in body:
            return 500
        if "gw-fail-2" in body and self.tries[text.reference] <= 2:
            return 500
        return 0

    def about(self, marker: str) -> list[str]:
        return [text.body for text in self.texts if marker in text.body]

    async def wait_for(self, marker: str, count: int = 1, seconds: float = 30) -> list[str]:
        """Bodies of the texts that contain the marker, once there are `count` of them."""
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: len(self.about(marker)) >= count)
        return self.about(marker)

    def under(self, reference: str) -> list[str]:
        return [text.body for text in self.texts if text.reference == reference]

    async def text_under(self, reference: str, seconds: float = 30) -> str:
        """The body of the text with this reference."""
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: self.under(reference))
        [body] = self.under(reference)
        return body


@dataclass
class Handset:
    """The owner's phone, behind a gateway that signs what it delivers (Standard Webhooks)."""

    http: httpx.AsyncClient
    secret: str

    async def say(self, body: str, text_id: str | None = None, **more: object) -> dict[str, Any]:
        """What the webhook answers to a text."""
        response = await self.post(self.text(body, text_id or new_text_id(), **more))
        assert response.status_code == (202 if response.json()["outcome"] == "kept" else 200), (
            response.text
        )
        answer: dict[str, Any] = response.json()
        return answer

    def text(self, body: str, text_id: str, sender: str = PHONE, **more: object) -> bytes:
        now = datetime.now(UTC).isoformat()
        content = {"message_id": text_id, "from": sender, "body": body, "timestamp": now}
        return json.dumps(content | more).encode()

    async def post(self, raw: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        signed = self.signature(raw) if headers is None else headers
        return await self.http.post("/orchestrator/sms-response", content=raw, headers=signed)

    def signature(
        self, raw: bytes, at: datetime | None = None, secret: str | None = None
    ) -> dict[str, str]:
        at, delivery = at or datetime.now(UTC), uuid4().hex
        return {
            "webhook-id": delivery,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret or self.secret).sign(delivery, at, raw.decode()),
        }


def new_text_id() -> str:
    return f"in-{uuid4().hex}"


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Waits for what no event tells of."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@dataclass
class Wire:
    """A TCP connection to a server, held up while `flowing` is not set."""

    port: int = 0
    flowing: asyncio.Event = field(default_factory=asyncio.Event)

    async def carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(sink):
            while data := await source.read(65_536):
                await self.flowing.wait()
                sink.write(data)
                await sink.drain()


@contextlib.asynccontextmanager
async def wire_to(address: str) -> AsyncIterator[Wire]:
    wire = Wire()
    wire.flowing.set()
    host, _, port = address.rpartition(":")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(wire.carry(reader, back), wire.carry(there, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()


@dataclass
class Sink:
    """An SMTP server. The recipient's local part says what it does: `refuse`, `defer-always`,
    `defer-twice`, `rcpt-defer`, `drop-before-dot`, `drop-at-data`, `drop-after-dot`; `small` takes
    10,000 bytes at most, and others are taken."""

    mails: dict[str, list[EmailMessage]] = field(default_factory=lambda: defaultdict(list))
    raw: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    senders: dict[str, str] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    port: int = 0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tries[address] += 1
        kind = address.partition("+")[0]
        if kind == "refuse":
            return "550 5.1.1 no such person"
        if kind == "rcpt-defer" and self.tries[address] <= 2:
            return "451 4.7.1 greylisted"
        if kind == "drop-before-dot" and self.tries[address] <= 2:
            server.transport.abort()
            return "421 gone"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        address = envelope.rcpt_tos[0]
        kind = address.partition("+")[0]
        if kind == "defer-always" or (kind == "defer-twice" and self.tries[address] <= 2):
            return "451 4.3.2 try later"
        if kind == "small" and len(envelope.original_content or b"") > 10_000:
            return "552 5.3.4 too large for me"
        self.senders[address] = envelope.mail_from or ""
        await self.keep(address, envelope.original_content or b"")
        if kind == "drop-after-dot" and self.tries[address] <= 1:
            server.transport.abort()
        return "250 2.0.0 taken"

    async def keep(self, address: str, raw: bytes) -> None:
        self.raw[address].append(raw)
        message = message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        self.mails[address].append(message)
        async with self.arrived:
            self.arrived.notify_all()

    async def wait_for(self, address: str, count: int = 1, seconds: float = 30) -> EmailMessage:
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: len(self.mails[address]) >= count)
        return self.mails[address][-1]

    def about(self, address: str, marker: str) -> list[EmailMessage]:
        bodies = ((mail, mail.get_body(("plain",))) for mail in self.mails[address])
        return [mail for mail, body in bodies if body and marker in body.get_content()]

    async def wait_about(self, address: str, marker: str, count: int = 1) -> EmailMessage:
        """The last mail that has the marker, once there are `count`: others may come meanwhile."""
        async with asyncio.timeout(30), self.arrived:
            await self.arrived.wait_for(lambda: len(self.about(address, marker)) >= count)
        return self.about(address, marker)[-1]


class Server(SMTP):
    """Drops the connection instead of answering DATA, where the sink says so."""

    async def smtp_DATA(self, arg: str) -> None:
        sink = self.event_handler
        [address, *_] = (self.envelope and self.envelope.rcpt_tos) or [""]
        if address.startswith("drop-at-data") and sink.tries[address] <= 2:
            self.transport.abort()
            return
        await super().smtp_DATA(arg)


@contextlib.asynccontextmanager
async def gateway_running() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    async with web_server(gateway.app()) as gateway.url:
        yield gateway


@contextlib.asynccontextmanager
async def sink_running() -> AsyncIterator[Sink]:
    sink = Sink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        partial(Server, sink, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
    )
    sink.port = server.sockets[0].getsockname()[1]
    async with server:
        yield sink


def words_of(reply: EmailMessage) -> str:
    """The text of a reply, which has HTML beside it."""
    text = reply.get_body(("plain",))
    assert text is not None, "the reply has no text"
    return str(text.get_content())


def mail(
    sender: str = "john@example.com",
    subject: str = "Meeting tomorrow",
    text: str = "Hi, can we meet tomorrow at 2pm?",
    message_id: str | None = None,
    name: str = "John Doe",
    **headers: str,
) -> bytes:
    """A mail to the owner."""
    message = EmailMessage(policy=default.clone(linesep="\r\n"))
    message["From"] = f"{name} <{sender}>"
    message["To"] = "owner@mailroom.test"
    message["Subject"] = subject
    if message_id:
        message["Message-ID"] = message_id
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()
