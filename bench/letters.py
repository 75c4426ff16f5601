"""Letters between agents: how many a second, how soon one is there, and how long a drain takes.

    python -m bench.letters [--rounds 5] [--letters 300] [--concurrency 20] [--sessions 10]

On a stack of `mailroom dev`, Temporal and PostgreSQL on disk. A letter counts from `POST /mail`
until the session that reads it from its event stream has its confirmation answered. The yardstick
is a workflow with one activity that does nothing, on the same server, round by round in turn.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from bench import __main__ as bench
from bench import agents
from bench import world as worlds
from bench.agents import Office, Session

QUEUE = 100
"""Letters that wait for one address at most, by default."""


async def one_letter(office: Office, mark: str, to: str) -> tuple[float, float]:
    """Seconds until it is at the session's stream, and until it is confirmed."""
    begun, letter = await office.send(mark, to)
    confirmed = await letter.confirmed
    del office.letters[mark]
    return letter.seen.result() - begun, confirmed - begun


async def letter_round(
    office: Office, sessions: Sequence[Session], name: str, letters: int, concurrency: int
) -> float:
    """Letters per second."""
    whose = zip(range(letters), cycle(sessions), strict=False)
    waiting = iter([(f"bench-{name}-{n}", session.address) for n, session in whose])

    async def some() -> None:
        for mark, to in waiting:
            await one_letter(office, mark, to)

    begun = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(concurrency)))
    return letters / (time.perf_counter() - begun)


async def throughput(here: bench.Stack, office: Office, asked: argparse.Namespace) -> None:
    ours, ratios = [], []
    letters, concurrency = asked.letters, asked.concurrency
    addresses = [f"bench/online-{n}" for n in range(asked.sessions)]
    async with agents.online(office, addresses) as sessions, bench.bare(here.temporal) as bare:
        await letter_round(office, sessions, "warm", letters, concurrency)
        await bench.bare_round(bare, "warm", letters, concurrency, steps=1)
        for n in range(asked.rounds):
            before = agents.usage(here)
            ours.append(await letter_round(office, sessions, f"r{n}", letters, concurrency))
            spent = agents.usage(here) - before
            theirs = await bench.bare_round(bare, f"r{n}", letters, concurrency, steps=1)
            ratios.append(ours[-1] / theirs)
            print(
                f"  round {n + 1}: {ours[-1]:5.1f} letters/s, bare {theirs:5.1f}/s,"
                f" {ratios[-1]:.2f}; CPU of a letter: {1000 * spent.own / letters:.1f} ms,"
                f" the servers {1000 * spent.servers / letters:.1f} ms",
                flush=True,
            )
    print(f"letters sent to confirmed: {statistics.median(ours):.1f}/s (median; goal 50)")
    print(
        f"letters / bare Temporal with one activity: {statistics.median(ratios):.2f}"
        " (median; goal 0.6)"
    )


async def latency(office: Office, letters: int) -> None:
    async with agents.online(office, ["bench/idle"]):
        for n in range(10):
            await one_letter(office, f"bench-early-{n}", "bench/idle")
        pairs = [await one_letter(office, f"bench-idle-{n}", "bench/idle") for n in range(letters)]
    seen, confirmed = (sorted(1000 * each for each in side) for side in zip(*pairs, strict=True))
    p95 = int(0.95 * letters)
    print(
        f"sent to the session's stream, idle: p50 {statistics.median(seen):.1f} ms,"
        f" p95 {seen[p95]:.1f} ms (goal: p50 under 25, p95 under 60)"
    )
    print(
        f"sent to confirmed, idle: p50 {statistics.median(confirmed):.1f} ms,"
        f" p95 {confirmed[p95]:.1f} ms"
    )


async def drains(office: Office, rounds: int) -> None:
    taken = [await drain(office, f"bench/drain-{n}", f"bench-drain-{n}") for n in range(rounds)]
    print(
        f"drain of {QUEUE} letters, from registration to the last confirmed, in order:"
        f" {statistics.median(taken):.2f} s, {min(taken):.2f} to {max(taken):.2f}"
        f" in {rounds} drains (goal: under 2)"
    )


async def drain(office: Office, address: str, name: str) -> float:
    marks = [f"{name}-{n}" for n in range(QUEUE)]
    await office.introduce(address)
    sent = [(await office.send(mark, address))[1] for mark in marks]
    await at_rest(office, [address], QUEUE)
    begun = time.perf_counter()
    session = await office.register(address)
    async with session.listening():
        await asyncio.gather(*(each.confirmed for each in sent))
    ended = time.perf_counter()
    if session.order != marks:
        raise SystemExit(f"The letters came in another order: {session.order}")
    await office.http.delete(session.path, session.token)
    return ended - begun


async def at_rest(office: Office, addresses: Sequence[str], each: int) -> None:
    """All that was sent waits, and nothing is left to do for it."""
    for address in addresses:
        while await office.queued(address) < each:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.letters", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--letters", type=int, default=300, help="a round")
    parser.add_argument("--concurrency", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=10, help="that are online")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        async with worlds.running() as world, bench.stack(Path(folder), world) as here:
            office = await agents.office_of(here)
            await latency(office, 200)
            await throughput(here, office, asked)
            await drains(office, 5)
            office.http.close()


if __name__ == "__main__":
    asyncio.run(main())
