"""A read/write lock for each queue, across threads and processes.

Threads of this process wait for each other in memory, so that only one of them asks for the file
lock. A process that dies lets its file lock go: the system does that, and nobody cleans up.

The file lock is the one of filelock's `FileLock`, shared by those who read. Its `ReadWriteLock`
opens an SQLite database for each hold, which costs 0.2 to 0.5 ms: as much as the fsyncs of an
append. Ten processes then take 1.9 to 2.6 times their fsyncs for an append, instead of 1.4 to 1.6
(measured, `python -m bench.spool`).
"""

import fcntl
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import lock_descriptor, unlock_descriptor
from prometheus_client import CollectorRegistry, Histogram

METRICS = CollectorRegistry()
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1, 5, 30)
_WAITED = Histogram(
    "mailroom_spool_lock_wait_seconds",
    "Until a queue's lock was had",
    ["queue", "mode"],
    registry=METRICS,
    buckets=_SECONDS,
)
_HELD = Histogram(
    "mailroom_spool_lock_hold_seconds",
    "From then until it was let go",
    ["queue", "mode"],
    registry=METRICS,
    buckets=_SECONDS,
)


class Mode(StrEnum):
    READ = "read"
    WRITE = "write"


class SpoolBusy(Exception):
    """Somebody else held a queue for longer than we wait."""


SHORTEST_LOOK = 0.0002
"""Seconds. A hold is mostly a rename, over in 0.1 ms: few who look again so soon ever come to the
first pause."""


@dataclass(frozen=True)
class Patience:
    """How long a lock is waited for, the first pause between two tries and the longest; seconds.
    Before the first pause come a few short looks."""

    timeout: float = 30.0
    first_pause: float = 0.01
    longest_pause: float = 0.25
    short_looks: int = 4

    def pauses(self) -> Iterator[float]:
        """Doubling; uneven after the first one, so that two who wait don't meet again and
        again."""
        yield from self._looks()
        pause = self.first_pause
        yield pause
        while True:
            pause = min(pause * 2, self.longest_pause)
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311  no secret

    def _looks(self) -> Iterator[float]:
        pause = SHORTEST_LOOK
        for _ in range(self.short_looks):
            yield min(pause, self.first_pause)
            pause *= 2


class QueueLock:
    def __init__(self, file: Path, patience: Patience) -> None:
        # Before it is needed, so that a disk that is full by then can be drained.
        file.touch(mode=0o600)
        self._file = file
        self._waited = {mode: _WAITED.labels(file.stem, mode) for mode in Mode}
        self._held = {mode: _HELD.labels(file.stem, mode) for mode in Mode}
        self._patience = patience
        self._in_process = threading.Lock()

    @contextmanager
    def held(self, mode: Mode) -> Iterator[None]:
        """Raises `SpoolBusy`."""
        begun = time.monotonic()
        if not self._in_process.acquire(timeout=self._patience.timeout):
            raise self._busy()
        try:
            descriptor = self._acquired(mode, begun + self._patience.timeout)
            had = time.monotonic()
            self._waited[mode].observe(had - begun)
            try:
                yield
            finally:
                _let_go(descriptor)
                self._held[mode].observe(time.monotonic() - had)
        finally:
            self._in_process.release()

    def _acquired(self, mode: Mode, end: float) -> int:
        for pause in self._patience.pauses():
            if (descriptor := _taken(self._file, mode)) is not None:
                return descriptor
            if time.monotonic() + pause > end:
                break
            time.sleep(pause)
        raise self._busy()

    def _busy(self) -> SpoolBusy:
        return SpoolBusy(
            f"Another process has held the spool's queue {self._file.stem} for more than "
            f"{self._patience.timeout:g} s; see which, or raise MAILROOM_SPOOL_LOCK_SECONDS."
        )


def _taken(file: Path, mode: Mode) -> int | None:
    """A descriptor that has the lock; None while somebody else has it. Opened anew for each hold:
    a descriptor that a forked child inherits has its parent's lock too."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # A file without a name was deleted meanwhile; those who come now open another one.
        if _locked(descriptor, mode) and os.fstat(descriptor).st_nlink:
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _locked(descriptor: int, mode: Mode) -> bool:
    if mode is Mode.WRITE:
        return lock_descriptor(descriptor, blocking=False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _let_go(descriptor: int) -> None:
    try:
        unlock_descriptor(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def all_held(locks: Sequence[QueueLock], mode: Mode) -> Iterator[None]:
    """Several locks; whoever calls gives them in the one order that all keep to."""
    with ExitStack() as holding:
        for lock in locks:
            holding.enter_context(lock.held(mode))
        yield
