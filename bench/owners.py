"""What a mail costs where there are a hundred owners, against one owner.

    python -m bench.owners [--owners 100] [--rounds 6] [--mails 100] [--concurrency 10]

Two stacks, each with a `mailroom.toml`: one owner, and a hundred with a phone, a mail server, a
rule, a VIP and a template of their own each. The same mails, spread over the owners, go the whole
way (in by SMTP, text, answer by webhook, reply out by SMTP) on one stack after the other, in an
order that changes from round to round; the other one has nothing to do meanwhile. Counted are
mails per second, and the CPU time per mail of the process that is worker, bridge and SMTP.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from bench import __main__ as bench
from bench import world as worlds

OWNER = """
[[owners]]
id = "owner-{n}"
name = "Owner {n}"
addresses = ["owner{n}@mailroom.test"]
phone = "{phone}"
vips = ["boss{n}@example.com"]
smtp = {{ host = "127.0.0.1", port = {port}, user = "owner{n}" }}

[[owners.rules]]
name = "shops"
action = "ignore"
sender = ["@shop{n}.example"]

[[owners.templates]]
name = "lunch"
subject = ["lunch {n}"]
text = "Hi {{first_name}}, lunch is on me. {{owner_name}}"
"""


@dataclass(frozen=True)
class Cost:
    """Of one round."""

    rate: float
    cpu_ms: float


@dataclass
class House:
    here: bench.Stack
    owners: int

    async def round(self, name: str, mails: int, concurrency: int) -> Cost:
        limit = asyncio.Semaphore(concurrency)
        marks = [f"bench-{self.owners}-{name}-{n}" for n in range(mails)]
        whose = zip(marks, cycle(range(self.owners)), strict=False)
        before, begun = self._cpu(), time.perf_counter()
        await asyncio.gather(
            *(bench.one_mail(self.here, mark, limit, address(n), phone(n)) for mark, n in whose)
        )
        seconds = time.perf_counter() - begun
        return Cost(mails / seconds, 1000 * (self._cpu() - before) / mails)

    def _cpu(self) -> float:
        used = self.here.process.cpu_times()
        return float(used.user + used.system)


def address(n: int) -> str:
    return f"owner{n}@mailroom.test"


def phone(n: int) -> str:
    # +1 202 555 0100 to 0199 are reserved for fiction (North American Numbering Plan).
    return f"+1202555{100 + n:04}"


@asynccontextmanager
async def house(folder: Path, world: worlds.World, owners: int) -> AsyncIterator[House]:
    file = folder / "mailroom.toml"
    file.write_text(
        "".join(OWNER.format(n=n, phone=phone(n), port=world.sink_port) for n in range(owners))
    )
    async with bench.stack(folder, world, {"MAILROOM_CONFIG": str(file)}) as here:
        yield House(here, owners)


async def compare(one: House, many: House, rounds: int, mails: int, concurrency: int) -> None:
    for each in (one, many):
        await each.round("warm", mails, concurrency)
    costs: dict[int, list[Cost]] = {one.owners: [], many.owners: []}
    for n in range(rounds):
        for each in (one, many) if n % 2 else (many, one):
            costs[each.owners].append(await each.round(f"r{n}", mails, concurrency))
        alone, among = costs[one.owners][-1], costs[many.owners][-1]
        print(
            f"  round {n + 1}: one owner {alone.rate:5.1f} mails/s, {alone.cpu_ms:4.1f} ms CPU;"
            f" {many.owners} owners {among.rate:5.1f}/s, {among.cpu_ms:4.1f} ms"
        )
    pairs = list(zip(costs[one.owners], costs[many.owners], strict=True))
    rate = statistics.median(among.rate / alone.rate for alone, among in pairs)
    cpu = statistics.median(among.cpu_ms / alone.cpu_ms for alone, among in pairs)
    print(
        f"{many.owners} owners / one owner: {rate:.2f} mails per second, {cpu:.2f} CPU per mail"
        " (medians; goal 1.00)"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.owners", description=__doc__)
    parser.add_argument("--owners", type=int, default=100, choices=range(2, 101), metavar="2..100")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--mails", type=int, default=100, help="a round")
    parser.add_argument("--concurrency", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as name:
        folders = [Path(name) / each for each in ("one", "many")]
        for folder in folders:
            folder.mkdir()
        async with (
            worlds.running() as world,
            house(folders[0], world, 1) as one,
            house(folders[1], world, asked.owners) as many,
        ):
            await compare(one, many, asked.rounds, asked.mails, asked.concurrency)


if __name__ == "__main__":
    asyncio.run(main())
