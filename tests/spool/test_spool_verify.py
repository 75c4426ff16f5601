"""`verify` finds what is not as it was written, and removes nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from spool_world import entry, parts

from mailroom.adapters.spool.files import write_durably
from mailroom.adapters.spool.spool import PARTS, Spool
from mailroom.adapters.spool.verify import LONGEST_WRITE, faults
from mailroom.models.spool import Entry, Queue, encoded


def found(spool: Spool) -> dict[str, tuple[str, str]]:
    """By file, what is wrong and how that shows; nothing may have changed."""
    before = everything(spool.folder)
    by_file = {fault.file: (fault.what, fault.detail) for fault in faults(spool)}
    assert everything(spool.folder) == before
    return by_file


def everything(folder: Path) -> dict[Path, bytes | None]:
    return {file: file.read_bytes() if file.is_file() else None for file in folder.rglob("*")}


@pytest.fixture
def kept(spool: Spool) -> Entry:
    kept = entry()
    spool.append(kept)
    return kept


def dead_pid() -> int:
    """Of a process that has ended and was waited for."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def part_of(spool: Spool, pid: int | str) -> Path:
    part = spool.folder / PARTS / f"{pid}-c0ffee00-{entry().name.file}"
    write_durably(part, encoded(entry())[:100])
    return part


def test_a_whole_spool_has_no_faults(spool: Spool, kept: Entry) -> None:
    spool.append(entry(queue=Queue.OUTBOUND))
    spool.move(kept, Queue.INBOUND, Queue.DEAD_LETTER)
    assert found(spool) == {}


def test_half_written_is_what_nobody_writes_any_more(spool: Spool) -> None:
    part = part_of(spool, dead_pid())
    assert found(spool) == {
        f"{PARTS}/{part.name}": ("half-written", "never accepted; it may be deleted")
    }


def test_what_is_being_written_is_no_fault(spool: Spool) -> None:
    part_of(spool, os.getpid())
    assert found(spool) == {}


def test_a_part_of_a_killed_process_whose_number_was_given_again(spool: Spool) -> None:
    part = part_of(spool, os.getpid())
    long_ago = time.time() - LONGEST_WRITE - 1
    os.utime(part, (long_ago, long_ago))
    assert [what for what, _ in found(spool).values()] == ["half-written"]


@pytest.mark.parametrize("pid", ["", "x", "-1", "9" * 30, "²"])
def test_a_part_with_a_name_of_somebody_else(spool: Spool, pid: str) -> None:
    part_of(spool, pid)
    assert [what for what, _ in found(spool).values()] == ["half-written"]


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "inbound.json", "\udcff"])
def test_foreign_files(spool: Spool, kept: Entry, name: str) -> None:
    (spool.folder / Queue.INBOUND / name).write_bytes(encoded(kept))
    assert found(spool) == {f"inbound/{name}": ("foreign", "not written by Mailroom")}


def test_a_file_under_the_name_of_another(spool: Spool, kept: Entry) -> None:
    other = entry().name.file
    spool.path(Queue.INBOUND, kept.name.file).rename(spool.path(Queue.OUTBOUND, other))
    assert found(spool) == {
        f"outbound/{other}": ("foreign", f"it was written as {kept.name.file}"),
    }


@pytest.mark.parametrize(
    ("harmed", "detail"),
    [
        (lambda data: b"", "form of an entry"),
        (lambda data: data[:-1], "form of an entry"),
        (lambda data: bytes(len(data)), "form of an entry"),
        (lambda data: data.replace(b'"attempts":0', b'"attempts":7'), "checksum is wrong"),
    ],
)
def test_damaged_files(spool: Spool, kept: Entry, harmed, detail: str) -> None:  # type: ignore[no-untyped-def]
    file = spool.path(Queue.INBOUND, kept.name.file)
    file.write_bytes(harmed(file.read_bytes()))
    ((name, (what, why)),) = found(spool).items()
    assert (name, what) == (f"inbound/{kept.name.file}", "damaged")
    assert detail in why


def test_a_part_that_was_killed_and_moved_by_hand_is_damaged(spool: Spool) -> None:
    part, file = part_of(spool, dead_pid()), entry().name.file
    part.rename(spool.path(Queue.INBOUND, file))
    assert [what for what, _ in found(spool).values()] == ["damaged"]


def test_unreadable_files(spool: Spool) -> None:
    # A folder instead of a missing permission, which the superuser does not miss.
    spool.path(Queue.DEAD_LETTER, entry().name.file).mkdir()
    assert list(found(spool).values()) == [("unreadable", "Is a directory")]


def test_all_faults_at_once(spool: Spool, kept: Entry) -> None:
    (spool.folder / Queue.INBOUND / "notes.txt").touch()
    part_of(spool, dead_pid())
    spool.path(Queue.OUTBOUND, entry().name.file).touch()
    assert sorted(what for what, _ in found(spool).values()) == [
        "damaged",
        "foreign",
        "half-written",
    ]
    assert len(parts(spool)) == 1
    assert spool.read(Queue.INBOUND, kept.name.file) == kept
