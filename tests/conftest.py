"""Real servers, one of each kind for a session, on loopback with free ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import URL
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from world import PHONE, Gateway, Sink, gateway_running, mail, sink_running

from mailroom.adapters import temporal
from mailroom.adapters.postgres.migrate import upgrade
from mailroom.adapters.postgres.views import WorkflowState
from mailroom.adapters.settings import Settings
from mailroom.bridge.context import Context, Secrets
from mailroom.bridge.intake import Accepted, Arrival
from mailroom.local import serving
from mailroom.local.servers import postgres_server
from mailroom.local.toolchain import time_skipping_server
from worker import Adapters, connected, worker
from workflows.search_attributes import ALL

WEBHOOK_SECRET = "whsec_bWFpbHJvb20tdGVzdHMtd2ViaG9vay1rZXk="
TOKEN = "a-token-for-tests"
OWNER = "owner@mailroom.test"


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
    settings = settings_for(
        tmp_path_factory.mktemp("data"),
        gateway,
        sink,
        temporal_address=env.client.service_client.config.target_host,
    )
    async with house_on(env, settings, database, gateway, sink) as running:
        yield running


@asynccontextmanager
async def house_on(
    env: WorkflowEnvironment, settings: Settings, database: URL, gateway: Gateway, sink: Sink
) -> AsyncIterator[House]:
    async with connected(settings, database, "links") as adapters:
        await temporal.add_search_attributes(adapters.client, ALL)
        async with serving.listening(database) as feed, worker(adapters, settings):
            secrets = Secrets(token=TOKEN, webhook=WEBHOOK_SECRET, session="session")
            context = serving.bridge_context(adapters, settings, secrets, feed)
            yield House(env, env.client, adapters, context, settings, gateway, sink)


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
