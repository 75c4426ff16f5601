"""Where a spool may be: on a disk of this machine, and one daemon's alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psutil  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from mailroom.adapters.spool.spool import LOCKS

# Neither their locks nor their renames hold what a spool needs of them.
NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.glusterfs", "fuse.rclone"}
    | {"fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2"}
    | {"orangefs", "prl_fs", "smb2", "smb3", "smbfs", "vboxsf", "webdav"}
)


class SpoolUnusable(Exception):
    """The folder can't be a spool; the message says why and what to do."""


class Mounted(Protocol):
    @property
    def mountpoint(self) -> str: ...
    @property
    def fstype(self) -> str: ...


def check_place(folder: Path) -> None:
    """Raises `SpoolUnusable` for a folder on a network file system."""
    kind = network_kind(folder.resolve(), psutil.disk_partitions(all=True))
    if kind:
        raise SpoolUnusable(
            f"{folder} is on a network file system ({kind}), where locks and renames are not "
            "reliable; set MAILROOM_SPOOL_DIR to a folder on a disk of this machine."
        )


def network_kind(folder: Path, mounted: Sequence[Mounted]) -> str | None:
    """The type of the network file system that this folder is on, if it is on one."""
    above = {str(one) for one in (folder, *folder.parents)}
    # The innermost; of two at one place the later one covers the other.
    on = [mount for mount in mounted if mount.mountpoint in above]
    on.sort(key=lambda mount: len(mount.mountpoint))
    return on[-1].fstype if on and on[-1].fstype.lower() in NETWORK else None


@contextmanager
def only_daemon(folder: Path) -> Iterator[None]:
    """Raises `SpoolUnusable` while another daemon has this spool; the system lets it go even after
    a kill."""
    check_place(folder)
    (folder / LOCKS).mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / LOCKS / "daemon.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise SpoolUnusable(
            f"Another Mailroom uses the spool in {folder} already; stop it, or set "
            "MAILROOM_SPOOL_DIR."
        ) from error
    try:
        yield
    finally:
        lock.release()
