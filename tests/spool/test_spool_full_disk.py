"""A full disk: it is said, nothing that was accepted is lost, nothing is left behind, and it goes
on when there is room again."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from spool_life import LIFE, NOWHERE, UNDER_WAY, perform, places, prepared
from spool_steps import fate_at, full
from spool_world import entries, entry, harm, parts

from mailroom.adapters.spool.files import SpoolFull
from mailroom.adapters.spool.spool import LOCKS, Spool
from mailroom.models.spool import Entry, Queue

PAGE = os.sysconf("SC_PAGE_SIZE")
MOUNT = ["mount", "-t", "tmpfs", "-o", f"size=1m,nr_inodes=100,mode=700,uid={os.getuid()}", "none"]


def became(command: list[str]) -> bool:
    with suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A mebibyte, and a hundred files."""
    where = tmp_path / "disk"
    where.mkdir()
    for sudo in ([], ["sudo", "-n"]):
        if became([*sudo, *MOUNT, str(where)]):
            yield where
            assert became([*sudo, "umount", str(where)])
            return
    why = "A full disk is tested on a tmpfs: run the tests where they may mount one."
    pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)


@contextmanager
def pages_left(disk: Path, pages: int) -> Iterator[None]:
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast.write_bytes(bytes(free - pages * PAGE))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def files_left(disk: Path, files: int) -> Iterator[None]:
    more = disk / "more"
    more.mkdir()
    try:
        for n in range(os.statvfs(disk).f_ffree - files):
            (more / str(n)).touch()
        yield
    finally:
        for file in more.iterdir():
            file.unlink()
        more.rmdir()


def refused(spool: Spool, act: str, it: Entry) -> bool:
    try:
        perform(spool, act, it)
    except SpoolFull as error:
        return str(error) == "The disk that the spool is on is full; make room, then send it again."
    return False


def go_to_the_end(spool: Spool, act: str, it: Entry) -> None:
    """The same again and all that follows, so that the disk is as it was."""
    for each in list(LIFE)[list(LIFE).index(act) :]:
        perform(spool, each, it)
        assert places(spool, it.name.file) == LIFE[each]


def test_a_full_disk_at_every_size_and_act(disk: Path) -> None:
    spool, bystander, refusals = Spool(disk / "spool"), entry("Do not disturb"), 0
    spool.append(bystander)
    for size in range(12):
        for left in range(size + 3):
            for act in LIFE:
                it = prepared(spool, act, "x" * size * PAGE)
                before = places(spool, it.name.file)
                with pages_left(disk, left):
                    is_full = refused(spool, act, it)
                    refusals += is_full
                    assert places(spool, it.name.file) == (before if is_full else LIFE[act])
                    assert entries(spool)[bystander.name.file] == bystander
                assert parts(spool) == []
                go_to_the_end(spool, act, it)
    assert refusals >= 200
    assert harm(spool) == []
    assert list(entries(spool)) == [bystander.name.file]


@pytest.mark.parametrize("has_lock", [True, False])
def test_no_room_for_another_file(disk: Path, has_lock: bool) -> None:
    spool = Spool(disk / "spool")
    for left, accepted in ((0, False), (1, has_lock), (2, True)):
        with files_left(disk, left):
            lock = disk / "spool" / LOCKS / f"{Queue.INBOUND}.lock"
            if not has_lock:
                lock.unlink(missing_ok=True)
            took = not refused(spool, "append", entry())
        assert took == accepted, f"{left} files left"
        assert parts(spool) == []
    assert len(entries(spool)) == (2 if has_lock else 1)


def test_a_full_disk_is_drained(disk: Path) -> None:
    spool = Spool(disk / "spool")
    for _ in range(9):
        spool.append(entry())
    with pages_left(disk, 0), files_left(disk, 0):
        with pytest.raises(SpoolFull):
            spool.append(entry())
        files = list(entries(spool))
        assert len(files) == 9
        spool.remove(Queue.INBOUND, files[:3])
        spool.append(entry())
    assert len(entries(spool)) == 7


@pytest.mark.parametrize("act", ["append", "update", "move"])
def test_no_room_at_any_step(act: str, spool: Spool) -> None:
    """Where a file system finds that out late: while it syncs, or for a name in a folder."""
    number, calls, refusals = 0, [""], 0
    while len(calls) >= number:
        number += 1
        it = prepared(spool, act)
        with fate_at(number, full) as calls:
            is_full = refused(spool, act, it)
        refusals += is_full
        where = places(spool, it.name.file)
        assert where in UNDER_WAY[act]
        if not is_full:
            assert where == LIFE[act]
        elif act == "append":
            assert where == NOWHERE
        assert parts(spool) == []
        assert harm(spool) == []
        go_to_the_end(spool, act, it)
    assert refusals > 4


def test_what_was_accepted_stays_when_the_same_is_refused(spool: Spool) -> None:
    it, number, calls = entry(), 0, [""]
    spool.append(it)
    refusals = 0
    while len(calls) >= number:
        number += 1
        with fate_at(number, full) as calls:
            refusals += refused(spool, "append", it)
        assert entries(spool) == {it.name.file: it}
        assert parts(spool) == []
    assert refusals > 4
