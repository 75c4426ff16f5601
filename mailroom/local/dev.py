"""`mailroom dev`: the whole stack in one folder and one process."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from filelock import FileLock, Timeout
from pydantic import SecretStr
from sqlalchemy import URL

from mailroom.adapters import temporal, twilio
from mailroom.adapters.couriers import CATCHER, route_of
from mailroom.adapters.postgres.migrate import upgrade
from mailroom.adapters.settings import Settings, load_config_file, owners_of
from mailroom.adapters.spool.place import only_daemon
from mailroom.bridge.app import create_app
from mailroom.bridge.context import Secrets
from mailroom.bridge.kept_schedules import keep_schedules
from mailroom.local import inbound, outbox, pages, phone, secrets, serving
from mailroom.local.logs import log_to_file
from mailroom.local.samples import send_samples
from mailroom.local.servers import (
    TemporalPorts,
    free_port_or_fail,
    postgres_server,
    temporal_server,
)
from mailroom.local.toolchain import temporal_cli
from worker import Adapters, connected, keep_rates, keep_watches, worker
from workflows.search_attributes import ALL

# Reserved for fiction (North American Numbering Plan); texts to it go to the browser.
PHONE_OF_NOBODY = "+12025550100"


class Unusable(Exception):
    """The data folder can't be used; the message says what to do."""


@dataclass(frozen=True)
class Running:
    """What a person wants to know of a stack that is up."""

    url: str
    token: str
    smtp: str
    temporal_ui: str
    data_dir: Path


@asynccontextmanager
async def stack(settings: Settings, *, samples: bool) -> AsyncIterator[Running]:
    """Everything, started in the order of need and stopped in the reverse order."""
    folder = prepared(settings.mailroom_data_dir)
    log_to_file(folder / "logs" / "mailroom.log", settings.mailroom_log_level)
    async with AsyncExitStack() as on_exit:
        on_exit.enter_context(only_one(folder))
        on_exit.enter_context(only_daemon(settings.spool_dir))
        listener = on_exit.enter_context(
            serving.bound_socket(settings.mailroom_host, settings.mailroom_port)
        )
        database = await servers(on_exit, settings, folder)
        catcher = outbox.Outbox(folder / "outbox")
        catcher_server = await catcher.listen()
        on_exit.callback(catcher_server.close)
        port = listener.getsockname()[1]
        # A real phone is not texted about samples, and their senders are nobody to write to.
        samples = samples and not reaches_outside(settings)
        settings = local(settings, folder, port, inbound.port_of(catcher_server))
        adapters = await on_exit.enter_async_context(
            connected(settings, database, secrets.derived(_token(settings), "links"))
        )
        await temporal.add_search_attributes(adapters.client, ALL)
        await keep_schedules(adapters.client, settings)
        await keep_rates(adapters)
        await on_exit.enter_async_context(worker(adapters, settings))
        await keep_watches(adapters, settings)
        smtp = await edges(
            on_exit, adapters, settings, database=database, catcher=catcher, listener=listener
        )
        if samples:
            owner = next(iter(adapters.owners.values()))
            await send_samples(owner, settings.mailroom_smtp_host, smtp)
        yield Running(
            url=settings.bridge_url,
            token=_token(settings),
            smtp=f"{settings.mailroom_smtp_host}:{smtp}",
            temporal_ui=_temporal_ui(settings),
            data_dir=folder,
        )


async def servers(on_exit: AsyncExitStack, settings: Settings, folder: Path) -> URL:
    """Temporal and PostgreSQL, the schema up to date."""
    ports = TemporalPorts(settings.mailroom_temporal_port, settings.mailroom_temporal_ui_port)
    await free_port_or_fail("127.0.0.1", ports.grpc, "MAILROOM_TEMPORAL_PORT")
    await free_port_or_fail("127.0.0.1", ports.ui, "MAILROOM_TEMPORAL_UI_PORT")
    binary = await temporal_cli(
        explicit=settings.mailroom_temporal_cli, cache=settings.mailroom_cache_dir
    )
    database = await on_exit.enter_async_context(postgres_server(folder / "postgres"))
    await upgrade(database)
    await on_exit.enter_async_context(
        temporal_server(binary, ports, folder / "temporal.db", folder / "logs" / "temporal.log")
    )
    return database


async def edges(
    on_exit: AsyncExitStack,
    adapters: Adapters,
    settings: Settings,
    *,
    database: URL,
    catcher: outbox.Outbox,
    listener: socket,
) -> int:
    """HTTP and SMTP; the port of the latter."""
    held = _secrets(settings)
    context = serving.bridge_context(adapters, settings, held, _temporal_ui(settings))
    handset = phone.Phone(
        settings.mailroom_data_dir / "phone.jsonl",
        _numbers(adapters),
        f"{settings.bridge_url}/orchestrator/sms-response",
        _webhook_secret(settings),
    )
    routers = [
        phone.router(handset, adapters.http),
        outbox.router(catcher),
        pages.router(handset, catcher, adapters.http),
    ]
    app = create_app(context, routers)
    await on_exit.enter_async_context(serving.served(app, listener))
    await on_exit.enter_async_context(serving.forwarding(app))
    server = await on_exit.enter_async_context(inbound.receiving(context.reception, settings))
    return inbound.port_of(server)


def _numbers(adapters: Adapters) -> dict[str, str]:
    known = {owner.id: owner.phone for owner in adapters.owners.values() if owner.phone}
    return known or {next(iter(adapters.owners)): PHONE_OF_NOBODY}


def prepared(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise Unusable(
            f"{folder} can't be written ({error.strerror}); set MAILROOM_DATA_DIR to a folder "
            "that can."
        ) from error
    if not os.access(folder, os.W_OK):
        raise Unusable(f"{folder} can't be written; set MAILROOM_DATA_DIR to a folder that can.")
    return folder


def only_one(folder: Path) -> FileLock:
    """Held as long as the stack runs; the system lets it go even after a kill."""
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise Unusable(
            f"Another Mailroom runs on {folder} already; stop it, or set MAILROOM_DATA_DIR."
        ) from error
    lock.release()
    return lock


def reaches_outside(settings: Settings) -> bool:
    """Whether texts or replies leave this machine."""
    texts = settings.sms_gateway_url or twilio.account_of(settings)
    owners = owners_of(settings, load_config_file(settings.mailroom_config)).values()
    return bool(texts or settings.gmail_smtp_server or any(owner.smtp for owner in owners))


def local(settings: Settings, folder: Path, http_port: int, catcher_port: int) -> Settings:
    """Settings in which nothing leaves this machine unless a route was configured."""
    token = settings.mailroom_token or SecretStr(secrets.token(folder))
    update: dict[str, object] = {
        "temporal_address": f"127.0.0.1:{settings.mailroom_temporal_port}",
        "mailroom_token": token,
        "mailroom_port": http_port,
        "sms_webhook_secret": settings.sms_webhook_secret
        or SecretStr(secrets.webhook_secret(folder)),
        "your_phone_number": settings.your_phone_number or PHONE_OF_NOBODY,
    }
    settings = settings.model_copy(update=update)
    if not settings.sms_gateway_url and not twilio.account_of(settings):
        gateway = {
            "sms_gateway_url": f"{settings.bridge_url}/dev/gateway",
            "sms_gateway_token": token,
        }
        settings = settings.model_copy(update=gateway)
    if not settings.gmail_smtp_server:
        catcher = {"gmail_smtp_server": "127.0.0.1", "gmail_smtp_port": catcher_port}
        settings = settings.model_copy(
            update={**catcher, "email_password": None, "email_token_command": None}
        )
    if route_of(settings) == CATCHER:
        here = SecretStr(f"smtp://127.0.0.1:{catcher_port}")
        settings = settings.model_copy(
            update={"mailroom_outbound_route": here, "mailroom_outbound_password": None}
        )
    return settings


def _secrets(settings: Settings) -> Secrets:
    token = _token(settings)
    return Secrets(
        token=token,
        webhook=_webhook_secret(settings),
        session=secrets.derived(token, "session"),
        twilio=twilio.token_of(settings),
    )


def _webhook_secret(settings: Settings) -> str:
    assert settings.sms_webhook_secret is not None
    return settings.sms_webhook_secret.get_secret_value()


def _token(settings: Settings) -> str:
    token = settings.mailroom_token
    return token.get_secret_value() if token else secrets.token(settings.mailroom_data_dir)


def _temporal_ui(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.mailroom_temporal_ui_port}"
