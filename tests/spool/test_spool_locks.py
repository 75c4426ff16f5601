"""Who waits for whom, for how long, and what becomes of the locks of those who die."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from spool_steps import fate_at
from spool_world import entries, entry, parts, speaking

from mailroom.adapters.spool.locks import (
    METRICS,
    Mode,
    Patience,
    QueueLock,
    SpoolBusy,
)
from mailroom.adapters.spool.spool import LOCKS, Spool
from mailroom.models.spool import Queue

NEVER_LET_GO = 600


def hold(folder: Path, mode: Mode, said: Connection) -> None:
    """Until it is told to let go."""
    with QueueLock(folder / LOCKS / f"{Queue.INBOUND}.lock", Patience()).held(mode):
        said.send_bytes(b"held")
        said.poll(NEVER_LET_GO)


def hold_for(seconds: float, folder: Path, said: Connection) -> None:
    with QueueLock(folder / LOCKS / f"{Queue.INBOUND}.lock", Patience()).held(Mode.WRITE):
        said.send_bytes(b"held")
        said.poll(seconds)


def append_one(spool: Spool) -> None:
    spool.append(entry())


def list_all(spool: Spool) -> None:
    spool.files(Queue.INBOUND)


def wait_in(folder: Path, act: Callable[[Spool], None], said: Connection) -> None:
    spool = Spool(folder)
    said.send_bytes(b"asking")
    act(spool)
    said.send_bytes(b"had")


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("act", [append_one, list_all])
def test_waiters_go_on_when_a_holder_is_killed(
    mode: Mode, act: Callable[[Spool], None], spool: Spool
) -> None:
    with speaking(hold, spool.folder, mode) as (holder, held):
        assert held.recv_bytes() == b"held"
        with (
            speaking(wait_in, spool.folder, act) as (_, one),
            speaking(wait_in, spool.folder, act) as (_, other),
        ):
            assert (one.recv_bytes(), other.recv_bytes()) == (b"asking", b"asking")
            if mode is Mode.WRITE or act is append_one:
                assert not one.poll(0.05)
                assert not other.poll()
            holder.kill()
            begun = time.monotonic()
            assert (one.recv_bytes(), other.recv_bytes()) == (b"had", b"had")
            act(spool)
            assert time.monotonic() - begun < 5


def test_readers_share_and_writers_do_not(spool: Spool) -> None:
    hasty = Spool(spool.folder, Patience(timeout=0.05))
    with speaking(hold, spool.folder, Mode.READ) as (_, held):
        assert held.recv_bytes() == b"held"
        assert hasty.files(Queue.INBOUND) == []
        with pytest.raises(SpoolBusy):
            hasty.append(entry())
        held.send_bytes(b"let go")
        spool.append(entry())
    with speaking(hold, spool.folder, Mode.WRITE) as (_, held):
        assert held.recv_bytes() == b"held"
        with pytest.raises(SpoolBusy):
            hasty.files(Queue.INBOUND)
        with pytest.raises(SpoolBusy):
            hasty.append(entry())


def test_other_queues_are_free(spool: Spool) -> None:
    hasty = Spool(spool.folder, Patience(timeout=0.05))
    with speaking(hold, spool.folder, Mode.WRITE) as (_, held):
        assert held.recv_bytes() == b"held"
        for queue in (Queue.OUTBOUND, Queue.DEAD_LETTER):
            hasty.append(entry(queue=queue))
            assert len(entries(hasty, queue)) == 1


@pytest.mark.parametrize("act", [append_one, list_all])
def test_a_lock_that_is_held_too_long_is_said_in_time(
    act: Callable[[Spool], None], spool: Spool
) -> None:
    patient = Spool(spool.folder, Patience(timeout=0.5))
    with speaking(hold, spool.folder, Mode.WRITE) as (_, held):
        assert held.recv_bytes() == b"held"
        begun = time.monotonic()
        with pytest.raises(SpoolBusy, match=r"queue inbound for more than 0\.5 s"):
            act(patient)
        assert 0.2 <= time.monotonic() - begun < 1.5
        assert parts(spool) == []
        held.send_bytes(b"let go")
        act(spool)


def test_threads_that_wait_behind_each_other_wait_once(spool: Spool) -> None:
    patient = Spool(spool.folder, Patience(timeout=1.5))
    with speaking(hold, spool.folder, Mode.WRITE) as (_, held), ThreadPoolExecutor(5) as pool:
        assert held.recv_bytes() == b"held"
        begun = time.monotonic()
        waiting = [pool.submit(append_one, patient) for _ in range(5)]
        assert [type(each.exception()) for each in waiting] == [SpoolBusy] * 5
        assert time.monotonic() - begun < 2.3
    assert entries(spool) == {}
    assert parts(spool) == []


def test_threads_of_a_process_wait_for_each_other(spool: Spool) -> None:
    lock = QueueLock(spool.folder / LOCKS / "inbound.lock", Patience())
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(50):
            with lock.held(Mode.WRITE):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (len(most), max(most)) == (250, 1)


def test_a_deleted_lock_file_is_made_anew(spool: Spool) -> None:
    with speaking(hold, spool.folder, Mode.WRITE) as (_, held):
        assert held.recv_bytes() == b"held"
        (spool.folder / LOCKS / "inbound.lock").unlink()
        held.send_bytes(b"let go")
    spool.append(entry())
    assert len(entries(spool)) == 1


@pytest.mark.parametrize(
    ("patience", "exact", "uneven"),
    [
        (
            Patience(),
            [0.0002, 0.0004, 0.0008, 0.0016, 0.01],
            [0.02, 0.04, 0.08, 0.16, 0.25, 0.25],
        ),
        (Patience(short_looks=0), [0.01], [0.02, 0.04, 0.08, 0.16, 0.25, 0.25]),
        (Patience(short_looks=0, longest_pause=0.05), [0.01], [0.02, 0.04, 0.05, 0.05]),
        (Patience(short_looks=0, first_pause=0.3, longest_pause=0.3), [0.3], [0.3, 0.3]),
        (
            Patience(short_looks=3, first_pause=0.0003, longest_pause=1),
            [0.0002, 0.0003, 0.0003, 0.0003],
            [0.0006, 0.0012],
        ),
    ],
)
def test_pauses_follow_a_few_short_looks_and_double_up_to_the_longest(
    patience: Patience, exact: list[float], uneven: list[float]
) -> None:
    pauses = patience.pauses()
    assert [next(pauses) for _ in exact] == pytest.approx(exact)
    for longest in uneven:
        assert longest / 2 <= next(pauses) <= longest


def test_who_takes_no_short_looks_gets_the_lock_after_pauses(spool: Spool) -> None:
    paused: list[float] = []
    with speaking(hold, spool.folder, Mode.WRITE) as (_, held):
        assert held.recv_bytes() == b"held"

        class LetGoAfterTwo(Patience):
            def pauses(self) -> Iterator[float]:
                for pause in super().pauses():
                    if len(paused) == 2:
                        held.send_bytes(b"let go")
                    yield pause
                    paused.append(pause)

        Spool(spool.folder, LetGoAfterTwo(short_looks=0)).append(entry())
    assert paused[0] == 0.01
    assert len(paused) >= 2
    assert len(entries(spool)) == 1


def test_a_lock_file_that_is_deleted_while_it_is_taken_is_no_lock(spool: Spool) -> None:
    file = spool.folder / LOCKS / "inbound.lock"

    def delete_first(flock: Callable[..., None], args: tuple[int, int]) -> None:
        file.unlink()
        flock(*args)

    hasty = QueueLock(file, Patience(timeout=0.05))
    with fate_at(2, delete_first) as calls, QueueLock(file, Patience()).held(Mode.READ):
        assert calls[:4] == ["open", "flock", "unlink", "close"]
        assert file.exists()
        with pytest.raises(SpoolBusy), hasty.held(Mode.WRITE):
            pass


def measured(name: str, mode: Mode) -> tuple[float, float]:
    labels = {"queue": Queue.INBOUND, "mode": mode}
    kinds = ("count", "sum")
    count, total = (METRICS.get_sample_value(f"{name}_{kind}", labels) or 0.0 for kind in kinds)
    return count, total


@pytest.mark.parametrize(("act", "mode"), [(append_one, Mode.WRITE), (list_all, Mode.READ)])
def test_waits_and_holds_are_measured(
    act: Callable[[Spool], None], mode: Mode, spool: Spool
) -> None:
    names = ("mailroom_spool_lock_wait_seconds", "mailroom_spool_lock_hold_seconds")
    before = [measured(name, mode) for name in names]
    with speaking(hold_for, 0.4, spool.folder) as (_, held):
        assert held.recv_bytes() == b"held"
        act(spool)
    (waits, waited), (holds, held_for) = (
        (now[0] - was[0], now[1] - was[1])
        for now, was in zip([measured(name, mode) for name in names], before, strict=True)
    )
    assert (waits, holds) == (1, 1)
    assert waited > 0.05
    assert 0 < held_for < waited
