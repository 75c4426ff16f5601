"""A house whose outbound messages go to the sink; see `CONFIG`."""

from collections.abc import AsyncIterator

import httpx
import pytest
from house import TOKEN, House, address_of, bridge_on, house_on, settings_for
from outbound_world import Outbound
from sqlalchemy import URL
from temporalio.testing import WorkflowEnvironment
from world import Gateway, Sink

CONFIG = """
[outbound]
connections = 4
bounce_domain = "bounces.mailroom.test"
hostname = "mailroom.test"
"""


@pytest.fixture(scope="module")
async def outbound_house(
    own_env: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("outbound")
    (folder / "mailroom.toml").write_text(CONFIG)
    settings = settings_for(
        folder,
        gateway,
        sink,
        temporal_address=address_of(own_env),
        mailroom_outbound_route=f"smtp://127.0.0.1:{sink.port}",
    )
    async with house_on(own_env, settings, database, gateway, sink) as running:
        yield running


@pytest.fixture(scope="module")
async def queue_api(outbound_house: House) -> AsyncIterator[httpx.AsyncClient]:
    """A bridge of the outbound house, for its operator."""
    async with bridge_on(outbound_house.context) as http:
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        yield http


@pytest.fixture
def outbound(outbound_house: House, queue_api: httpx.AsyncClient, marker: str) -> Outbound:
    return Outbound(outbound_house, queue_api, marker)
