"""From the word that suspends to the moment from which nothing is delivered any more.

    python -m bench.queue_suspend [--messages 100000] [--at-once 20] [--rounds 3]

On a stack of `mailroom dev`, whose PostgreSQL gets so many messages of one queue, one domain and
one campaign, put there by COPY. Deliveries take them all the time, some at once, by the claim that
each delivery begins with; nothing is sent. Then somebody suspends the queue, the domain, the
campaign.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import httpx
import psycopg
from sqlalchemy import URL

from bench import __main__ as bench
from bench import world as worlds
from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.message_queue import PostgresMessages
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.message import DeliverInput

GOAL_SECONDS = 1.0
RUN_SECONDS, AFTER_SECONDS = 2.0, 2.0
DOMAIN, CAMPAIGN = "suspended.example", "suspended"
SUSPENDED = {
    "queue": (f"/queue/queues/{DOMAIN}", {"state": "suspended", "reason": "a benchmark"}),
    "domain": (f"/queue/suspensions/domain/{DOMAIN}", {"reason": "a benchmark"}),
    "campaign": (f"/queue/suspensions/campaign/{CAMPAIGN}", {"reason": "a benchmark"}),
}
COLUMNS = (
    "id, message_id, queue_name, recipient, sender, domain, campaign_id, status, size_bytes, blob"
)
AGAIN = """
    UPDATE message_queue SET status = 'ready', held = false, step = 0
    WHERE campaign_id = %s AND step > 0
"""


class Claimed(NamedTuple):
    began: float
    took: float
    held: bool


class Deliveries:
    """Claims one message after the other, some at once."""

    def __init__(self, messages: PostgresMessages, ids: Iterator[UUID]) -> None:
        self._messages, self._ids = messages, ids
        self.claims: list[Claimed] = []
        self.over = False

    async def run(self, at_once: int) -> None:
        await asyncio.gather(*(self._one_after_the_other() for _ in range(at_once)))

    async def _one_after_the_other(self) -> None:
        while not self.over and (id := next(self._ids, None)):
            began = time.perf_counter()
            claim = await self._messages.claim(DeliverInput(id=id, step=1, attempt=1))
            took = time.perf_counter() - began
            self.claims.append(Claimed(began, took, claim.held is not None))


def socket_of(folder: Path) -> str:
    return (folder / "postgres" / "postmaster.pid").read_text().splitlines()[4]


def fill(socket: str, number: int) -> list[UUID]:
    ids = [uuid4() for _ in range(number)]
    with psycopg.connect(host=socket, user="postgres", dbname="mailroom") as connection:
        with connection.cursor().copy(f"COPY message_queue ({COLUMNS}) FROM STDIN") as copy:
            for n, id in enumerate(ids):
                copy.write_row((
                    id, f"<{id.hex}@bench.example>", DOMAIN, f"a{n}@{DOMAIN}", "news@bench.example",
                    DOMAIN, CAMPAIGN, "ready", 4_000, "0" * 64,
                ))  # fmt: skip
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE message_queue")
    return ids


def once_more(socket: str) -> None:
    with psycopg.connect(host=socket, user="postgres", dbname="mailroom") as connection:
        connection.execute(AGAIN, (CAMPAIGN,))


async def suspend(
    http: httpx.AsyncClient, what: str, deliveries: Deliveries, at_once: int
) -> tuple[float, float]:
    """Seconds from the request to its answer, and to the last claim that still went through."""
    running = asyncio.create_task(deliveries.run(at_once))
    await asyncio.sleep(RUN_SECONDS)
    path, said = SUSPENDED[what]
    begun = time.perf_counter()
    (await http.put(path, json=said)).raise_for_status()
    answered = time.perf_counter() - begun
    await asyncio.sleep(AFTER_SECONDS)
    deliveries.over = True
    await running
    last = max(one.began + one.took for one in deliveries.claims if not one.held)
    assert any(one.held for one in deliveries.claims), "nothing was held"
    return answered, max(last - begun, 0.0)


async def resume(http: httpx.AsyncClient, what: str) -> None:
    path, _ = SUSPENDED[what]
    if what == "queue":
        active = {"state": "active", "reason": "a benchmark"}
        (await http.put(path, json=active)).raise_for_status()
    else:
        (await http.delete(path)).raise_for_status()


def line(what: str, rounds: list[tuple[float, float]], claims: list[Claimed]) -> str:
    answered = statistics.median(each[0] for each in rounds)
    worst = max(each[1] for each in rounds)
    free = statistics.median(one.took for one in claims if not one.held)
    held = statistics.median(one.took for one in claims if one.held)
    return (
        f"{what}: answered in {1000 * answered:.0f} ms, nothing went through after"
        f" {1000 * worst:.0f} ms at the worst (goal: {1000 * GOAL_SECONDS:.0f}); a claim that goes"
        f" through takes {1000 * free:.1f} ms, one that is held {1000 * held:.1f} ms"
    )


async def measure(here: bench.Stack, folder: Path, asked: argparse.Namespace) -> None:
    socket = socket_of(folder)
    ids = await asyncio.to_thread(fill, socket, asked.messages)
    url = URL.create("postgresql", username="postgres", database="mailroom", query={"host": socket})
    engines = engine.connect(url, asked.at_once)
    messages = PostgresMessages(engines.write, OutboundSection())
    headers = {"Authorization": f"Bearer {here.token}"}
    base = f"http://127.0.0.1:{here.port}"
    print(f"{asked.messages:,} messages, {asked.at_once} deliveries at once", flush=True)
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as http:
        for what in SUSPENDED:
            rounds, claims = [], []
            for _ in range(asked.rounds):
                deliveries = Deliveries(messages, iter(ids))
                rounds.append(await suspend(http, what, deliveries, asked.at_once))
                claims += deliveries.claims
                await resume(http, what)
                await asyncio.to_thread(once_more, socket)
            print(line(what, rounds, claims), flush=True)
    await engines.dispose()


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.queue_suspend", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        async with worlds.running() as world, bench.stack(Path(folder), world) as here:
            await measure(here, Path(folder), asked)


if __name__ == "__main__":
    asyncio.run(main())
