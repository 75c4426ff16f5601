"""A house whose outbound messages go to the sink; see `CONFIG` of outbound_world."""

from collections.abc import AsyncIterator

import httpx
import pytest
from house import TOKEN, House, bridge_on, configured_house
from outbound_world import CONFIG, Outbound
from pages_world import Person
from sqlalchemy import URL
from temporalio.testing import WorkflowEnvironment
from world import Gateway, Sink


@pytest.fixture(scope="module")
async def outbound_house(
    own_env: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    route, folder = f"smtp://127.0.0.1:{sink.port}", tmp_path_factory.mktemp("outbound")
    async with configured_house(
        own_env, database, gateway, sink, folder, CONFIG, mailroom_outbound_route=route
    ) as running:
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


@pytest.fixture
async def operator(queue_api: httpx.AsyncClient) -> AsyncIterator[Person]:
    async with httpx.AsyncClient(base_url=queue_api.base_url, timeout=60) as browser:
        await browser.get("/login", params={"token": TOKEN})
        yield Person(browser)
