"""One operation over a hundred thousand messages, some of them with workflows that wait.

    python -m bench.queue_operations [--messages 100000] [--real 5000]

On a stack of `mailroom dev`. Most messages are rows alone, put there by COPY; the others are
submitted: half of them wait in a queue that is suspended, half are due tomorrow. All are cancelled
by one operation. Meanwhile somebody asks for a list and submits, over and over, as before it. In
the end every row and every workflow is looked at.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from temporalio.client import Client, WorkflowExecutionStatus

from bench import __main__ as bench
from bench import world as worlds
from bench.agents import Http
from bench.outbound import MOST, message
from mailroom.models.names import outbound_id

CAMPAIGN, QUEUE = "operated", "operated"
BEFORE_SECONDS = 15
COLUMNS = (
    "id, message_id, queue_name, recipient, sender, domain, campaign_id, status, size_bytes, blob"
)


def fill(folder: Path, number: int) -> None:
    """Rows that wait, as they are after a first attempt."""
    socket = (folder / "postgres" / "postmaster.pid").read_text().splitlines()[4]
    with psycopg.connect(host=socket, user="postgres", dbname="mailroom") as connection:
        with connection.cursor().copy(f"COPY message_queue ({COLUMNS}) FROM STDIN") as copy:
            for n in range(number):
                id, domain = uuid4(), f"d{n % 200}.example"
                copy.write_row((
                    id, f"<{id.hex}@bench.example>", QUEUE, f"a{n}@{domain}", "news@bench.example",
                    domain, CAMPAIGN, "deferred", 4_000, "0" * 64,
                ))  # fmt: skip
        connection.commit()


async def submit(http: Http, token: str, number: int) -> list[UUID]:
    """Half of them wait for their queue, half for tomorrow."""
    await http.post("/queue/operations?wait=10", token, {
        "operation": "suspend", "queue_name": QUEUE, "reason": "a benchmark",
    })  # fmt: skip
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    ids: list[UUID] = []
    for first in range(0, number, MOST):
        items = [
            message(f"bench-op-{n}", n, campaign_id=CAMPAIGN, queue_name=QUEUE)
            | ({"scheduled_at": tomorrow} if n % 2 else {})
            for n in range(first, min(first + MOST, number))
        ]
        answer = await http.post("/queue/messages", token, {"items": items})
        ids += [UUID(id) for id in answer["accepted"]]
    return ids


class Somebody:
    """Looks at a list and submits a message, over and over; how long each took."""

    def __init__(self, http: Http, token: str) -> None:
        self._http, self._token = http, token
        self.looked: list[float] = []
        self.submitted: list[float] = []

    async def once(self) -> None:
        begun = time.perf_counter()
        await self._http.get(f"/queue/messages?campaign_id={CAMPAIGN}&limit=50", self._token)
        self.looked.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
        await self._http.post(
            "/queue/messages", self._token, message("bench-other", 1, scheduled_at=later)
        )
        self.submitted.append(time.perf_counter() - begun)
        await asyncio.sleep(0.05)

    async def until(self, over: "asyncio.Task[object]") -> None:
        while not over.done():
            await self.once()


async def operate(here: bench.Stack, http: Http) -> dict[str, object]:
    """The operation at its end, with the highest memory meanwhile."""
    asked = {
        "operation": "cancel",
        "filter": {"campaign_id": CAMPAIGN},
        "reason": "a benchmark",
        "confirm": True,
    }
    begun = await http.post("/queue/operations", here.token, asked)
    highest = 0.0
    while True:
        found = await http.get(f"/queue/operations/{begun['operation_id']}?wait=1", here.token)
        highest = max(highest, bench.mebibytes(here.process))
        if found["status"] in ("completed", "abandoned"):
            return {**found, "highest": highest}


async def ends(temporal: str, ids: Sequence[UUID]) -> Counter[str]:
    client = await Client.connect(temporal)
    limit = asyncio.Semaphore(20)

    async def end(id: UUID) -> str:
        async with limit:
            found = await client.get_workflow_handle(outbound_id(id)).describe()
        assert found.status is not None
        return WorkflowExecutionStatus(found.status).name

    return Counter(await asyncio.gather(*map(end, ids)))


def compared(name: str, during: Sequence[float], before: Sequence[float]) -> str:
    now, then = (1000 * statistics.median(times) for times in (during, before))
    slow = 1000 * statistics.quantiles(during, n=20)[-1]
    return (
        f"{name}: {then:.0f} ms before, {now:.0f} ms during it ({now / then:.2f} x; p95"
        f" {slow:.0f} ms)"
    )


async def measure(here: bench.Stack, folder: Path, messages: int, real: int) -> None:
    http = Http(here.port)
    await asyncio.to_thread(fill, folder, messages - real)
    ids = await submit(http, here.token, real)
    before = Somebody(http, here.token)
    until = asyncio.create_task(asyncio.sleep(BEFORE_SECONDS))
    await before.until(until)
    memory, begun = bench.mebibytes(here.process), time.perf_counter()
    running = asyncio.create_task(operate(here, http))
    during = Somebody(Http(here.port), here.token)
    await during.until(running)
    took, done = time.perf_counter() - begun, await running
    print(
        f"{done['affected']:,} of {messages:,} messages cancelled by one operation in {took:.0f} s"
        f" ({messages / took:.0f}/s); worker and bridge {memory:.0f} MiB before,"
        f" {done['highest']:.0f} MiB at the most"
    )
    print(compared("a list of 50", during.looked, before.looked) + " (goal: under 2 x)")
    print(compared("a submission", during.submitted, before.submitted) + " (goal: under 2 x)")
    await asyncio.sleep(5)
    left = await http.get(
        f"/queue/messages?campaign_id={CAMPAIGN}&status=deferred&status=ready&status=scheduled",
        here.token,
    )
    print(f"rows that still wait: {len(left['items'])}")
    print(f"workflows of the {len(ids):,}: {dict(await ends(here.temporal, ids))}")


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.queue_operations", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--real", type=int, default=5_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        async with worlds.running() as world:
            route = {"MAILROOM_OUTBOUND_ROUTE": f"smtp://127.0.0.1:{world.sink_port}"}
            async with bench.stack(Path(folder), world, route) as here:
                await measure(here, Path(folder), asked.messages, asked.real)


if __name__ == "__main__":
    asyncio.run(main())
