"""Connections that are used again, and logins by token; the DATA phase is in test_sending_once."""

import asyncio
import base64
import shlex
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from test_sending_once import LETTER, RECIPIENT, SENDER, nothing
from tls_world import authority_for

from mailroom.adapters.smtp import connections
from mailroom.adapters.smtp.submission import SmtpMailer, Submission, Tls
from mailroom.adapters.token_command import token_from
from mailroom.ports import Permanent, Transient

TOKEN = "ya29.a-token"


@dataclass
class Server:
    """Keeps its connections, counts letters, and knows one token."""

    port: int = 0
    connections: list[asyncio.Transport] = field(default_factory=list)
    letters: int = 0
    quits: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: list[bytes] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.letters += 1
        if envelope.rcpt_tos == ["refused@example.com"]:
            return "554 5.7.1 no"
        return "250 2.0.0 taken"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.quits.set()
        return "221 bye"

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        said = base64.b64decode(args[1])
        self.tokens.append(said)
        good = said == f"user=owner\x01auth=Bearer {TOKEN}\x01\x01".encode()
        return AuthResult(success=good, handled=False, auth_data=good)


class Counted(SMTP):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.event_handler.connections.append(transport)
        super().connection_made(transport)


@asynccontextmanager
async def serving(
    implicit: ssl.SSLContext | None = None, most: int | None = None
) -> AsyncIterator[Server]:
    """`most`: the size it announces."""
    here = Server()
    loop = asyncio.get_running_loop()
    factory = partial(
        Counted,
        here,
        loop=loop,
        hostname="localhost",
        auth_require_tls=False,
        data_size_limit=most,
    )
    server = await loop.create_server(factory, "localhost", 0, ssl=implicit)
    here.port = server.sockets[0].getsockname()[1]
    async with server:
        yield here


async def send(mailer: SmtpMailer, recipient: str = RECIPIENT) -> str:
    return await mailer.deliver(SENDER, [recipient], LETTER, nothing)


async def test_letters_one_after_the_other_share_a_connection() -> None:
    async with serving() as server:
        mailer = SmtpMailer(Submission("localhost", server.port))
        for _ in range(5):
            await send(mailer)
        assert (len(server.connections), server.letters) == (1, 5)


async def test_letters_at_once_have_connections_of_their_own() -> None:
    async with serving() as server:
        mailer = SmtpMailer(Submission("localhost", server.port))
        await asyncio.gather(*(send(mailer) for _ in range(5)))
        await asyncio.gather(*(send(mailer) for _ in range(5)))
        assert (len(server.connections), server.letters) == (5, 10)


async def test_a_server_that_hung_up_meanwhile_is_connected_to_again() -> None:
    async with serving() as server:
        mailer = SmtpMailer(Submission("localhost", server.port))
        await send(mailer)
        server.connections[0].abort()
        assert await send(mailer) == "250 2.0.0 taken"
        assert (len(server.connections), server.letters) == (2, 2)


async def test_a_connection_on_which_something_failed_is_not_used_again() -> None:
    async with serving() as server:
        mailer = SmtpMailer(Submission("localhost", server.port))
        with pytest.raises(Permanent, match=r"5\.7\.1"):
            await send(mailer, "refused@example.com")
        await send(mailer)
        assert len(server.connections) == 2


async def test_an_idle_connection_is_left_politely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.05)
    async with serving() as server:
        mailer = SmtpMailer(Submission("localhost", server.port))
        await send(mailer)
        await asyncio.wait_for(server.quits.wait(), 10)
        await send(mailer)
        assert len(server.connections) == 2


# A token in the place of a password


def printing(text: str) -> str:
    return shlex.join([sys.executable, "-c", f"print({text!r})"])


def with_token(port: int, command: str) -> Submission:
    return Submission(
        "localhost",
        port,
        username="owner",
        token=lambda: token_from(command),
        tls=Tls.IMPLICIT,
    )


async def test_a_token_from_a_command_logs_in(tmp_path: Path) -> None:
    authority = authority_for("DNS:localhost", tmp_path)
    async with serving(authority.server) as server:
        route = with_token(server.port, printing(TOKEN))
        assert await send(SmtpMailer(route, authority.trusting)) == "250 2.0.0 taken"
        assert len(server.tokens) == 1


async def test_a_refused_token_is_permanent_and_not_shown(tmp_path: Path) -> None:
    authority = authority_for("DNS:localhost", tmp_path)
    async with serving(authority.server) as server:
        route = with_token(server.port, printing("an-old-token"))
        with pytest.raises(Permanent, match="refused the login") as error:
            await send(SmtpMailer(route, authority.trusting))
        assert "an-old-token" not in str(error.value)
        assert server.letters == 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/no/such/command", "can't be started"),
        (f"{sys.executable} -c 'import sys; sys.exit(3)'", "exit status 3"),
        (printing(""), "gave no token"),
        ("'unbalanced", "can't be started"),
    ],
)
async def test_a_command_that_gives_no_token(command: str, said: str) -> None:
    with pytest.raises(Transient, match=said):
        await token_from(command)


def test_a_token_needs_tls_on_every_port() -> None:
    route = Submission("mail.example.org", 25, token=lambda: token_from("true"))
    assert route.security is Tls.STARTTLS


async def test_what_is_larger_than_the_server_takes_is_not_begun() -> None:
    async with serving(most=1_000) as server:
        mailer = SmtpMailer(Submission("localhost", server.port))
        with pytest.raises(Permanent, match=r"takes 1 KB at most, and the reply has 2 KB"):
            await mailer.deliver(SENDER, [RECIPIENT], b"xx\r\n" * 600, nothing)
        assert server.letters == 0
        await send(mailer)
        assert server.letters == 1
