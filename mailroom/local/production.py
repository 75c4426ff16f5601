"""Bridge and worker as processes of their own.

They keep nothing: Temporal, PostgreSQL and the object store do. Settings come from the
environment; every bridge and worker gets the same.
"""

import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from pydantic import SecretStr
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, ProgrammingError

from mailroom.adapters import temporal, twilio
from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.migrate import upgrade
from mailroom.adapters.postgres.statistics import PostgresStatistics
from mailroom.adapters.settings import BadConfiguration, Settings
from mailroom.adapters.spool.place import only_daemon
from mailroom.bridge.app import create_app
from mailroom.bridge.context import Secrets
from mailroom.bridge.kept_schedules import keep_schedules
from mailroom.local import inbound, secrets, serving
from worker import connected, database_url, keep_rates, keep_watches
from worker import worker as worker_of
from workflows.search_attributes import ALL

log = structlog.get_logger()


class StoreUnusable(Exception):
    """PostgreSQL can't be used; the message says what to do."""


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """A worker; the block runs beside it."""
    token = required(settings.mailroom_token, "MAILROOM_TOKEN", LONG_RANDOM)
    database = database_url(settings)
    await check_store(database)
    async with connected(settings, database, secrets.derived(token, "links")) as adapters:
        await keep_schedules(adapters.client, settings)
        await keep_rates(adapters)
        async with worker_of(adapters, settings):
            await keep_watches(adapters, settings)
            yield


@asynccontextmanager
async def bridging(settings: Settings, *, smtp: bool) -> AsyncIterator[list[str]]:
    """A bridge: HTTP, and SMTP if wanted. Yields the addresses it listens on. Temporal and
    PostgreSQL may be away: what comes in is kept."""
    token = required(settings.mailroom_token, "MAILROOM_TOKEN", LONG_RANDOM)
    held = Secrets(
        token=token,
        webhook=_webhook_secret(settings),
        session=secrets.derived(token, "session"),
        twilio=twilio.token_of(settings),
    )
    host, port = settings.mailroom_host, settings.mailroom_port
    async with AsyncExitStack() as on_exit:
        listener = on_exit.enter_context(serving.bound_socket(host, port))
        on_exit.enter_context(only_daemon(settings.spool_dir))
        database = database_url(settings)
        await _warn_unless_usable(database)
        link_secret = secrets.derived(token, "links")
        adapters = await on_exit.enter_async_context(
            connected(settings, database, link_secret, lazy=True)
        )
        context = serving.bridge_context(adapters, settings, held)
        app = create_app(context)
        await on_exit.enter_async_context(serving.served(app, listener))
        await on_exit.enter_async_context(serving.forwarding(app))
        addresses = [f"http://{host}:{listener.getsockname()[1]}"]
        if smtp:
            server = await on_exit.enter_async_context(
                inbound.receiving(context.reception, settings)
            )
            addresses.append(f"smtp://{settings.mailroom_smtp_host}:{inbound.port_of(server)}")
        yield addresses


def _webhook_secret(settings: Settings) -> str | None:
    """The gateway's; Twilio signs with its own token."""
    if settings.sms_webhook_secret is None and twilio.account_of(settings):
        return None
    webhook = required(settings.sms_webhook_secret, "SMS_WEBHOOK_SECRET", SIGNING_KEY)
    check_webhook_secret(webhook)
    return webhook


async def migrate(settings: Settings) -> None:
    """Brings the schema up to date."""
    database = database_url(settings)
    try:
        await upgrade(database)
    except DBAPIError as error:
        raise _unusable(database, error) from error


async def register_search_attributes(settings: Settings) -> None:
    key = settings.temporal_api_key
    client = await temporal.connect(
        settings.temporal_address,
        settings.temporal_namespace,
        api_key=key.get_secret_value() if key else None,
        tls=settings.temporal_tls,
    )
    await temporal.add_search_attributes(client, ALL)


async def check_store(database: URL) -> None:
    """Raises `StoreUnusable` unless PostgreSQL answers and has our tables."""
    engines = engine.connect(database, 1)
    try:
        await PostgresStatistics(engines.read).counts()
    except DBAPIError as error:
        raise _unusable(database, error) from error
    finally:
        await engines.dispose()


def check_webhook_secret(secret: str) -> int:
    """How many bytes of key it holds; raises `BadConfiguration` if it is none."""
    try:
        return len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except binascii.Error as error:
        raise BadConfiguration(
            f"SMS_WEBHOOK_SECRET is not in the form of Standard Webhooks; {SIGNING_KEY}."
        ) from error


LONG_RANDOM = 'set it to a long random value, the same everywhere: "$(openssl rand -hex 24)"'
SIGNING_KEY = (
    'set it to what your gateway signs with, or make one: "whsec_$(openssl rand -base64 24)"'
)


def required(secret: SecretStr | None, name: str, how: str) -> str:
    if secret is None:
        raise BadConfiguration(f"{name} is not set; {how}.")
    return secret.get_secret_value()


async def _warn_unless_usable(database: URL) -> None:
    """A bridge takes mail while PostgreSQL and Temporal are away. Tables of another version are
    not away: raises `StoreUnusable`."""
    try:
        await check_store(database)
    except StoreUnusable as error:
        if isinstance(error.__cause__, ProgrammingError):
            raise
        log.warning(f"{error} What comes in is kept in the spool meanwhile.")


def _unusable(database: URL, error: DBAPIError) -> StoreUnusable:
    said = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no answer"
    where = f"PostgreSQL at {database.host}:{database.port}"
    if isinstance(error, ProgrammingError):
        return StoreUnusable(
            f"{where} has not the tables of this version ({said}); run `mailroom migrate`."
        )
    return StoreUnusable(
        f"{where} can't be used ({said}); start it, or correct DB_HOST, DB_PORT, DB_NAME, "
        "DB_USER and DB_PASSWORD."
    )
