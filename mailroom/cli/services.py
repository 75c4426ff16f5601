"""Checks of the servers that Mailroom speaks to. Nothing is sent to anybody."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import httpx

from mailroom.adapters import temporal as temporal_adapter
from mailroom.adapters.http import http_client
from mailroom.adapters.settings import Settings
from mailroom.adapters.temporal import TemporalUnavailable
from mailroom.cli.background import Health
from mailroom.cli.findings import Finding, failed, ok, warning
from mailroom.local import toolchain
from mailroom.local.production import StoreUnusable, check_store
from worker import database_url

SECONDS = 5.0
PHONE_INSTEAD = "texts go to the phone in the browser"

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
