"""Mail servers as strangers run them, and a DNS that names them; all on loopback."""

import asyncio
import random
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mailroom.models.outbound.parcel import Parcel

SENDER, RECIPIENT = "news@sender.example", "john@example.com"
MAIL = b"Subject: Hi\r\n\r\nHello\r\n"
DROP, SILENCE = "drop", "silence"


def parcel(recipient: str = RECIPIENT, sender: str = SENDER, **more: str) -> Parcel:
    domain = recipient.rpartition("@")[2]
    return Parcel(
        id=uuid4(), message_id="<1@x>", sender=sender, recipient=recipient, domain=domain, **more
    )


class Marker:
    """Counts how often the marker was claimed; `meanwhile` runs in it."""

    def __init__(self, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        self.claims = 0
        self._meanwhile = meanwhile

    async def __call__(self) -> None:
        self.claims += 1
        if self._meanwhile:
            await self._meanwhile()


# A server that answers as it is told


@dataclass
class Told:
    """`answers` by verb (`HELLO` is its greeting, `DOT` the end of a mail): one for always, or one
    for each time; DROP hangs up, SILENCE never answers. `pause`: between two bytes."""

    answers: dict[str, str | Iterator[str]] = field(default_factory=dict)
    pause: float = 0
    reads_body: bool = True
    host: str = "127.0.0.1"
    port: int = 0
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0
    commands: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event | None = None

    @property
    def verbs(self) -> list[str]:
        return [command.split()[0].upper() for command in self.commands]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.answer(writer, "HELLO", f"220 {self.host} told")
            while line := await reader.readline():
                await self.command(line.decode().rstrip(), reader, writer)
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.transport.abort()
            self.at_once -= 1
            self.gone.set()

    async def command(
        self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.commands.append(line)
        verb = line.split(maxsplit=1)[0].upper()
        usual = {"DATA": "354 go on", "EHLO": f"250 {self.host}", "QUIT": "221 bye"}
        said = await self.answer(writer, verb, usual.get(verb, "250 OK"))
        if verb == "DATA" and said.startswith("354"):
            await self.body(reader, writer)

    async def body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.reads_body:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.Event().wait()
        data = await reader.readuntil(b"\r\n.\r\n")
        if self.go_on:
            await self.go_on.wait()
        self.mails.append(data)
        await self.answer(writer, "DOT", "250 2.0.0 taken")

    async def answer(self, writer: asyncio.StreamWriter, to: str, usual: str) -> str:
        told = self.answers.get(to, usual)
        words = told if isinstance(told, str) else next(told, usual)
        if words == DROP:
            raise ConnectionResetError
        if words == SILENCE:
            return words
        for piece in _pieces(words.replace("\n", "\r\n").encode("latin-1") + b"\r\n", self.pause):
            writer.write(piece)
            await writer.drain()
            if self.pause:
                await asyncio.sleep(self.pause)
        return words


def _pieces(words: bytes, pause: float) -> list[bytes]:
    return [bytes([byte]) for byte in words] if pause else [words]


@asynccontextmanager
async def running(*servers: Told, port: int = 0) -> AsyncIterator[Told]:
    """All on one port; the first is given."""
    async with AsyncExitStack() as on_exit:
        tasks: set[asyncio.Task[None]] = set()
        for each in servers:
            server = await asyncio.start_server(
                _tracked(each, tasks), each.host, port or each.port, limit=1 << 24
            )
            port = each.port = server.sockets[0].getsockname()[1]
            on_exit.callback(server.close)
        try:
            yield servers[0]
        finally:
            for task in tasks:
                task.cancel()


def _tracked(
    told: Told, tasks: set[asyncio.Task[None]]
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await told.serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            tasks.discard(task)

    return serve


# A server with TLS and a login


@dataclass
class Guarded:
    """Remembers what it was told, and whether that was encrypted."""

    port: int = 0
    logins: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, str, bool]] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password)
        return AuthResult(success=data.password == b"s3cret", handled=False)

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        self.options = options
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        encrypted = bool(server.transport.get_extra_info("cipher"))
        self.envelopes.append((envelope.mail_from or "", envelope.rcpt_tos[0], encrypted))
        return "250 2.0.0 taken"


@asynccontextmanager
async def guarded(
    *,
    starttls: ssl.SSLContext | None = None,
    implicit: ssl.SSLContext | None = None,
    utf8: bool = False,
    most: int | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[Guarded]:
    here = Guarded()
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            here,
            loop=loop,
            hostname="guarded.example",
            tls_context=starttls,
            authenticator=here.authenticate,
            auth_require_tls=False,
            enable_SMTPUTF8=utf8,
            data_size_limit=most,
        )

    server = await loop.create_server(protocol, host, 0, ssl=implicit)
    here.port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        server.close()


# A name server


@dataclass
class Zone(asyncio.DatagramProtocol):
    """`records` by name and type; `failures` by name: an rcode, or None for silence. A name
    without either does not exist."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    failures: dict[str, dns.rcode.Rcode | None] = field(default_factory=dict)
    ttl: int = 300
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    port: int = 0

    def mx(self, domain: str, *exchanges: str) -> None:
        """Each with its preference: `10 mx.example.com.`"""
        self.records[domain, "MX"] = list(exchanges)

    def host(self, name: str, *addresses: str) -> None:
        for address in addresses:
            kind = "AAAA" if ":" in address else "A"
            self.records.setdefault((name, kind), []).append(address)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked[name, kind] += 1
        failure = self.failures.get(name, dns.rcode.NOERROR)
        if failure is None:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        response.set_rcode(failure)
        if failure == dns.rcode.NOERROR:
            self.fill(response, name, kind)
        self.transport.sendto(response.to_wire(max_size=65_000), addr)

    def fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        if alias := self.records.get((name, "CNAME")):
            response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", "CNAME", *alias))
            name = alias[0].removesuffix(".")
        if found := self.records.get((name, kind)):
            response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", kind, *found))
            return
        # RFC 2308 §5: how long a no holds.
        soa = f"ns.example. mail.example. 1 2 3 4 {self.ttl}"
        response.authority.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", "SOA", soa))
        if not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)


@asynccontextmanager
async def name_server(zone: Zone) -> AsyncIterator[Zone]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: zone, local_addr=("127.0.0.1", 0))
    zone.port = transport.get_extra_info("sockname")[1]
    try:
        yield zone
    finally:
        transport.close()


def network() -> str:
    """Addresses of this test's own: fill in the last number."""
    return f"127.{random.randint(1, 254)}.{random.randint(0, 255)}"


@contextmanager
def nobody_there() -> Iterator[int]:
    """A port that refuses connections."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]
