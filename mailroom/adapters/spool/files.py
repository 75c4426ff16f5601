"""Files that are whole or not there, whatever happens meanwhile."""

import errno
import os
from contextlib import suppress
from pathlib import Path


class SpoolFull(Exception):
    """There is no room for another entry; those that were accepted are safe."""


def write_durably(file: Path, data: bytes) -> None:
    """A new file with its bytes on the disk; its name is not there for good before its folder is
    synced. Nothing is left of one that fails. Raises `SpoolFull`."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        with suppress(OSError):
            file.unlink()
        raise _in_our_words(error) from error


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def sync_folder(folder: Path) -> None:
    """What was renamed into it or out of it stays so."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise _in_our_words(error) from error
    finally:
        os.close(descriptor)


def _in_our_words(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SpoolFull("The disk that the spool is on is full; make room, then send it again.")
    return error
