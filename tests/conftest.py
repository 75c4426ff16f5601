"""Real servers, one of each kind for a session, on loopback with free ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import URL, create_engine, text
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from world import PHONE, Gateway, Handset, Sink, eventually, gateway_running, mail, sink_running

from mailroom.adapters import temporal
from mailroom.adapters.postgres.migrate import upgrade
from mailroom.adapters.postgres.views import WorkflowState
from mailroom.adapters.settings import Settings
from mailroom.bridge.app import create_app
from mailroom.bridge.context import Context, Secrets
from mailroom.bridge.intake import Accepted, Arrival
from mailroom.local import serving
from mailroom.local.servers import postgres_server
from mailroom.local.toolchain import temporal_cli, time_skipping_server
from worker import Adapters, connected, worker
from workflows.search_attributes import ALL

WEBHOOK_SECRET = "whsec_bWFpbHJvb20tdGVzdHMtd2ViaG9vay1rZXk="
TOKEN = "a-token-for-tests"
OWNER = "owner@mailroom.test"
# Low, so that a test can exceed it.
EVENTS_BEFORE_CONTINUE_AS_NEW = 500


@dataclass
class House:
    """A worker and a bridge's insides on real servers; `env` skips time."""

    env: WorkflowEnvironment
    client: Client
    adapters: Adapters
    context: Context
    settings: Settings
    gateway: Gateway
    sink: Sink
    sent: list[str] = field(default_factory=list)

    async def receive(self, raw: bytes, sender: str = "john@example.com") -> Accepted:
        return await self.context.intake.accept(Arrival(raw, sender, (OWNER,)))

    async def row(self, accepted: Accepted) -> WorkflowState:
        row = await self.context.views.by_workflow(accepted.workflow_id)
        assert row is not None, "the mail has no row"
        return row

    async def skip(self, **duration: float) -> None:
        await self.env.sleep(timedelta(**duration))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """A worker for a house that has none."""
        async with worker(self.adapters, self.settings):
            yield

    async def nothing_waits(self) -> None:
        """Ends whatever other tests left waiting, so that a bare answer has one meaning."""
        views, [owner] = self.context.views, self.context.owners
        for draft in await views.waiting(owner, 1_000):
            await self.context.flows.expire(draft.workflow_id)

        async def none() -> bool:
            return not await views.waiting(owner)

        await eventually(none)

    async def forget_phone(self) -> None:
        """The owner's number has neither said STOP nor been explained anything."""
        async with self.adapters.engines.write.connect() as connection:
            await connection.execute(text("DELETE FROM phones"))


@pytest.fixture(scope="session")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[URL]:
    async with postgres_server(tmp_path_factory.mktemp("postgres")) as url:
        await upgrade(url)
        yield url


@pytest.fixture(scope="session")
async def gateway() -> AsyncIterator[Gateway]:
    async with gateway_running() as running:
        yield running


@pytest.fixture(scope="session")
async def sink() -> AsyncIterator[Sink]:
    async with sink_running() as running:
        yield running


@pytest.fixture(scope="session")
async def env() -> AsyncIterator[WorkflowEnvironment]:
    binary = await time_skipping_server()
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(binary), data_converter=pydantic_data_converter
    ) as running:
        yield running


@pytest.fixture(scope="session")
async def house(
    env: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("data")
    settings = settings_for(folder, gateway, sink, temporal_address=address_of(env))
    async with house_on(env, settings, database, gateway, sink) as running:
        yield running


@asynccontextmanager
async def house_on(
    env: WorkflowEnvironment, settings: Settings, database: URL, gateway: Gateway, sink: Sink
) -> AsyncIterator[House]:
    async with idle_house_on(env, settings, database, gateway, sink) as house, house.at_work():
        yield house


@asynccontextmanager
async def idle_house_on(
    env: WorkflowEnvironment, settings: Settings, database: URL, gateway: Gateway, sink: Sink
) -> AsyncIterator[House]:
    """Without a worker: `at_work` starts one."""
    async with connected(settings, database, "links") as adapters:
        await temporal.add_search_attributes(adapters.client, ALL)
        async with serving.listening(database) as feed:
            secrets = Secrets(token=TOKEN, webhook=WEBHOOK_SECRET, session="session")
            context = serving.bridge_context(adapters, settings, secrets, feed)
            yield House(env, env.client, adapters, context, settings, gateway, sink)


@pytest.fixture(scope="session")
async def idle_house(
    database: URL, gateway: Gateway, sink: Sink, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """A house whose worker comes and goes, with a clock and a database of its own."""
    binary = await time_skipping_server()
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(binary), data_converter=pydantic_data_converter
    ) as env:
        folder = tmp_path_factory.mktemp("idle")
        settings = settings_for(folder, gateway, sink, temporal_address=address_of(env))
        own = await another_database(database, "idle")
        async with idle_house_on(env, settings, own, gateway, sink) as running:
            yield running


@pytest.fixture(scope="session")
async def dev_house(
    database: URL, gateway: Gateway, sink: Sink, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """On Temporal's real server, which has limits: 10 updates at once, and so many events. Its
    worker comes and goes."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(await temporal_cli()),
        dev_server_log_level="never",
        dev_server_extra_args=[
            "--dynamic-config-value",
            f"limit.historyCount.suggestContinueAsNew={EVENTS_BEFORE_CONTINUE_AS_NEW}",
        ],
        data_converter=pydantic_data_converter,
    ) as env:
        folder = tmp_path_factory.mktemp("dev")
        settings = settings_for(folder, gateway, sink, temporal_address=address_of(env))
        own = await another_database(database, "dev")
        async with idle_house_on(env, settings, own, gateway, sink) as running:
            yield running


async def another_database(database: URL, name: str) -> URL:
    """Beside `database`, on the same server."""
    engine = create_engine(
        database.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    own = database.set(database=name)
    await upgrade(own)
    return own


@pytest.fixture(scope="session")
async def bridge(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_on(house.context) as http:
        yield http


@asynccontextmanager
async def bridge_on(context: Context, **limits: int) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a bridge on a real port, which allows as many texts as there are tests."""
    allowed = replace(context.limits, **{"sms_per_minute": 1_000_000, **limits})
    listener = serving.bound_socket("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(replace(context, limits=allowed))
    async with serving.served(app, listener), httpx.AsyncClient(base_url=url, timeout=60) as http:
        yield http


@pytest.fixture
async def phone(house: House, bridge: httpx.AsyncClient) -> Handset:
    """The owner's, with nothing waiting for an answer."""
    await house.nothing_waits()
    await house.forget_phone()
    return Handset(bridge, WEBHOOK_SECRET)


def address_of(env: WorkflowEnvironment) -> str:
    return env.client.service_client.config.target_host


def settings_for(folder: Path, gateway: Gateway, sink: Sink, **more: object) -> Settings:
    known: dict[str, object] = {
        "sms_gateway_url": gateway.url,
        "sms_webhook_secret": SecretStr(WEBHOOK_SECRET),
        "gmail_smtp_server": "127.0.0.1",
        "gmail_smtp_port": sink.port,
        "email_address": OWNER,
        "your_phone_number": PHONE,
        "mailroom_data_dir": folder,
        "mailroom_token": SecretStr(TOKEN),
        "mailroom_config": folder / "mailroom.toml",
    }
    return Settings.model_validate(known | more)


@pytest.fixture
def marker() -> str:
    """A word that is in one test's mail and in nobody else's."""
    return f"mk{uuid4().hex[:10]}"


@pytest.fixture
def raw_mail(marker: str) -> bytes:
    return mail(sender=f"{marker}@example.com", subject=f"Meeting {marker}")
