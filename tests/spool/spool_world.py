"""Processes that use a spool, and what is looked at afterwards."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from mailroom.adapters.spool.spool import PARTS, Spool
from mailroom.adapters.spool.verify import Fault, faults
from mailroom.models.spool import NORMAL, Entry, Queue, SpooledMail

# Forked from a process that has everything loaded and no lock open: a child costs about 10 ms.
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["__main__", "pytest", "mailroom.adapters.spool.verify"])


def entry(text: str = "Lunch?", queue: Queue = Queue.INBOUND, priority: int = NORMAL) -> Entry:
    raw = f"From: anna@example.com\r\nSubject: {text}\r\n\r\nAt noon?\r\n".encode()
    mail = SpooledMail(raw=raw, sender="anna@example.com", recipients=("owner@mailroom.test",))
    return Entry(queue=queue, priority=priority, message=mail)


def process(job: Callable[..., None], *args: Any) -> ForkServerProcess:
    started = CONTEXT.Process(target=job, args=args, daemon=True)
    started.start()
    return started


def together(jobs: Iterable[tuple[Any, ...]]) -> None:
    """Each in a process of its own; all of them have to end well."""
    running = [process(*job) for job in jobs]
    for each in running:
        each.join(60)
    assert [each.exitcode for each in running] == [0] * len(running)


@contextmanager
def speaking(
    job: Callable[..., None], *args: Any
) -> Iterator[tuple[ForkServerProcess, Connection]]:
    """A process and what it says; its job has the other end as the last argument."""
    ours, theirs = CONTEXT.Pipe(duplex=True)
    started = process(job, *args, theirs)
    theirs.close()
    try:
        yield started, ours
    finally:
        started.kill()
        started.join()
        ours.close()


def heard(said: Connection) -> list[str]:
    """All that was said before the process ended, however it did."""
    lines = []
    try:
        while True:
            lines.append(said.recv_bytes().decode())
    except (EOFError, ConnectionResetError):
        return lines


def entries(spool: Spool, queue: Queue = Queue.INBOUND) -> dict[str, Entry]:
    """By the names of their files; raises where one is not whole."""
    return {file: spool.read(queue, file) for file in spool.files(queue)}


def parts(spool: Spool) -> list[Path]:
    return list((spool.folder / PARTS).iterdir())


def harm(spool: Spool) -> list[Fault]:
    """What no kill may leave behind. A part that was never accepted is none."""
    return [fault for fault in faults(spool) if fault.what != "half-written"]
