"""From a change of a row to the page that shows it, without a browser's share of it.

    python -m bench.queue_live [--messages 100000] [--looks 40] [--per-second 200]

On a stack of `mailroom dev` with so many messages, put there by COPY: a list is open as a browser
has it, an event stream beside it and the rows asked for anew whenever it says so, while other
messages change. One shown row after the other changes, and its row has to say so.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx
import psycopg

from bench import __main__ as bench
from bench import world as worlds
from bench.queue_suspend import CAMPAIGN, fill, socket_of

GOAL_SECONDS = 1.0
LIST = f"campaign_id={CAMPAIGN}&sort_by=recipient&sort_order=asc"
CHANGE = """
    WITH changed AS (
        UPDATE message_queue SET status = %(status)s, step = step + 1, updated_at = now()
        WHERE id = ANY(%(ids)s) RETURNING id, step
    )
    INSERT INTO events (owner, message_id, step, type, detail)
    SELECT 'outbound', id::text, step, 'message.' || %(status)s, '{}' FROM changed
"""


class OpenList:
    """What a browser has of it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._new = asyncio.Condition()
        self._rows: dict[UUID, str] = {}

    async def follow(self) -> None:
        async with self._http.stream("GET", "/outbound/stream", timeout=None) as stream:
            async for line in stream.aiter_lines():
                if line == "event: rows":
                    await self._look()

    async def _look(self) -> None:
        page = (await self._http.get(f"/outbound/messages/rows?{LIST}")).raise_for_status().text
        rows = page.split('<tr id="row-')[1:]
        async with self._new:
            self._rows = {UUID(row[:36]): row for row in rows}
            self._new.notify_all()

    async def shown(self) -> Sequence[UUID]:
        async with self._new:
            await self._new.wait_for(lambda: self._rows)
            return list(self._rows)

    async def says(self, id: UUID, status: str) -> None:
        async with self._new:
            await self._new.wait_for(lambda: f">{status}<" in self._rows.get(id, ""))


@asynccontextmanager
async def others_changing(socket: str, ids: Sequence[UUID], per_second: int) -> AsyncIterator[None]:
    async def change() -> None:
        async with await connected(socket) as connection:
            while True:
                some = random.sample(ids, max(1, per_second // 20))
                await connection.execute(CHANGE, {"status": "deferred", "ids": some})
                await asyncio.sleep(0.05)

    changing = asyncio.create_task(change())
    try:
        yield
    finally:
        if changing.done():
            changing.result()
        changing.cancel()


async def connected(socket: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(
        host=socket, user="postgres", dbname="mailroom", autocommit=True
    )


async def looks(page: OpenList, socket: str, number: int) -> list[float]:
    found = []
    async with await connected(socket) as connection:
        for id in random.sample(await page.shown(), number):
            begun = time.perf_counter()
            await connection.execute(CHANGE, {"status": "cancelled", "ids": [id]})
            async with asyncio.timeout(30):
                await page.says(id, "cancelled")
            found.append(time.perf_counter() - begun)
            await asyncio.sleep(random.random() / 2)
    return sorted(found)


async def measure(here: bench.Stack, folder: Path, asked: argparse.Namespace) -> None:
    socket = socket_of(folder)
    ids = await asyncio.to_thread(fill, socket, asked.messages)
    headers = {"Authorization": f"Bearer {here.token}"}
    base = f"http://127.0.0.1:{here.port}"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as http:
        page = OpenList(http)
        following = asyncio.create_task(page.follow())
        shown = set(await page.shown())
        others = [id for id in ids if id not in shown]
        async with others_changing(socket, others, asked.per_second):
            waits = await looks(page, socket, asked.looks)
        following.cancel()
    figures = {
        "messages": asked.messages,
        "others_per_second": asked.per_second,
        "p50_seconds": round(waits[len(waits) // 2], 3),
        "p95_seconds": round(waits[int(0.95 * len(waits)) - 1], 3),
        "goal_p95_seconds": GOAL_SECONDS,
    }
    print(f"a changed row on an open list: {json.dumps(figures)}", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.queue_live", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--looks", type=int, default=40)
    parser.add_argument("--per-second", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        async with worlds.running() as world, bench.stack(Path(folder), world) as here:
            await measure(here, Path(folder), asked)


if __name__ == "__main__":
    asyncio.run(main())
