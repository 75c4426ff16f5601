"""Who goes first, and how fast: seen at a mail server that has few connections to give, on
Temporal's server as the local stack starts it."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from uuid import uuid4

import httpx
import pytest
from house import (
    TOKEN,
    House,
    address_of,
    another_database,
    bridge_on,
    cache,
    idle_house_on,
    settings_for,
)
from sqlalchemy import URL
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from world import Gateway, Server, Sink, eventually

from mailroom.local.servers import DYNAMIC_CONFIG
from mailroom.local.toolchain import temporal_cli
from mailroom.models.names import DELIVERY_TASK_QUEUE
from worker import keep_rates

CONFIG = """
[outbound]
connections = 1
throttle_rate = 300
hostname = "mailroom.test"

[outbound.health]
circuits = false

[[outbound.queues]]
name = "unhurried-*"
throttle_rate = 60

[[outbound.queues]]
name = "hurried-*"
throttle_rate = 60_000
"""


# One message on its way and one behind it.
AT_ONCE = 2


@dataclass
class Watched(Sink):
    """Remembers what came when; takes nothing while it is not `open`."""

    came: list[tuple[float, str]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self, address: str, raw: bytes) -> None:
        await self.open.wait()
        self.came.append((time.monotonic(), address))
        await super().keep(address, raw)

    def of(self, queue: str) -> list[float]:
        return [at for at, address in self.came if address.endswith(f"@{queue}.test")]

    async def has(self, queue: str, count: int, seconds: float = 60) -> None:
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: len(self.of(queue)) >= count)


@pytest.fixture(scope="module")
async def watched() -> AsyncIterator[Watched]:
    sink, loop = Watched(), asyncio.get_running_loop()
    sink.open.set()
    server = await loop.create_server(partial(Server, sink, loop=loop), "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    async with server:
        yield sink


@pytest.fixture(scope="module")
async def fair_house(
    database: URL, gateway: Gateway, watched: Watched, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Without a worker."""
    folder = tmp_path_factory.mktemp("fair")
    (folder / "mailroom.toml").write_text(CONFIG)
    settings = [word for each in DYNAMIC_CONFIG for word in ("--dynamic-config-value", each)]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(await temporal_cli(cache=cache())),
        dev_server_log_level="never",
        dev_server_extra_args=settings,
        data_converter=pydantic_data_converter,
    ) as env:
        own = settings_for(
            folder,
            gateway,
            watched,
            temporal_address=address_of(env),
            mailroom_outbound_route=f"smtp://127.0.0.1:{watched.port}",
        )
        store = await another_database(database, f"fair-{uuid4().hex[:8]}")
        async with idle_house_on(env, own, store, gateway, watched) as house:
            assert await keep_rates(house.adapters)
            yield house


@pytest.fixture(scope="module")
async def queues(fair_house: House) -> AsyncIterator["Queues"]:
    async with bridge_on(fair_house.context) as http:
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        yield Queues(http)


@dataclass
class Queues:
    http: httpx.AsyncClient

    async def submit(self, queue: str, count: int, priority: int = 5, to: str = "take") -> None:
        items = [
            {
                "sender": "news@company.com",
                "recipient": f"{to}+{number}@{queue}.test",
                "queue_name": queue,
                "priority": priority,
                "headers": {"Subject": "Hello"},
                "text": "Hello",
            }
            for number in range(count)
        ]
        response = await self.http.post("/queue/messages", json={"items": items})
        assert response.status_code == 202, response.text
        assert len(response.json()["accepted"]) == count


async def test_an_urgent_message_overtakes_a_backlog_of_its_queue(
    fair_house: House, queues: Queues, watched: Watched
) -> None:
    queue = f"hurried-{uuid4().hex[:8]}"
    await queues.submit(queue, 60)
    await queues.submit(queue, 5, priority=10, to="take-urgent")
    watched.open.clear()
    async with fair_house.at_work():
        await waiting(fair_house, 65 - AT_ONCE)
        watched.open.set()
        await watched.has(queue, 65)
    order = [address for _, address in watched.came if address.endswith(f"@{queue}.test")]
    places = [place for place, address in enumerate(order) if address.startswith("take-urgent")]
    print(f"the urgent ones came as numbers {places} of 65")
    assert max(places) < 5 + AT_ONCE


async def waiting(house: House, count: int) -> None:
    """Until so many deliveries wait in Temporal's queue."""
    asked = DescribeTaskQueueRequest(
        namespace=house.client.namespace,
        task_queue=TaskQueue(name=DELIVERY_TASK_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        report_stats=True,
    )

    async def do() -> bool:
        found = await house.client.workflow_service.describe_task_queue(asked)
        return found.stats.approximate_backlog_count >= count

    await eventually(do, 60)


async def test_no_queue_is_faster_than_its_rate(
    fair_house: House, queues: Queues, watched: Watched
) -> None:
    usual, slow = f"usual-{uuid4().hex[:8]}", f"unhurried-{uuid4().hex[:8]}"
    await queues.submit(usual, 40)
    await queues.submit(slow, 9)
    async with fair_house.at_work():
        await watched.has(usual, 40)
        await watched.has(slow, 9)
    for queue, rate in ((usual, 5), (slow, 1)):
        times = watched.of(queue)
        ahead, took = _ahead(times, rate), times[-1] - times[0]
        print(f"{len(times)} in {took:.1f} s; {ahead:.1f} ahead of {rate}/s at most")
        # Two seconds of rest are saved up; of two at once, one may have been late.
        assert ahead < 2 * rate + AT_ONCE
        assert took < (len(times) - 2 * rate) / rate / 0.6


def _ahead(times: list[float], a_second: int) -> float:
    """By how many messages more than its rate it was ahead, in any time between two of them."""
    return max(
        later - earlier - a_second * (times[later] - times[earlier])
        for earlier, later in combinations(range(len(times)), 2)
    )


# The last: most of its long queue is never delivered.


async def test_a_queue_of_500_does_not_hold_up_a_queue_of_5(
    fair_house: House, queues: Queues, watched: Watched
) -> None:
    long, short = f"hurried-{uuid4().hex[:8]}", f"hurried-{uuid4().hex[:8]}"
    await queues.submit(long, 500)
    watched.open.clear()
    async with fair_house.at_work():
        await waiting(fair_house, 500 - AT_ONCE)
        await queues.submit(short, 5)
        await waiting(fair_house, 505 - AT_ONCE)
        watched.open.set()
        await watched.has(short, 5)
        before = len(watched.of(long))
        print(f"{before} of the long queue went before the last of the short one")
        assert before < 2 * 5 + AT_ONCE
