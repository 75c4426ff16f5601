"""The spool: what was accepted while the way on was closed, one file an entry.

An entry is written and synced beside its queue, then renamed into it under the queue's lock, and
the folder is synced before anybody is told. Appends of threads that come together share one hold
and one sync. Reading a list takes the lock for reading; removing takes it for writing.
"""

import heapq
import os
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from mailroom.adapters.spool.files import full_disk_said, sync_folder, write_durably
from mailroom.adapters.spool.locks import Mode, Patience, QueueLock, all_held
from mailroom.models.spool import Entry, Kind, Queue, decoded, encoded, is_entry, kind_of

LOCKS, PARTS = "locks", "parts"


@dataclass
class _Waiting:
    """A written part that is to become an entry."""

    part: Path
    file: Path
    done: bool = False
    error: BaseException | None = None
    new: bool = False

    def publish(self) -> None:
        self.new = not self.file.exists()
        self.part.rename(self.file)

    def fail(self, error: BaseException) -> None:
        """Takes back what can be; an entry that was there before stays."""
        self.error = error
        for file in (self.part, self.file) if self.new else (self.part,):
            with suppress(OSError):
                file.unlink()


class Spool:
    """One folder; any number of threads and processes may use it at once."""

    def __init__(self, folder: Path, patience: Patience | None = None) -> None:
        self.folder = folder
        for name in (LOCKS, PARTS, *Queue):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._parts = folder / PARTS
        self._folders = {queue: folder / queue for queue in Queue}
        self._locks = {
            queue: QueueLock(folder / LOCKS / f"{queue}.lock", patience or Patience())
            for queue in Queue
        }
        self._turns = {queue: threading.Lock() for queue in Queue}
        self._waiting: dict[Queue, list[_Waiting]] = {queue: [] for queue in Queue}

    def append(self, entry: Entry) -> None:
        """Returns once the entry is durable. Raises `SpoolFull`, `SpoolBusy` or `OSError`; then
        it is not there."""
        file = entry.name.file
        waiting = _Waiting(self._written(entry, file), self.path(entry.queue, file))
        self._waiting[entry.queue].append(waiting)
        with self._turns[entry.queue]:
            # Whoever had the turn before may have taken it along.
            if not waiting.done:
                self._publish(entry.queue)
        if waiting.error:
            raise waiting.error

    def files(self, queue: Queue) -> list[str]:
        """Names of all entries, those first that go on first."""
        with self._locks[queue].held(Mode.READ):
            return sorted(self._files(queue))

    def first(
        self, queue: Queue, most: int, kinds: Collection[Kind], skip: Collection[str] = ()
    ) -> list[str]:
        """The same, of these kinds and `most` of them, in memory that doesn't grow with the
        queue."""
        with self._locks[queue].held(Mode.READ):
            wanted = (
                file for file in self._files(queue) if kind_of(file) in kinds and file not in skip
            )
            return heapq.nsmallest(most, wanted)

    def counts(self, queue: Queue) -> Counter[Kind]:
        with self._locks[queue].held(Mode.READ):
            return Counter(kind for file in self._files(queue) if (kind := kind_of(file)))

    def read(self, queue: Queue, file: str) -> Entry:
        """Raises `Damaged`, and `FileNotFoundError` of one that has gone on meanwhile."""
        return decoded(self.path(queue, file).read_bytes())

    def remove(self, queue: Queue, files: Sequence[str]) -> None:
        """Not synced: one that comes back after a power cut is forwarded twice, which is once."""
        with self._locks[queue].held(Mode.WRITE):
            for file in files:
                self.path(queue, file).unlink(missing_ok=True)

    def update(self, queue: Queue, entry: Entry) -> None:
        """Writes an entry anew where it is, unless it has gone on meanwhile."""
        name = entry.name.file
        part, file = self._written(entry, name), self.path(queue, name)
        with _removed(part), full_disk_said(), self._locks[queue].held(Mode.WRITE):
            if file.exists():
                part.rename(file)

    def move(self, entry: Entry, origin: Queue, to: Queue) -> None:
        """To another queue, as it is now. Half done, it is in both; done again, in one."""
        file = entry.name.file
        part = self._written(entry, file)
        both = [self._locks[queue] for queue in Queue if queue in (origin, to)]
        with _removed(part), full_disk_said(), all_held(both, Mode.WRITE):
            part.rename(self.path(to, file))
            sync_folder(self._folders[to])
            if origin is not to:
                self.path(origin, file).unlink(missing_ok=True)

    def path(self, queue: Queue, file: str) -> Path:
        return self._folders[queue] / file

    def _files(self, queue: Queue) -> Iterator[str]:
        with os.scandir(self._folders[queue]) as found:
            yield from (file.name for file in found if is_entry(file.name))

    def _written(self, entry: Entry, file: str) -> Path:
        # Whose it is shows whether somebody still writes it. In a container the next process has
        # the same number: the parts of one that was killed must not be in its way.
        part = self._parts / f"{os.getpid()}-{token_hex(4)}-{file}"
        write_durably(part, encoded(entry))
        return part

    def _publish(self, queue: Queue) -> None:
        """All that wait, in one hold and one sync."""
        batch: list[_Waiting] = []
        try:
            with full_disk_said(), self._locks[queue].held(Mode.WRITE):
                self._take(queue, batch)
                for one in batch:
                    one.publish()
            sync_folder(self._folders[queue])
        except BaseException as error:  # noqa: BLE001  each of their threads raises it
            # Nobody of them waits for the lock a second time: they came while it was waited for.
            self._take(queue, batch)
            for one in batch:
                one.fail(error)
        for one in batch:
            one.done = True

    def _take(self, queue: Queue, batch: list[_Waiting]) -> None:
        waiting = self._waiting[queue]
        while waiting:
            batch.append(waiting.pop(0))


@contextmanager
def _removed(part: Path) -> Iterator[None]:
    """Where it did not become an entry."""
    try:
        yield
    finally:
        part.unlink(missing_ok=True)
