"""The reply flow against bare Temporal, the time to the text, and a thousand waiting mails.

    python -m bench [--rounds 5] [--mails 150] [--concurrency 20] [--waiting 1000]

Prints its figures to standard output; everything is on loopback and ends with the program.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from standardwebhooks import Webhook

from bench import world as worlds


@dataclass
class Stack:
    """A running `mailroom dev` and those who talk to it."""

    process: psutil.Process
    postgres: psutil.Process
    temporal: str
    port: int
    token: str
    senders: worlds.Senders
    owner: worlds.Owner
    world: worlds.World


def free_port() -> int:
    """Below those that systems give away: Temporal takes some of them for itself."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment(folder: Path, world: worlds.World) -> dict[str, str]:
    ports = {
        name: str(free_port())
        for name in (
            "MAILROOM_PORT",
            "MAILROOM_SMTP_PORT",
            "MAILROOM_TEMPORAL_PORT",
            "MAILROOM_TEMPORAL_UI_PORT",
        )
    }
    return {
        **os.environ,
        **ports,
        "MAILROOM_DATA_DIR": str(folder),
        "SMS_GATEWAY_URL": f"http://127.0.0.1:{world.gateway_port}",
        "GMAIL_SMTP_SERVER": "127.0.0.1",
        "GMAIL_SMTP_PORT": str(world.sink_port),
        "YOUR_PHONE_NUMBER": worlds.PHONE,
        "MAILROOM_SMS_PER_MINUTE": "1000000",
        "MAILROOM_LOG_LEVEL": "WARNING",
        # Nobody's terminals are looked at.
        "MAILROOM_TMUX_SOCKET": "mailroom-bench",
    }


@asynccontextmanager
async def stack(
    folder: Path, world: worlds.World, more: Mapping[str, str] | None = None
) -> AsyncIterator[Stack]:
    """`more` are settings besides those that every run has."""
    env = environment(folder, world) | dict(more or {})
    with (folder / "bench.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mailroom.cli.main", "dev", "--no-samples",
            env=env, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{env['MAILROOM_PORT']}"
        async with httpx.AsyncClient(timeout=60) as http:
            await until_healthy(http, url, process)
            senders = worlds.Senders(int(env["MAILROOM_SMTP_PORT"]))
            secret = (folder / "webhook-secret").read_text().strip()
            port = int(env["MAILROOM_PORT"])
            owner = worlds.Owner(Webhook(secret), port, "/orchestrator/sms-response")
            yield Stack(
                process=psutil.Process(process.pid),
                postgres=psutil.Process(_postmaster(folder)),
                temporal=f"127.0.0.1:{env['MAILROOM_TEMPORAL_PORT']}",
                port=port,
                token=(folder / "token").read_text().strip(),
                senders=senders,
                owner=owner,
                world=world,
            )
            owner.close()
            await senders.close()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split()[0])


async def until_healthy(
    http: httpx.AsyncClient, url: str, process: asyncio.subprocess.Process
) -> None:
    for _ in range(1200):
        if process.returncode is not None:
            raise SystemExit("mailroom dev did not start; see bench.log in its data folder.")
        try:
            if (await http.get(f"{url}/health")).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        await asyncio.sleep(0.1)
    raise SystemExit("mailroom dev was not healthy within two minutes.")


async def one_mail(
    here: Stack,
    mark: str,
    limit: asyncio.Semaphore,
    to: str = worlds.OWNER,
    phone: str = worlds.PHONE,
) -> tuple[float, float]:
    """Seconds from accepted to texted, and from the answer to the reply at the sink."""
    async with limit:
        accepted = await here.senders.send(mark, to)
        texted, code = await here.world.texted[mark]
        answered = time.perf_counter()
        await here.owner.say(f"in-{mark}", f"1 {code}", phone)
        replied = await here.world.replied[mark]
        return texted - accepted, replied - answered


async def flow_round(here: Stack, name: str, mails: int, concurrency: int) -> float:
    limit = asyncio.Semaphore(concurrency)
    begun = time.perf_counter()
    marks = [f"bench-{name}-{n}" for n in range(mails)]
    await asyncio.gather(*(one_mail(here, mark, limit) for mark in marks))
    return mails / (time.perf_counter() - begun)


@asynccontextmanager
async def bare(address: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.bare", address,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    yield process
    assert process.stdin
    process.stdin.close()
    await process.wait()


async def bare_round(
    process: asyncio.subprocess.Process, name: str, mails: int, concurrency: int, steps: int = 3
) -> float:
    """`steps` is 3 (and a signal) or 1."""
    assert process.stdin
    assert process.stdout
    asked = {"round": name, "mails": mails, "concurrency": concurrency, "steps": steps}
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    return float(json.loads(await process.stdout.readline())["rate"])


async def throughput(here: Stack, rounds: int, mails: int, concurrency: int) -> None:
    ratios = []
    async with bare(here.temporal) as yardstick:
        await flow_round(here, "warm", mails // 3, concurrency)
        await bare_round(yardstick, "warm", mails // 3, concurrency)
        for n in range(rounds):
            ours = await flow_round(here, f"r{n}", mails, concurrency)
            theirs = await bare_round(yardstick, f"r{n}", mails, concurrency)
            ratios.append(ours / theirs)
            print(f"  round {n + 1}: {ours:5.1f} mails/s, bare {theirs:5.1f}/s, {ratios[-1]:.2f}")
    print(f"full flow / bare Temporal: {statistics.median(ratios):.2f} (median; goal 0.75)")


async def latency(here: Stack, mails: int) -> None:
    limit = asyncio.Semaphore(1)
    pairs = []
    for n in range(mails):
        pairs.append(await one_mail(here, f"bench-idle-{n}", limit))
    texted, replied = (sorted(1000 * each for each in side) for side in zip(*pairs, strict=True))
    p95 = int(0.95 * mails)
    print(
        f"accepted to text sent, idle: p50 {statistics.median(texted):.0f} ms,"
        f" p95 {texted[p95]:.0f} ms (goal: p50 under 100)"
    )
    print(
        f"word to mail at the sink, idle: p50 {statistics.median(replied):.0f} ms,"
        f" p95 {replied[p95]:.0f} ms"
    )


def mebibytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


async def waiting(here: Stack, mails: int) -> None:
    before = mebibytes(here.process)
    limit = asyncio.Semaphore(20)

    async def to_text(mark: str) -> None:
        async with limit:
            await here.senders.send(mark)
            await here.world.texted[mark]

    await asyncio.gather(*(to_text(f"bench-wait-{n}") for n in range(mails)))
    after = mebibytes(here.process)
    # Until the last activities have written their rows.
    await asyncio.sleep(5)
    here.process.cpu_percent()
    await asyncio.sleep(10)
    idle = here.process.cpu_percent()
    print(
        f"{mails} waiting mails: worker, bridge and SMTP in one process {after:.0f} MiB"
        f" ({after - before:+.0f}; goal: under 200), idle CPU {idle:.1f} % of a core"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mails", type=int, default=150, help="a round")
    parser.add_argument("--concurrency", type=int, default=20)
    parser.add_argument("--waiting", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        async with worlds.running() as world, stack(Path(folder), world) as here:
            await waiting(here, asked.waiting)
            await latency(here, 60)
            await throughput(here, asked.rounds, asked.mails, asked.concurrency)


if __name__ == "__main__":
    asyncio.run(main())
