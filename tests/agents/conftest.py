"""A house whose agents have short waits and every channel; see `CONFIG`."""

from collections.abc import AsyncIterator

import httpx
import pytest
from agent_world import Hook
from house import House, address_of, bridge_on, configured_house, house_on, settings_for
from sqlalchemy import URL
from temporalio.testing import WorkflowEnvironment
from tmux_world import TmuxServer, tmux_running
from web import web_server
from world import Gateway, Sink

CONFIG = """
[agents]
delivery_timeout = 0.4
retry = {{ max_attempts = 1, initial_delay = 0.05 }}
addresses = ["mayor/", "rig/worker", "rig/boss", "night/worker"]
groups = {{ staff = ["mayor/", "rig/boss"] }}
tmux = ["gt-{{address}}", "{{address}}"]
batch = {{ size = 20, within = 0.2 }}

[[agents.mailboxes]]
address = "hooked/*"
webhook = "{hook}"
webhook_secret_env = "AGENT_HOOK_SECRET"

[[agents.mailboxes]]
address = "small/*"
offline_queue = {{ max_queue_size = 3 }}

[[agents.mailboxes]]
address = "strict/*"
offline_queue = {{ max_queue_size = 3, overflow = "reject" }}

[[agents.mailboxes]]
address = "bin/*"
offline_queue = {{ max_queue_size = 3, overflow = "dead-letter" }}

[[agents.mailboxes]]
address = "off/*"
offline_queue = {{ enabled = false }}

[[agents.mailboxes]]
address = "every/*"
sessions = "all"

[[agents.mailboxes]]
address = "brittle/*"
breaker = {{ failures = 2, open_for = 1 }}

[[agents.rules]]
name = "night shift"
match = {{ to = "day/*", subject = "alarm" }}
redirect = "night/worker"
copy = ["mayor/"]
priority = "urgent"

[[agents.rules]]
name = "later"
match = {{ to = "patient/*" }}
delay = "1h"
"""
HOOK_SECRET = "whsec_YWdlbnRzLWhvb2stc2VjcmV0LWZvci10ZXN0cw=="


@pytest.fixture(scope="module")
async def hook() -> AsyncIterator[Hook]:
    hook = Hook()
    async with web_server(hook.app()) as url:
        hook.url = f"{url}/mail"
        yield hook


@pytest.fixture(scope="module")
async def terminals(tmux_binary: object) -> AsyncIterator[TmuxServer]:
    async with tmux_running(tmux_binary) as server:  # type: ignore[arg-type]
        yield server


@pytest.fixture(scope="module")
async def agents_house(
    own_env: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    hook: Hook,
    terminals: TmuxServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    folder, config = tmp_path_factory.mktemp("agents"), CONFIG.format(hook=hook.url)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AGENT_HOOK_SECRET", HOOK_SECRET)
        async with configured_house(
            own_env,
            database,
            gateway,
            sink,
            folder,
            config,
            mailroom_tmux_socket=terminals.socket,
        ) as running:
            yield running


@pytest.fixture(scope="module")
async def office(agents_house: House) -> AsyncIterator[httpx.AsyncClient]:
    """A bridge of the agents' house."""
    async with bridge_on(agents_house.context) as http:
        yield http


@pytest.fixture
async def known(agents_house: House, marker: str) -> str:
    """The address of an agent that is known and offline."""
    address = f"{marker}/worker"
    await agents_house.context.known_agents.remember([address])
    return address


@pytest.fixture(scope="module")
async def house(
    own_env: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    """In place of the one that all share: workflows that are terminated in the middle of a step
    keep the time of their server from being skipped."""
    folder = tmp_path_factory.mktemp("letters")
    settings = settings_for(folder, gateway, sink, temporal_address=address_of(own_env))
    async with house_on(own_env, settings, database, gateway, sink) as running:
        yield running


@pytest.fixture(scope="module")
async def bridge(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_on(house.context) as http:
        yield http
