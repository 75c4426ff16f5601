"""Outbound mail: from its submission to a mail server, and ten thousand messages that wait.

    python -m bench.outbound [--rounds 5] [--messages 300] [--waiting 10000]

On a stack of `mailroom dev`, Temporal and PostgreSQL on disk. A message counts from `POST
/queue/messages` until the mail server has it. The yardstick is a workflow with one activity that
does nothing, on the same server, round by round in turn. Postfix does the same beside it, where it
is installed (Debian: apt-get install postfix).
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import __main__ as bench
from bench import agents, postfix
from bench import world as worlds
from bench.agents import Http

DOMAINS = 20
IDLE_SECONDS = 20
MOST = 1_000


def message(mark: str, number: int, **more: str) -> dict[str, str | dict[str, str]]:
    known: dict[str, str | dict[str, str]] = {
        "sender": "news@bench.example",
        "recipient": f"{mark}@d{number % DOMAINS}.example",
        "headers": {"Subject": f"News {mark}"},
        "text": "Hello, this is what is new. " * 30,
    }
    return known | more


async def submit(http: Http, token: str, items: Sequence[dict[str, object]]) -> None:
    answer = await http.post("/queue/messages", token, {"items": list(items)})
    if len(answer["accepted"]) != len(items):
        raise SystemExit(f"Messages were rejected: {answer['rejected'][:3]}")


async def outbound_round(
    here: bench.Stack, http: Http, name: str, messages: int, batch: int
) -> float:
    """Messages per second; twenty are submitted singly at a time, or four batches."""
    marks = [f"bench-{name}-{n}" for n in range(messages)]
    items = [message(mark, n) for n, mark in enumerate(marks)]
    batches = iter([items[n : n + batch] for n in range(0, messages, batch)])

    async def some() -> None:
        for one in batches:
            await submit(http, here.token, one)

    begun = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(20 if batch == 1 else 4)))
    await asyncio.gather(*(here.world.replied[mark] for mark in marks))
    return messages / (time.perf_counter() - begun)


async def throughput(here: bench.Stack, http: Http, rounds: int, messages: int, batch: int) -> None:
    how = "singly" if batch == 1 else f"in batches of {batch}"
    ours, ratios = [], []
    async with bench.bare(here.temporal) as bare:
        await outbound_round(here, http, f"warm{batch}", messages // 2, batch)
        await bench.bare_round(bare, f"warm{batch}", messages // 2, 20, steps=1)
        for n in range(rounds):
            before = agents.usage(here)
            ours.append(await outbound_round(here, http, f"r{n}b{batch}", messages, batch))
            spent = agents.usage(here) - before
            theirs = await bench.bare_round(bare, f"r{n}b{batch}", messages, 20, steps=1)
            ratios.append(ours[-1] / theirs)
            print(
                f"  round {n + 1}: {ours[-1]:5.1f} messages/s, bare {theirs:5.1f}/s,"
                f" {ratios[-1]:.2f}; CPU of a message: {1000 * spent.own / messages:.1f} ms,"
                f" the servers {1000 * spent.servers / messages:.1f} ms",
                flush=True,
            )
    print(
        f"submitted {how} to taken by a mail server: {statistics.median(ours):.1f}/s;"
        f" / bare Temporal with one activity: {statistics.median(ratios):.2f} (median; goal 0.6)"
    )


async def waiting(here: bench.Stack, http: Http, count: int) -> None:
    """They are due tomorrow."""
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    before, begun = bench.mebibytes(here.process), time.perf_counter()
    for first in range(0, count, MOST):
        numbers = range(first, min(first + MOST, count))
        items = [message(f"bench-later-{n}", n, scheduled_at=at) for n in numbers]
        await submit(http, here.token, items)
    took = time.perf_counter() - begun
    await asyncio.sleep(5)
    used = agents.usage(here)
    await asyncio.sleep(IDLE_SECONDS)
    idle, after = agents.usage(here) - used, bench.mebibytes(here.process)
    print(
        f"{count} scheduled messages: submitted in {took:.0f} s ({count / took:.0f}/s), worker,"
        f" bridge and SMTP in one process {after:.0f} MiB ({after - before:+.0f}; goal: under 250);"
        f" CPU while they wait {100 * idle.own / IDLE_SECONDS:.1f} % of a core, the servers"
        f" {100 * idle.servers / IDLE_SECONDS:.1f} %"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.outbound", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=300, help="a round")
    parser.add_argument("--waiting", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        async with worlds.running() as world:
            route = {"MAILROOM_OUTBOUND_ROUTE": f"smtp://127.0.0.1:{world.sink_port}"}
            async with bench.stack(Path(folder), world, route) as here:
                http = Http(here.port)
                await throughput(here, http, asked.rounds, asked.messages, 50)
                await throughput(here, http, asked.rounds, asked.messages, 1)
                await postfix.beside(Path(folder), asked.rounds, asked.messages)
                await waiting(here, http, asked.waiting)
                http.close()


if __name__ == "__main__":
    asyncio.run(main())
