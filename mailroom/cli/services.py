"""Checks of the servers that Mailroom speaks to. Nothing is sent to anybody."""

import asyncio
import ssl
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import TypeVar

import aiosmtplib
import httpx

from mailroom.adapters import temporal as temporal_adapter
from mailroom.adapters.http import http_client
from mailroom.adapters.settings import Settings
from mailroom.adapters.smtp.submission import IMPLICIT_TLS_PORT, SUBMISSION_PORT
from mailroom.adapters.temporal import TemporalUnavailable
from mailroom.cli.background import Health
from mailroom.cli.findings import Finding, failed, ok, warning
from mailroom.local import toolchain
from mailroom.local.production import StoreUnusable, check_store
from worker import database_url

SECONDS = 5.0
PHONE_INSTEAD = "texts go to the phone in the browser"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

T = TypeVar("T")


async def _within(work: Awaitable[T]) -> T:
    return await asyncio.wait_for(work, SECONDS)


async def temporal(settings: Settings) -> Finding:
    """A server of one's own in production, else the CLI that has the dev server in it."""
    usual = Settings.model_fields["temporal_address"].default
    if settings.db_host or settings.temporal_address != usual:
        return await _temporal_server(settings)
    return await _temporal_cli(settings)


async def _temporal_server(settings: Settings) -> Finding:
    address, key = settings.temporal_address, settings.temporal_api_key
    connecting = temporal_adapter.connect(
        address,
        settings.temporal_namespace,
        api_key=key.get_secret_value() if key else None,
        tls=settings.temporal_tls,
    )
    try:
        await _within(connecting)
    except (TemporalUnavailable, TimeoutError):
        mend = "Start it, or correct TEMPORAL_ADDRESS, TEMPORAL_TLS and TEMPORAL_API_KEY."
        return failed("Temporal", f"{address} can't be reached", mend)
    return ok("Temporal", f"{address} answers")


async def _temporal_cli(settings: Settings) -> Finding:
    explicit = settings.mailroom_temporal_cli
    try:
        # No ways to get it: an examination fetches nothing.
        found = await toolchain.temporal_cli(
            explicit=explicit, cache=settings.mailroom_cache_dir, ways=()
        )
    except toolchain.ToolMissing as error:
        if explicit:
            return failed("Temporal CLI", f"{explicit} can't be used", str(error))
        mend = "Nothing to do; or install it so that `temporal` is on PATH."
        return warning("Temporal CLI", "not here yet; the first start gets it, once", mend)
    return ok("Temporal CLI", str(found))


async def postgres(settings: Settings) -> Finding:
    if not settings.db_host:
        return _own_postgres()
    try:
        await _within(check_store(database_url(settings)))
    except StoreUnusable as error:
        return failed("PostgreSQL", f"{settings.db_host}: not usable", str(error))
    except TimeoutError:
        where = f"{settings.db_host}:{settings.db_port}"
        mend = "Start it, open its port, or correct DB_HOST and DB_PORT."
        return failed("PostgreSQL", f"{where} does not answer", mend)
    return ok("PostgreSQL", f"{settings.db_name} on {settings.db_host}, schema in place")


def _own_postgres() -> Finding:
    try:
        toolchain.postgres()
    except toolchain.ToolMissing as error:
        return failed("PostgreSQL", "the one of the local stack is missing", str(error))
    return ok("PostgreSQL", "comes with the local stack")


def bridge(settings: Settings, health: Health | None, *, running: bool) -> Finding:
    """`running`: ours; a remote one is as good."""
    url = settings.bridge_url
    if health is None:
        mend = "Start it with `mailroom dev` or `mailroom daemon start`."
        return warning("bridge", f"not running at {url}", mend)
    if not running and not settings.mailroom_url:
        mend = "Stop it, or set MAILROOM_DATA_DIR to its folder, or MAILROOM_PORT to another port."
        return warning("bridge", f"another Mailroom, of another data folder, is at {url}", mend)
    if health.status != "healthy":
        mend = "Temporal or PostgreSQL is away; `mailroom daemon logs` says more."
        return failed("bridge", f"{health.status} at {url}", mend)
    waiting = health.workflows.get("awaiting_user", 0)
    return ok("bridge", f"healthy at {url}, {waiting} mails await you")


async def sms_gateway(settings: Settings) -> Finding:
    url = settings.sms_gateway_url
    if not url:
        instead = "Twilio sends the texts" if settings.twilio_account_sid else PHONE_INSTEAD
        return ok("SMS gateway", f"none: {instead}")
    try:
        async with http_client(SECONDS) as http:
            await http.get(url)  # whatever it answers, it is there
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        problem = str(error) or type(error).__name__
        mend = "Start it, or correct SMS_GATEWAY_URL."
        return failed("SMS gateway", f"{url} can't be reached ({problem})", mend)
    return ok("SMS gateway", f"{url} answers")


async def smtp_server(settings: Settings) -> Finding:
    if not settings.gmail_smtp_server:
        return ok("SMTP server", "none: replies go to the outbox")
    where = f"{settings.gmail_smtp_server}:{settings.gmail_smtp_port}"
    try:
        return await _within(_smtp_session(settings, where))
    except aiosmtplib.SMTPAuthenticationError as error:
        mend = "Correct EMAIL_ADDRESS and EMAIL_PASSWORD; Gmail wants an app password."
        return failed("SMTP server", f"{where} refused the login ({error.message})", mend)
    except (aiosmtplib.SMTPException, OSError) as error:
        return smtp_problem(where, error)


async def _smtp_session(settings: Settings, where: str) -> Finding:
    """Connects, as a reply would, and logs in."""
    host, port, password = _route(settings)
    smtp = aiosmtplib.SMTP(
        hostname=host,
        port=port,
        timeout=SECONDS,
        use_tls=port == IMPLICIT_TLS_PORT,
        start_tls=True if port == SUBMISSION_PORT or password else None,
        tls_context=ssl.create_default_context(),
    )
    async with smtp:
        if password:
            await smtp.login(settings.email_address or "", password)
        certificate = smtp.get_transport_info("peercert")
    return _smtp_answers(where, host, certificate)


def _route(settings: Settings) -> tuple[str, int, str | None]:
    password = settings.email_password
    return (
        settings.gmail_smtp_server or "",
        settings.gmail_smtp_port,
        password.get_secret_value() if password else None,
    )


def _smtp_answers(where: str, host: str, certificate: dict[str, str] | None) -> Finding:
    if certificate:
        end = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
        return ok("SMTP server", f"{where} answers; its certificate is valid until {end:%Y-%m-%d}")
    if host in LOOPBACK:
        return ok("SMTP server", f"{where} answers")
    mend = "Use GMAIL_SMTP_PORT=465 or 587, where the connection is encrypted."
    return warning("SMTP server", f"{where} answers, without encryption", mend)


def smtp_problem(where: str, error: Exception) -> Finding:
    certificate = _certificate_error(error)
    if certificate:
        mend = "Correct GMAIL_SMTP_SERVER, or give the server a certificate for that name."
        problem = f"{where}: its certificate is not trusted ({certificate.verify_message})"
        return failed("SMTP server", problem, mend)
    mend = "Correct GMAIL_SMTP_SERVER and GMAIL_SMTP_PORT (465 TLS, 587 STARTTLS)."
    problem = str(error) or type(error).__name__
    return failed("SMTP server", f"{where} can't be used ({problem})", mend)


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None
