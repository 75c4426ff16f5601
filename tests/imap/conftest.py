"""A Dovecot, and a house on Temporal's dev server whose worker comes and goes."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from house import House, address_of, another_database, cache, idle_house_on, settings_for
from mailbox_world import Post, Watched, free_port
from sqlalchemy import URL
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from world import Gateway, Sink

from mailroom.local import dovecot as dovecots
from mailroom.local.dovecot import Dovecot
from mailroom.local.toolchain import temporal_cli


@pytest.fixture(scope="session")
async def dovecot(dovecot_binary: Path) -> AsyncIterator[Dovecot]:
    async with dovecots.running(dovecot_binary, free_port()) as server:
        yield server


@pytest.fixture
def post(dovecot: Dovecot, marker: str) -> Post:
    """A mailbox of one test's own."""
    dovecot.set_password(marker, "word")
    return Post(dovecot, marker, "word")


@pytest.fixture(scope="session")
async def dev_server() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(await temporal_cli(cache=cache())),
        dev_server_log_level="never",
        data_converter=pydantic_data_converter,
    ) as running:
        yield running


@pytest.fixture(scope="session")
async def imap_house(
    dev_server: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("imap")
    settings = settings_for(folder, gateway, sink, temporal_address=address_of(dev_server))
    own = await another_database(database, "imap")
    async with idle_house_on(dev_server, settings, own, gateway, sink) as running:
        yield running


@pytest.fixture
async def watched(
    imap_house: House, post: Post, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watched]:
    """The house's owner reads the test's mailbox; nobody is at work yet."""
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.ca))
    known = {
        "imap_host": dovecot.host,
        "imap_port": dovecot.port,
        "imap_user": post.user,
        "imap_password": post.password,
    }
    settings = imap_house.settings.model_validate(imap_house.settings.model_dump() | known)
    running = Watched(replace(imap_house, settings=settings), post)
    yield running
    await running.forget()
