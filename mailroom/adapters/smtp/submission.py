"""Replies out: by the SMTP server that the sender submits mail to."""

import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

import aiosmtplib
from aiosmtplib import SMTP, SMTPException
from aiosmtplib.errors import SMTPResponseException

from mailroom.adapters.smtp.connections import Connections, Link
from mailroom.adapters.smtp.exchange import (
    COMMAND_SECONDS,
    DOT_SECONDS,
    announced_limit,
    readable,
    send_body,
)
from mailroom.models.attached import size_words
from mailroom.ports import Permanent, Transient

CONNECT_SECONDS = 30
IMPLICIT_TLS_PORT = 465
SUBMISSION_PORT = 587


class Tls(StrEnum):
    """How a connection becomes encrypted (RFC 8314 §3)."""

    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    OFFERED = "offered"


@dataclass(frozen=True)
class Submission:
    """`tls` is for servers on ports of their own; `security` says what the others mean. `token`
    gives an OAuth 2 access token, for servers that want one in the place of a password."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    token: Callable[[], Awaitable[str]] | None = None
    dot_seconds: float = DOT_SECONDS
    tls: Tls | None = None

    @property
    def security(self) -> Tls:
        if self.tls:
            return self.tls
        if self.port == IMPLICIT_TLS_PORT:
            return Tls.IMPLICIT
        # No password goes over a line that anybody can read.
        return Tls.STARTTLS if self.port == SUBMISSION_PORT or self.logs_in else Tls.OFFERED

    @property
    def logs_in(self) -> bool:
        return bool(self.password or self.token)


class SmtpMailer:
    def __init__(self, route: Submission, tls: ssl.SSLContext | None = None) -> None:
        """Certificates are verified by the system's authorities, or as `tls` says."""
        self._route = route
        # Loading the authorities takes 10 ms of CPU: once, not for each mail.
        self._tls = tls or ssl.create_default_context()
        self._connections = Connections()

    async def deliver(
        self,
        sender: str,
        recipients: list[str],
        data: bytes,
        before_dot: Callable[[], Awaitable[None]],
    ) -> str:
        try:
            smtp = await self._ready()
            try:
                await _envelope(smtp, sender, recipients)
                self._check_size(smtp, len(data))
                answer = await send_body(
                    smtp, data, before_dot, name=self._name, dot_seconds=self._route.dot_seconds
                )
            except BaseException:
                smtp.close()
                raise
        except SMTPResponseException as error:
            raise refusal(error.code, error.message) from error
        except (SMTPException, OSError, TimeoutError) as error:
            raise Transient(f"{self._name}: {error or type(error).__name__}.") from error
        self._connections.keep(Link(smtp, self._name))
        return f"{answer.code} {readable(answer.message)}"

    async def _ready(self) -> SMTP:
        """A connection that waits for an envelope: an idle one that still lives, else a new one."""
        while link := self._connections.take():
            smtp = link.smtp
            try:
                await smtp.rset(timeout=COMMAND_SECONDS)
            except (SMTPException, OSError, TimeoutError):
                # Closed by the server meanwhile. What is wrong with it a new one will say.
                smtp.close()
            else:
                return smtp
        smtp = self._client()
        try:
            await self._open(smtp)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _check_size(self, smtp: SMTP, size: int) -> None:
        """Nothing larger than the server takes is begun."""
        most = announced_limit(smtp)
        if most and most < size:
            raise Permanent(
                f"{self._name} takes {size_words(most)} at most, and the reply has "
                f"{size_words(size)}. If it carries attachments, 1 sends it without them."
            )

    @property
    def _name(self) -> str:
        return f"The mail server {self._route.host}:{self._route.port}"

    def _client(self) -> SMTP:
        route = self._route
        return SMTP(
            hostname=route.host,
            port=route.port,
            timeout=CONNECT_SECONDS,
            use_tls=route.security is Tls.IMPLICIT,
            start_tls=True if route.security is Tls.STARTTLS else None,
            tls_context=self._tls,
        )

    async def _open(self, smtp: SMTP) -> None:
        await smtp.connect()
        if self._route.logs_in:
            try:
                await self._log_in(smtp)
            except aiosmtplib.SMTPAuthenticationError as error:
                said = f"{self._name} refused the login:"
                raise refusal(error.code, error.message, said) from error

    async def _log_in(self, smtp: SMTP) -> None:
        route = self._route
        if route.token:
            await smtp.auth_xoauth2(route.username or "", await route.token())
        else:
            await smtp.login(route.username or "", route.password or "")


async def _envelope(smtp: SMTP, sender: str, recipients: list[str]) -> None:
    options = ["SMTPUTF8"] if not all(map(str.isascii, (sender, *recipients))) else []
    encoding = "utf-8" if options else "ascii"
    await smtp.mail(sender, options=options, encoding=encoding, timeout=COMMAND_SECONDS)
    for recipient in recipients:
        await smtp.rcpt(recipient, encoding=encoding, timeout=COMMAND_SECONDS)


# "4.2.2.1" is no enhanced code but an address or a version.
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\w)")


def refusal(
    code: int, message: str, said: str = "The mail server answered"
) -> Permanent | Transient:
    """Whether another try can help: the reply class decides, unless the enhanced code (RFC
    3463) contradicts it, as some servers send transient conditions as 5xx. An answer of no such
    class is a misunderstanding, and nothing was sent."""
    sentence = f"{said} {code} {readable(message)}"
    enhanced = _ENHANCED.match(message)
    transient = code // 100 != 5
    if enhanced:
        # X.5.3, too many recipients, is transient whatever its class.
        transient = (
            enhanced[1] == "4"
            or (enhanced[2], enhanced[3]) == ("5", "3")
            or (transient and enhanced[1] != "5")
        )
    return Transient(sentence) if transient else Permanent(sentence)
