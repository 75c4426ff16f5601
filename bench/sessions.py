"""Sessions of agents: what registering, heartbeats, and a thousand that do nothing cost.

    python -m bench.sessions [--samples 300] [--sessions 1000] [--letters 1000] [--batches 2]
                             [--faster 3]

Beside it a Redis list without durability with the operations that the seed of agent mail has, in
turn (where `redis-server` is on PATH). Memory and CPU are those of the process that is worker and
bridge. Heartbeats come `--faster` times as often as every 30 s, for a minute's worth of them; the
CPU time is that of the minute.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil

from bench import __main__ as bench
from bench import agents, letters, redis
from bench import world as worlds
from bench.agents import Http, Office, Session, usage

NO_REDIS = "  no redis-server on PATH (Debian: apt-get install redis-server): nothing beside it"
MINUTE, HEARTBEAT_SECONDS = 60, 30
EACH = 10
"""Letters that wait for one address."""
OPEN_STREAMS = 100


async def took(work: Awaitable[object]) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    await work
    return 1000 * (time.perf_counter() - begun)


async def speeds(office: Office, beside: redis.Redis | None, samples: int) -> None:
    for what, goal, ours, theirs in (
        ("registration", "under 5", *_registering(office, beside)),
        ("heartbeat", "under 3", *await _beating(office, beside)),
    ):
        mine, others = [], []
        for n in range(-20, samples):
            one = await took(ours(n))
            other = await took(theirs(n)) if theirs else 0.0
            if n >= 0:
                mine.append(one)
                others.append(other)
        said = f"; Redis {_ms(others)}" if theirs else ""
        print(f"{what}: {_ms(mine)} (goal: p50 {goal}){said}", flush=True)


Step = Callable[[int], Awaitable[object]]


def _registering(office: Office, beside: redis.Redis | None) -> tuple[Step, Step | None]:
    async def ours(n: int) -> None:
        await office.register(f"bench/speed-{n}")

    return ours, (lambda n: beside.register(f"bench/speed-{n}")) if beside else None


async def _beating(office: Office, beside: redis.Redis | None) -> tuple[Step, Step | None]:
    session = await office.register("bench/beats")
    if beside:
        await beside.register("bench/beats")
    return (
        lambda _: session.heartbeat(),
        (lambda _: beside.heartbeat("bench/beats")) if beside else None,
    )


def _ms(taken: Sequence[float]) -> str:
    p95 = sorted(taken)[int(0.95 * len(taken))]
    return f"p50 {statistics.median(taken):.2f} ms, p95 {p95:.2f} ms"


async def kilobytes_each(
    process: psutil.Process, batches: int, size: int, batch: Callable[[int], Awaitable[object]]
) -> float:
    """How much the process grows for each, after a batch that fills its pools and caches."""
    await batch(0)
    before = await settled(process)
    for n in range(1, batches + 1):
        await batch(n)
    return (await settled(process) - before) / 1024 / (batches * size)


async def settled(process: psutil.Process) -> float:
    await asyncio.sleep(3)
    return float(process.memory_info().rss)


async def memory(here: bench.Stack, office: Office, asked: argparse.Namespace) -> None:
    async def sessions(batch: int) -> None:
        for n in range(asked.sessions):
            session = await office.register(f"bench/idle-{batch}-{n}")
            await session.heartbeat()

    async def waiting(batch: int) -> None:
        await wait_offline(office, f"bench/away-{batch}", asked.letters)

    each = await kilobytes_each(here.process, asked.batches, asked.sessions, sessions)
    print(f"{asked.sessions} idle sessions: {each:.2f} KiB each (goal: under 1)", flush=True)
    each = await kilobytes_each(here.process, asked.batches, asked.letters, waiting)
    print(f"{asked.letters} queued letters: {each:.2f} KiB each (goal: under 2)", flush=True)


async def wait_offline(office: Office, prefix: str, count: int) -> None:
    """Letters for as many addresses as it takes, at rest."""
    addresses = [f"{prefix}-{n}" for n in range(count // EACH)]
    for address in addresses:
        await office.introduce(address)
    wanted = iter([(to, n) for n in range(EACH) for to in addresses])

    async def some() -> None:
        for to, n in wanted:
            mark = f"bench-{to.replace('/', '-')}-{n}"
            await office.send(mark, to)
            del office.letters[mark]

    await asyncio.gather(*(some() for _ in range(20)))
    await letters.at_rest(office, addresses, EACH)


async def heartbeats(here: bench.Stack, office: Office, asked: argparse.Namespace) -> None:
    each = [await office.register(f"bench/pulse-{n}") for n in range(asked.sessions)]
    await asyncio.sleep(5)
    seconds = MINUTE / asked.faster
    before = usage(here)
    await asyncio.sleep(seconds)
    idle = usage(here) - before
    for keeps in (True, False):
        for session in each:
            session.http = Http(here.port, keeps)
        before = usage(here)
        await beat(each, seconds)
        spent = usage(here) - before - idle
        # Idle work goes on for the whole minute, however fast the heartbeats come.
        percent = 100 * (spent.own / MINUTE + idle.own / seconds)
        how = "connections kept open" if keeps else "a connection for each"
        print(
            f"{asked.sessions} sessions with a heartbeat each {HEARTBEAT_SECONDS} s, {how}:"
            f" {percent:.1f} % of a core (goal: under 10), of which idle"
            f" {100 * idle.own / seconds:.1f}; the servers {100 * spent.servers / MINUTE:.1f} more",
            flush=True,
        )


async def beat(sessions: Sequence[Session], seconds: float) -> None:
    """A minute's heartbeats of all, evenly over `seconds`."""
    beats = MINUTE // HEARTBEAT_SECONDS * len(sessions)
    begun = time.perf_counter()
    tasks = []
    for n in range(beats):
        await asyncio.sleep(max(0, begun + n * seconds / beats - time.perf_counter()))
        tasks.append(asyncio.create_task(sessions[n % len(sessions)].heartbeat()))
    await asyncio.gather(*tasks)


async def streams(here: bench.Stack, office: Office) -> None:
    """An agent that listens costs a connection besides its lease."""
    async with AsyncExitStack() as on_exit:

        async def open_some(batch: int) -> None:
            for n in range(OPEN_STREAMS):
                session = await office.register(f"bench/listens-{batch}-{n}")
                await on_exit.enter_async_context(session.listening())

        each = await kilobytes_each(here.process, 3, OPEN_STREAMS, open_some)
    print(f"sessions with an open event stream: {each:.0f} KiB each", flush=True)


@asynccontextmanager
async def house() -> AsyncIterator[tuple[bench.Stack, Office]]:
    """A process of its own, in which nothing was measured before."""
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        async with worlds.running() as world, bench.stack(Path(folder), world) as here:
            office = await agents.office_of(here)
            yield here, office
            office.http.close()


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sessions", description=__doc__)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--letters", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=2, help="of sessions or letters")
    parser.add_argument("--faster", type=int, default=3, choices=range(1, 11), metavar="1..10")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        async with house() as (here, office), redis.running(Path(folder)) as beside:
            if beside is None:
                print(NO_REDIS)
            await speeds(office, beside, asked.samples)
            await heartbeats(here, office, asked)
    async with house() as (here, office):
        await memory(here, office, asked)
        await streams(here, office)


if __name__ == "__main__":
    asyncio.run(main())
