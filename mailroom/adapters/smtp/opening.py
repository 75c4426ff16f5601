"""Connections to mail servers: greeting, TLS as the policy wants it, login."""

import ssl
from dataclasses import dataclass, field, replace
from functools import cached_property

from aiosmtplib import SMTP, SMTPException
from aiosmtplib.errors import SMTPAuthenticationError, SMTPHeloError, SMTPResponseException

from mailroom.adapters.smtp.connections import Link
from mailroom.adapters.smtp.sites import Server
from mailroom.models.outbound.routing import TlsPolicy

CONNECT_SECONDS = 30


class NoTls(Exception):
    """There is no encryption as the policy wants it. The message begins with a status code (RFC
    3463, RFC 5248)."""


class NoLogin(Exception):
    """The server does not know us."""


class Loop(Exception):
    """The server is ourselves."""


@dataclass(frozen=True)
class Login:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Terms:
    """`ourselves` is what we say in EHLO; a `stranger` that says the same is no stranger."""

    ourselves: str
    policy: TlsPolicy
    implicit: bool = False
    login: Login | None = None
    stranger: bool = False


class Opener:
    def __init__(self, verifying: ssl.SSLContext | None = None) -> None:
        """Certificates are verified by the system's authorities, or as `verifying` says."""
        self._given = verifying

    async def open(self, server: Server, terms: Terms) -> Link:
        """Waits for an envelope. Raises `NoTls`, `NoLogin`, `Loop` and what aiosmtplib does."""
        try:
            return await self._open(server, terms)
        except NoTls:
            if terms.policy.insists:
                raise
            # What was said so far may be another's work: from the beginning, in the clear.
            return await self._open(server, replace(terms, policy=TlsPolicy.NONE))

    async def _open(self, server: Server, terms: Terms) -> Link:
        smtp = self._client(server, terms)
        try:
            await self._begin(smtp, server, terms)
        except BaseException:
            smtp.close()
            raise
        return Link(smtp, server.name)

    def _context(self, policy: TlsPolicy) -> ssl.SSLContext:
        return self._verifying if policy is TlsPolicy.VERIFIED else self._trusting

    @cached_property
    def _verifying(self) -> ssl.SSLContext:
        # Loading the authorities takes 10 ms of CPU: once, and where they are asked.
        return self._given or ssl.create_default_context()

    @cached_property
    def _trusting(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def _client(self, server: Server, terms: Terms) -> SMTP:
        return SMTP(
            hostname=server.address,
            port=server.port,
            local_hostname=terms.ourselves,
            timeout=CONNECT_SECONDS,
            use_tls=terms.implicit,
            start_tls=False,
            tls_context=self._context(terms.policy),
        )

    async def _begin(self, smtp: SMTP, server: Server, terms: Terms) -> None:
        try:
            await smtp.connect()
        except SMTPException as error:
            _say_certificate(error, server)
            raise
        await _greet(smtp)
        if terms.stranger and _calls_itself(smtp) == terms.ourselves.lower():
            raise Loop(f"{server.name} calls itself {terms.ourselves}, as we do")
        if terms.policy is not TlsPolicy.NONE and not terms.implicit:
            await _encrypt(smtp, server, terms.policy)
        if terms.login:
            await _log_in(smtp, server, terms.login)


async def _greet(smtp: SMTP) -> None:
    try:
        await smtp.ehlo()
    except SMTPHeloError:
        if not smtp.is_connected:
            raise
        await smtp.helo()


def _calls_itself(smtp: SMTP) -> str:
    answer = smtp.last_ehlo_response or smtp.last_helo_response
    words = answer.message.split() if answer else []
    return words[0].lower() if words else ""


async def _encrypt(smtp: SMTP, server: Server, policy: TlsPolicy) -> None:
    if not smtp.supports_extension("starttls"):
        if policy.insists:
            raise NoTls(f"4.7.4 {server.name} offers no STARTTLS")
        return
    try:
        await smtp.starttls(server_hostname=server.host)
        await _greet(smtp)
    except (SMTPException, OSError, TimeoutError) as error:
        _say_certificate(error, server)
        said = type(error).__name__
        if isinstance(error, SMTPResponseException):
            said = str(error.code)
        raise NoTls(f"4.7.5 TLS with {server.name} failed ({said})") from error


def _say_certificate(error: BaseException | None, server: Server) -> None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = f"4.7.5 The certificate of {server.name} is not trusted"
            raise NoTls(f"{reason} ({error.verify_message})") from error
        error = error.__cause__ or error.__context__


async def _log_in(smtp: SMTP, server: Server, login: Login) -> None:
    if smtp.get_transport_info("sslcontext") is None:
        raise NoTls(f"4.7.4 {server.name} has no TLS, and a password needs it")
    try:
        await smtp.login(login.user, login.password)
    except SMTPAuthenticationError as error:
        # What it answered may repeat what it was told.
        raise NoLogin(f"4.7.0 {server.name} refused our login ({error.code})") from None
    except SMTPResponseException:
        raise
    except SMTPException as error:
        if not smtp.is_connected:
            raise
        raise NoLogin(f"4.7.0 {server.name} takes no login by password") from error
