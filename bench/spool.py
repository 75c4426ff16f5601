"""What an append to the spool costs beside the fsyncs it needs, and a hundred thousand entries.

    python -m bench.spool [--rounds 15] [--appends 200] [--entries 100000]
                          [--short-looks 4] [--folder DIR]

The yardstick makes the same files with system calls alone: write and fsync a file, rename it into
another folder, fsync that folder. A round does both, one after the other, in an order that changes
from round to round. Writers are threads of one process, or processes; all append to one queue. The
folder has to be on a disk: where fsync costs nothing there is nothing to compare with.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import psutil

from mailroom.adapters.spool.locks import Patience
from mailroom.adapters.spool.spool import Spool
from mailroom.models.spool import NORMAL, Entry, Kind, Queue, SpooledMail, encoded

MAIL = SpooledMail(
    raw=b"Subject: Lunch?\r\n\r\n" + 100 * b"Shall we meet at the usual place on Thursday?\r\n",
    sender="anna@example.com",
    recipients=("owner@mailroom.test",),
)
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
ALL_KINDS = frozenset(Kind)
BATCH, GROUP = 1000, 50
"""Entries that a drain lists at once, and removes at once."""


class Start(Protocol):
    def wait(self) -> int: ...


@dataclass
class Desk:
    """What the writers of one process share."""

    spool: Spool
    bare: Path
    start: Start


DESKS: list[Desk] = []


def sit_down(folder: Path, patience: Patience, start: Start) -> None:
    DESKS.append(Desk(Spool(folder / "spool", patience), folder / "bare", start))


def entry(n: int = 0) -> Entry:
    moment = BEGUN + timedelta(milliseconds=n)
    return Entry(queue=Queue.INBOUND, priority=NORMAL, message=MAIL, queued_at=moment)


def append_all(appends: int) -> tuple[float, float]:
    """When it began and ended, of the clock that all processes share."""
    desk, entries = DESKS[-1], [entry() for _ in range(appends)]
    desk.start.wait()
    begun = time.monotonic()
    for each in entries:
        desk.spool.append(each)
    return begun, time.monotonic()


def write_all(appends: int) -> tuple[float, float]:
    desk, data = DESKS[-1], [encoded(entry()) for _ in range(appends)]
    desk.start.wait()
    begun = time.monotonic()
    for each in data:
        bare_append(each, desk.bare)
    return begun, time.monotonic()


def bare_append(data: bytes, folder: Path) -> None:
    name = uuid4().hex
    file = os.open(f"{folder}/parts/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(file, data)
    os.fsync(file)
    os.close(file)
    os.rename(f"{folder}/parts/{name}", f"{folder}/queue/{name}")  # noqa: PTH104  nothing but the call
    queue = os.open(f"{folder}/queue", os.O_RDONLY)
    os.fsync(queue)
    os.close(queue)


@contextmanager
def threads(folder: Path, writers: int, patience: Patience) -> Iterator[Executor]:
    sit_down(folder, patience, threading.Barrier(writers))
    with ThreadPoolExecutor(writers) as pool:
        yield pool


@contextmanager
def processes(folder: Path, writers: int, patience: Patience) -> Iterator[Executor]:
    context = get_context("forkserver")
    seat = (folder, patience, context.Barrier(writers))
    with ProcessPoolExecutor(writers, context, sit_down, seat) as pool:
        yield pool


def seconds(
    pool: Executor, writers: int, what: Callable[[int], tuple[float, float]], appends: int
) -> float:
    """From the first writer's begin to the last one's end."""
    # Nobody goes before all have come, so that each of them has one.
    asked = [pool.submit(what, appends // writers) for _ in range(writers)]
    begun, ended = zip(*(each.result() for each in asked), strict=True)
    return max(ended) - min(begun)


def compare(pool: Executor, writers: int, rounds: int, appends: int, kind: str) -> None:
    took: dict[Callable[[int], tuple[float, float]], list[float]] = {append_all: [], write_all: []}
    for n in range(-2, rounds):
        for what in (append_all, write_all) if n % 2 else (write_all, append_all):
            spent = seconds(pool, writers, what, appends)
            if n >= 0:
                took[what].append(1000 * spent / (appends // writers))
    ratios = [ours / bare for ours, bare in zip(took[append_all], took[write_all], strict=True)]
    ours, bare = (statistics.median(took[what]) for what in (append_all, write_all))
    print(
        f"append / its fsyncs, {writers:2} {kind}: {statistics.median(ratios):.2f}"
        f" (median; goal: under 2); {ours:.2f} ms against {bare:.2f} ms"
    )


def appends_of(folder: Path, rounds: int, appends: int, patience: Patience) -> None:
    for kind in (threads, processes):
        for writers in (1, 10):
            with tempfile.TemporaryDirectory(dir=folder) as name:
                for part in ("bare/parts", "bare/queue"):
                    (Path(name) / part).mkdir(parents=True)
                with kind(Path(name), writers, patience) as pool:
                    compare(pool, writers, rounds, appends, kind.__name__)


def fill(spool: Spool, entries: int) -> None:
    """The files as appends leave them, without the fsyncs."""
    for n in range(entries):
        each = entry(n)
        spool.path(Queue.INBOUND, each.name.file).write_bytes(encoded(each))


def lists(spool: Spool, entries: int) -> None:
    begun = time.perf_counter()
    listed = len(spool.files(Queue.INBOUND))
    middle = time.perf_counter()
    spool.first(Queue.INBOUND, BATCH, ALL_KINDS)
    ended = time.perf_counter()
    assert listed == entries
    print(
        f"{entries} entries: listed in {middle - begun:.2f} s (goal: under 1),"
        f" the first {BATCH} in {ended - middle:.2f} s"
    )


def drain(spool: Spool) -> Iterator[int]:
    """Entries that were read and removed, as one batch after the other goes."""
    while files := spool.first(Queue.INBOUND, BATCH, ALL_KINDS):
        for at in range(0, len(files), GROUP):
            group = files[at : at + GROUP]
            for file in group:
                spool.read(Queue.INBOUND, file)
            spool.remove(Queue.INBOUND, group)
        yield len(files)


def drains(folder: Path, entries: int) -> str:
    spool, gone = Spool(folder), 0
    memory = [mebibytes()]
    begun = time.perf_counter()
    for batch in drain(spool):
        gone += batch
        memory.append(mebibytes())
    rate = gone / (time.perf_counter() - begun)
    assert gone == entries
    first, middle, last = memory[1], memory[len(memory) // 2], memory[-1]
    return (
        f"{entries} entries read and removed: {rate:.0f} entries/s; memory {memory[0]:.1f} MiB,"
        f" {first:.1f} after the first batch, {middle:.1f} in the middle, {last:.1f} at the end"
        f" ({last - middle:+.1f} from the middle on; goal: constant)"
    )


def mebibytes() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


def queue_of(folder: Path, entries: int) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        spool = Spool(Path(name))
        fill(spool, entries)
        lists(spool, entries)
        # In a process that has not listed them all before, which would hide a growth.
        with ProcessPoolExecutor(1, get_context("forkserver")) as pool:
            print(pool.submit(drains, Path(name), entries).result())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.spool", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--appends", type=int, default=200, help="a round, of all writers together")
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument(
        "--short-looks", type=int, default=Patience.short_looks, help="before a lock's first pause"
    )
    parser.add_argument("--folder", type=Path, help="on the disk that is measured")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-", dir=asked.folder) as name:
        patience = Patience(short_looks=asked.short_looks)
        appends_of(Path(name), asked.rounds, asked.appends, patience)
        queue_of(Path(name), asked.entries)


if __name__ == "__main__":
    main()
