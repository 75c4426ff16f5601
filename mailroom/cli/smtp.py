"""Check of the servers that send the replies: connects and logs in, sends nothing."""

import asyncio
import ssl
from datetime import UTC, datetime

import aiosmtplib

from mailroom.adapters.settings import BadConfiguration, Settings, load_config_file, owners_of
from mailroom.adapters.smtp.configured import own_submission, submission_of
from mailroom.adapters.smtp.submission import Submission, Tls
from mailroom.cli.findings import Finding, failed, ok, warning
from mailroom.ports import Transient

CHECK = "SMTP server"
SECONDS = 5.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
LOG_IN = (
    "Correct EMAIL_ADDRESS and EMAIL_PASSWORD, or the owner's smtp in mailroom.toml; Gmail wants "
    "an app password (docs/mailbox.md)."
)


async def smtp_servers(settings: Settings) -> list[Finding]:
    try:
        routes = _routes(settings)
    except BadConfiguration as error:
        return [failed(CHECK, str(error), "Correct it in the environment or mailroom.toml.")]
    if not routes:
        return [ok(CHECK, "none: replies go to the outbox")]
    return list(await asyncio.gather(*(smtp_server(route) for route in routes)))


def _routes(settings: Settings) -> list[Submission]:
    owners = owners_of(settings, load_config_file(settings.mailroom_config)).values()
    usual = [submission_of(settings)] if settings.gmail_smtp_server else []
    return [*usual, *(own_submission(owner.smtp) for owner in owners if owner.smtp)]


async def smtp_server(route: Submission) -> Finding:
    where = f"{route.host}:{route.port}"
    try:
        certificate = await asyncio.wait_for(_session(route), SECONDS)
    except aiosmtplib.SMTPAuthenticationError as error:
        return failed(CHECK, f"{where} refused the login ({error.message})", LOG_IN)
    except Transient as error:
        return failed(CHECK, str(error), "Correct EMAIL_TOKEN_COMMAND, or the token_command.")
    except (aiosmtplib.SMTPException, OSError) as error:
        return smtp_problem(where, error)
    return _answers(route, where, certificate)


async def _session(route: Submission) -> dict[str, str] | None:
    """Connects and logs in as a reply would; the server's certificate."""
    smtp = aiosmtplib.SMTP(
        hostname=route.host,
        port=route.port,
        timeout=SECONDS,
        use_tls=route.security is Tls.IMPLICIT,
        start_tls=True if route.security is Tls.STARTTLS else None,
        tls_context=ssl.create_default_context(),
    )
    async with smtp:
        if route.token:
            await smtp.auth_xoauth2(route.username or "", await route.token())
        elif route.password:
            await smtp.login(route.username or "", route.password)
        certificate: dict[str, str] | None = smtp.get_transport_info("peercert")
    return certificate


def _answers(route: Submission, where: str, certificate: dict[str, str] | None) -> Finding:
    if certificate:
        end = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
        return ok(CHECK, f"{where} answers; its certificate is valid until {end:%Y-%m-%d}")
    if route.host in LOOPBACK:
        return ok(CHECK, f"{where} answers")
    mend = "Use GMAIL_SMTP_PORT=465 or 587, where the connection is encrypted."
    return warning(CHECK, f"{where} answers, without encryption", mend)


def smtp_problem(where: str, error: Exception) -> Finding:
    certificate = _certificate_error(error)
    if certificate:
        mend = "Correct GMAIL_SMTP_SERVER, or give the server a certificate for that name."
        problem = f"{where}: its certificate is not trusted ({certificate.verify_message})"
        return failed(CHECK, problem, mend)
    mend = "Correct GMAIL_SMTP_SERVER and GMAIL_SMTP_PORT (465 TLS, 587 STARTTLS)."
    problem = str(error) or type(error).__name__
    return failed(CHECK, f"{where} can't be used ({problem})", mend)


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None
