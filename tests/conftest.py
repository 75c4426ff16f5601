"""Real servers, one of each kind for a session, on loopback with free ports."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from house import (
    EVENTS_BEFORE_CONTINUE_AS_NEW,
    TEMPLATE,
    WEBHOOK_SECRET,
    House,
    address_of,
    another_database,
    bridge_on,
    cache,
    house_on,
    idle_house_on,
    settings_for,
)
from sqlalchemy import URL
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from world import Gateway, Handset, Sink, gateway_running, mail, sink_running

from mailroom.adapters.postgres.migrate import upgrade
from mailroom.local import dovecot as dovecots
from mailroom.local.dovecot import HOW_TO_INSTALL
from mailroom.local.servers import postgres_server
from mailroom.local.tmux import HOW_TO_INSTALL as HOW_TO_INSTALL_TMUX
from mailroom.local.tmux import tmux_or_debians
from mailroom.local.toolchain import temporal_cli, time_skipping_server

# A Java machine that lives for one module: to compile what it runs a second time doesn't pay.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--spool-kills",
        type=int,
        default=200,
        help="how many users of a spool are killed at random",
    )
    parser.addoption("--campaign", type=int, default=1_000, help="how many messages a campaign has")


def pytest_configure() -> None:
    """Ctrl-C reaches the processes that tests start, also where this one runs in a shell's
    background, which ignores it and would hand that on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault("JDK_JAVA_OPTIONS", SHORT_LIVED)


@pytest.fixture(scope="session")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[URL]:
    async with postgres_server(tmp_path_factory.mktemp("postgres"), TEMPLATE) as template:
        await upgrade(template)
        yield await another_database(template, "mailroom")


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
    async with time_skipping() as running:
        yield running


@pytest.fixture(scope="module")
async def own_env() -> AsyncIterator[WorkflowEnvironment]:
    """For a house beside `house`: on one server the workers of both would do each other's work."""
    async with time_skipping() as running:
        yield running


@asynccontextmanager
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    binary = await time_skipping_server(cache=cache())
    async with await _started(str(binary)) as running:
        yield running


async def _started(binary: str) -> WorkflowEnvironment:
    """The SDK gives a Java machine five seconds, which a busy computer may exceed."""
    for _ in range(4):
        with suppress(RuntimeError):
            return await _start(binary)
    return await _start(binary)


async def _start(binary: str) -> WorkflowEnvironment:
    return await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=binary, data_converter=pydantic_data_converter
    )


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


@pytest.fixture(scope="session")
async def dev_house(
    database: URL, gateway: Gateway, sink: Sink, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """On Temporal's real server, which has limits: 10 updates at once, and so many events. Its
    worker comes and goes."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(await temporal_cli(cache=cache())),
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


@pytest.fixture(scope="session")
async def bridge(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_on(house.context) as http:
        yield http


@pytest.fixture(scope="module")
async def letters_end(house: House) -> AsyncIterator[None]:
    """For modules that send letters in the house that all share."""
    yield
    await house.end_letters()


@pytest.fixture
async def phone(house: House, bridge: httpx.AsyncClient) -> Handset:
    """The owner's, with nothing waiting for an answer."""
    await house.nothing_waits()
    await house.forget_phone()
    return Handset(bridge, WEBHOOK_SECRET)


@pytest.fixture(scope="session")
async def dovecot_binary() -> Path:
    found = await dovecots.dovecot_or_debians()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"No IMAP server: {HOW_TO_INSTALL}.")
        pytest.skip(f"No IMAP server: {HOW_TO_INSTALL}.")
    return found


@pytest.fixture(scope="session")
async def tmux_binary() -> Path:
    found = await tmux_or_debians()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"No tmux: {HOW_TO_INSTALL_TMUX}.")
        pytest.skip(f"No tmux: {HOW_TO_INSTALL_TMUX}.")
    return found


@pytest.fixture
def marker() -> str:
    """A word that is in one test's mail and in nobody else's."""
    return f"mk{uuid4().hex[:10]}"


@pytest.fixture
def raw_mail(marker: str) -> bytes:
    return mail(sender=f"{marker}@example.com", subject=f"Meeting {marker}")
