"""What the spool costs while it is idle: mails accepted with and without it before them.

    python -m bench.accept [--rounds 15] [--mails 60]

Temporal and PostgreSQL are those of `mailroom dev`, in a folder of their own; both ways take turns
in one process. Prints the ratio of the rates.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from pydantic import SecretStr

from bench import world as worlds
from bench.__main__ import free_port
from mailroom.adapters import temporal
from mailroom.adapters.settings import Settings
from mailroom.bridge.context import Context, Secrets
from mailroom.local import dev, serving
from mailroom.models.arrival import Arrival
from worker import connected
from workflows.search_attributes import ALL

AT_ONCE = 4
GOAL = 0.95
Accept = Callable[[Arrival], Awaitable[object]]


async def context_in(on_exit: AsyncExitStack, folder: Path) -> Context:
    """A bridge's, without a worker: what is accepted waits."""
    temporal_port = free_port()
    settings = Settings(
        mailroom_data_dir=folder,
        mailroom_config=folder / "none.toml",
        mailroom_temporal_port=temporal_port,
        mailroom_temporal_ui_port=free_port(),
        temporal_address=f"127.0.0.1:{temporal_port}",
        mailroom_token=SecretStr("bench"),
    )
    dev.prepared(folder)
    database = await dev.servers(on_exit, settings, folder)
    adapters = await on_exit.enter_async_context(connected(settings, database, "links"))
    await temporal.add_search_attributes(adapters.client, ALL)
    held = Secrets(token="bench", webhook=None, session="session")
    return serving.bridge_context(adapters, settings, held)


async def rate(accept: Accept, mails: int) -> float:
    """Mails a second, a few at once."""
    arrivals = iter([Arrival(worlds.mail(new_mark()), None, ()) for _ in range(mails)])

    async def some() -> None:
        for arrival in arrivals:
            await accept(arrival)

    begun = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return mails / (time.perf_counter() - begun)


def new_mark() -> str:
    return f"bench-{random.randrange(10**12)}"


async def measure(rounds: int, mails: int) -> float:
    ratios = []
    async with AsyncExitStack() as on_exit:
        folder = Path(on_exit.enter_context(tempfile.TemporaryDirectory(prefix="mailroom-bench-")))
        the = await context_in(on_exit, folder)
        await rate(the.reception.mail, mails)
        for number in range(1, rounds + 1):
            ways = {"with": the.reception.mail, "without": the.intake.accept}
            order = sorted(ways, reverse=number % 2 == 0)
            rates = {way: await rate(ways[way], mails) for way in order}
            ratios.append(rates["with"] / rates["without"])
            print(
                f"  round {number}: {rates['with']:6.1f} mails/s, without the spool "
                f"{rates['without']:6.1f}/s, {ratios[-1]:.2f}",
                flush=True,
            )
    return statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--mails", type=int, default=60)
    wanted = parser.parse_args()
    ratio = asyncio.run(measure(wanted.rounds, wanted.mails))
    print(f"accepted with an idle spool / without: {ratio:.2f} (median; goal {GOAL})")


if __name__ == "__main__":
    main()
