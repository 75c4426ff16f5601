"""A read/write lock for each queue, across threads and processes.

Threads of this process wait for each other in memory, so that only one of them asks for the file
lock. A process that dies lets its file lock go: the system does that, and nobody cleans up.
"""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import ReadWriteLock, Timeout
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


@dataclass(frozen=True)
class Patience:
    """How long a lock is waited for, the first pause between two tries and the longest; seconds."""

    timeout: float = 30.0
    first_pause: float = 0.01
    longest_pause: float = 0.25

    def pauses(self) -> Iterator[float]:
        """Doubling; uneven, so that two who wait don't meet again and again."""
        pause = self.first_pause
        while True:
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311  no secret
            pause = min(pause * 2, self.longest_pause)


class QueueLock:
    def __init__(self, file: Path, patience: Patience) -> None:
        self._queue = file.stem
        self._patience = patience
        self._in_process = threading.Lock()
        self._between_processes = ReadWriteLock(file, is_singleton=False)

    @contextmanager
    def held(self, mode: Mode) -> Iterator[None]:
        """Raises `SpoolBusy`."""
        begun = time.monotonic()
        if not self._in_process.acquire(timeout=self._patience.timeout):
            raise self._busy()
        try:
            self._acquire(mode, begun + self._patience.timeout)
            had = time.monotonic()
            _WAITED.labels(self._queue, mode).observe(had - begun)
            try:
                yield
            finally:
                self._between_processes.release()
                _HELD.labels(self._queue, mode).observe(time.monotonic() - had)
        finally:
            self._in_process.release()

    def _acquire(self, mode: Mode, end: float) -> None:
        lock = self._between_processes
        acquire = lock.acquire_read if mode is Mode.READ else lock.acquire_write
        for pause in self._patience.pauses():
            try:
                acquire(blocking=False)
                return
            except Timeout:
                if time.monotonic() + pause > end:
                    raise self._busy() from None
                time.sleep(pause)

    def _busy(self) -> SpoolBusy:
        return SpoolBusy(
            f"Another process has held the spool's queue {self._queue} for more than "
            f"{self._patience.timeout:g} s; see which, or raise MAILROOM_SPOOL_LOCK_SECONDS."
        )


@contextmanager
def all_held(locks: Sequence[QueueLock], mode: Mode) -> Iterator[None]:
    """Several locks; whoever calls gives them in the one order that all keep to."""
    with ExitStack() as holding:
        for lock in locks:
            holding.enter_context(lock.held(mode))
        yield
