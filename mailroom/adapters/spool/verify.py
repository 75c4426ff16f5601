"""What in a spool is not as it was written. Reports, and removes nothing."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from mailroom.adapters.spool.spool import PARTS, Spool
from mailroom.models.base import Frozen
from mailroom.models.spool import Damaged, Queue, is_entry

# Seconds. In a container the process that comes after one that was killed has its number.
LONGEST_WRITE = 600


class Fault(Frozen):
    """`file` is below the spool's folder; `what` is half-written, foreign, damaged, unreadable."""

    file: str
    what: str
    detail: str


def faults(spool: Spool, looked: Callable[[], None] = lambda: None) -> Iterator[Fault]:
    """`looked` is called for every entry."""
    yield from _half_written(spool)
    for queue in Queue:
        yield from _in_queue(spool, queue, looked)


def _half_written(spool: Spool) -> Iterator[Fault]:
    """Parts whose process is gone; nobody was told that they were accepted."""
    for part in sorted((spool.folder / PARTS).iterdir()):
        if not _is_being_written(part):
            yield _fault(spool, part, "half-written", "never accepted; it may be deleted")


def _is_being_written(part: Path) -> bool:
    pid = part.name.partition("-")[0]
    try:
        age = time.time() - part.stat().st_mtime
        return age < LONGEST_WRITE and psutil.pid_exists(int(pid))
    except FileNotFoundError:
        return True  # it has become an entry meanwhile
    except (ValueError, OverflowError):
        return False  # not our name


def _in_queue(spool: Spool, queue: Queue, looked: Callable[[], None]) -> Iterator[Fault]:
    for file in sorted((spool.folder / queue).iterdir()):
        if not is_entry(file.name):
            yield _fault(spool, file, "foreign", "not written by Mailroom")
            continue
        if fault := _content_of(spool, queue, file):
            yield fault
        looked()


def _content_of(spool: Spool, queue: Queue, file: Path) -> Fault | None:
    try:
        entry = spool.read(queue, file.name)
    except FileNotFoundError:
        return None  # it has gone on meanwhile
    except Damaged as error:
        return _fault(spool, file, "damaged", str(error))
    except OSError as error:
        return _fault(spool, file, "unreadable", error.strerror or str(error))
    if entry.name.file != file.name:
        return _fault(spool, file, "foreign", f"it was written as {entry.name.file}")
    return None


def _fault(spool: Spool, file: Path, what: str, detail: str) -> Fault:
    return Fault(file=str(file.relative_to(spool.folder)), what=what, detail=detail)
