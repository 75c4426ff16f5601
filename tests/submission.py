"""A submission server: TLS by a local CA, nobody without a login; keeps what each login sent.

On an address of its own where the system lets it have ports 465 and 587, as the servers of mail
providers do; else on one free port with STARTTLS.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mailroom.local.dovecot import certify

IMPLICIT_TLS, STARTTLS = 465, 587


@dataclass(frozen=True)
class Left:
    """A mail that left: under whose login, from whom and to whom (the envelope)."""

    login: str
    sender: str
    recipients: tuple[str, ...]
    mail: EmailMessage


@dataclass
class SubmissionServer:
    """`ports`: where each port of a provider is here."""

    ca: Path
    host: str
    ports: dict[int, int]
    passwords: dict[str, str] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user = data.login.decode()
        good = self.passwords.get(user) == data.password.decode()
        if not good:
            self.refused.append(user)
        return AuthResult(success=good, handled=False, auth_data=user)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert server.transport.get_extra_info("cipher"), "a mail over an open line"
        assert session.authenticated, "a mail without a login"
        mail = message_from_bytes(envelope.original_content or b"", policy=default)
        assert isinstance(mail, EmailMessage)
        self.left.append(
            Left(session.auth_data, envelope.mail_from or "", tuple(envelope.rcpt_tos), mail)
        )
        async with self.arrived:
            self.arrived.notify_all()
        return "250 2.0.0 taken"

    def by(self, login: str) -> list[Left]:
        return [one for one in self.left if one.login == login]

    async def wait_for(self, login: str, count: int = 1, seconds: float = 30) -> Left:
        """The last mail under this login, once there are `count` of them."""
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: len(self.by(login)) >= count)
        return self.by(login)[-1]


@contextlib.asynccontextmanager
async def submission_running(folder: Path) -> AsyncIterator[SubmissionServer]:
    host = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
    await certify(f"DNS:localhost,IP:{host}", folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    running = SubmissionServer(folder / "certificate.pem", host, {})
    async with contextlib.AsyncExitStack() as on_exit:
        try:
            await on_exit.enter_async_context(await _implicit(running, tls))
            await on_exit.enter_async_context(await _starttls(running, tls, host, STARTTLS))
            running.ports = {IMPLICIT_TLS: IMPLICIT_TLS, STARTTLS: STARTTLS}
        except OSError:
            running.host = "localhost"
            server = await on_exit.enter_async_context(
                await _starttls(running, tls, "localhost", 0)
            )
            port = server.sockets[0].getsockname()[1]
            running.ports = {IMPLICIT_TLS: port, STARTTLS: port}
        yield running


async def _implicit(running: SubmissionServer, tls: ssl.SSLContext) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    protocol = partial(_protocol, running, auth_require_tls=False)
    return await loop.create_server(protocol, running.host, IMPLICIT_TLS, ssl=tls)


async def _starttls(
    running: SubmissionServer, tls: ssl.SSLContext, host: str, port: int
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    protocol = partial(_protocol, running, tls_context=tls, require_starttls=True)
    return await loop.create_server(protocol, host, port)


def _protocol(running: SubmissionServer, **how: object) -> SMTP:
    return SMTP(
        running,
        loop=asyncio.get_running_loop(),
        hostname="localhost",
        authenticator=running.authenticate,
        **how,
    )
