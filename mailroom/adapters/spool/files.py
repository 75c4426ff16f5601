"""Files that are whole or not there, whatever happens meanwhile."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class SpoolFull(Exception):
    """There is no room for another entry; those that were accepted are safe."""


@contextmanager
def full_disk_said() -> Iterator[None]:
    """Raises `SpoolFull` where the system says that there is no room, or no more for this user."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SpoolFull(
            "The disk that the spool is on is full; make room, then send it again."
        ) from error


@full_disk_said()
def write_durably(file: Path, data: bytes) -> None:
    """A new file with its bytes on the disk; its name is not there for good before its folder is
    synced. Nothing is left of one that fails. Raises `SpoolFull`."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with suppress(OSError):
            file.unlink()
        raise


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


@full_disk_said()
def sync_folder(folder: Path) -> None:
    """What was renamed into it or out of it stays so. Raises `SpoolFull`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
