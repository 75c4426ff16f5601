"""Many at once, as threads and as processes: nothing is lost, seen half, or twice."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from spool_world import CONTEXT, entries, entry, harm, heard, parts, speaking, together

from mailroom.adapters.spool.locks import Patience
from mailroom.adapters.spool.spool import Spool
from mailroom.models.spool import URGENT, VIP, Entry, Kind, Queue, SpooledText

WRITERS, MESSAGES, READERS = 10, 20, 5
MAIL = frozenset({Kind.MAIL})


def append_twenty(folder: Path, writer: int, queue: Queue = Queue.INBOUND) -> None:
    append_to(Spool(folder), writer, queue)


def append_to(spool: Spool, writer: int, queue: Queue = Queue.INBOUND) -> None:
    for n in range(MESSAGES):
        spool.append(entry(f"{writer}/{n}", queue))


def subjects(spool: Spool, queue: Queue = Queue.INBOUND) -> list[str]:
    return sorted(subject(each) for each in entries(spool, queue).values())


def subject(each: Entry) -> str:
    return each.message.raw.split(b"Subject: ")[1].split(b"\r\n")[0].decode()  # type: ignore[union-attr]


def of(writers: int) -> list[str]:
    return sorted(f"{writer}/{n}" for writer in range(writers) for n in range(MESSAGES))


def in_threads(folder: Path) -> None:
    spool = Spool(folder)
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(append_to, [spool] * WRITERS, range(WRITERS)))


def in_processes(folder: Path) -> None:
    together((append_twenty, folder, writer) for writer in range(WRITERS))


def in_threads_with_a_spool_each(folder: Path) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(append_twenty, [folder] * WRITERS, range(WRITERS)))


@pytest.mark.parametrize("crowd", [in_threads, in_processes, in_threads_with_a_spool_each])
def test_ten_writers_of_twenty_messages(crowd: Callable[[Path], None], spool: Spool) -> None:
    crowd(spool.folder)
    assert subjects(spool) == of(WRITERS)
    assert parts(spool) == []
    assert harm(spool) == []


def read_until(spool: Spool, ended: Callable[[], bool]) -> Iterator[list[str]]:
    """What each look finds, all of it whole; one look more after the end."""
    while True:
        last = ended()
        yield subjects(spool)
        if last:
            return


def look_on(folder: Path, ended: Event, said: Connection) -> None:
    seen: list[str] = []
    for found in read_until(Spool(folder), ended.is_set):
        # Nobody removes here: what was once seen stays.
        assert set(seen) <= set(found)
        seen = found
    said.send_bytes(str(len(seen)).encode())


def test_five_readers_see_only_whole_entries_of_five_writers(spool: Spool) -> None:
    ended = CONTEXT.Event()
    with ExitStack() as reading:
        readers = [
            reading.enter_context(speaking(look_on, spool.folder, ended)) for _ in range(READERS)
        ]
        together((append_twenty, spool.folder, writer) for writer in range(READERS))
        ended.set()
        assert [heard(said) for _, said in readers] == [[str(READERS * MESSAGES)]] * READERS
    assert subjects(spool) == of(READERS)


def test_five_reading_and_five_writing_threads(spool: Spool) -> None:
    with ThreadPoolExecutor(2 * READERS) as pool:
        writing = [pool.submit(append_to, spool, writer) for writer in range(READERS)]

        def all_written() -> bool:
            return all(each.done() for each in writing)

        reading = [
            pool.submit(lambda: list(read_until(spool, all_written))[-1]) for _ in range(READERS)
        ]
        assert [each.result(60) for each in reading] == [of(READERS)] * READERS


def test_three_queues_at_once(spool: Spool) -> None:
    together((append_twenty, spool.folder, writer, queue) for queue in Queue for writer in range(3))
    assert [subjects(spool, queue) for queue in Queue] == [of(3)] * len(Queue)
    assert harm(spool) == []


def forward_all(folder: Path, said: Connection) -> None:
    """As a forwarder does: list, read, hand on, remove; until there is nothing."""
    spool = Spool(folder)
    while files := spool.first(Queue.INBOUND, 7, MAIL):
        for file in files:
            try:
                said.send_bytes(subject(spool.read(Queue.INBOUND, file)).encode())
            except FileNotFoundError:
                continue  # the other one was faster
        spool.remove(Queue.INBOUND, files)


def test_two_who_drain_hand_on_everything(spool: Spool) -> None:
    in_threads(spool.folder)
    with (
        speaking(forward_all, spool.folder) as (one, first),
        speaking(forward_all, spool.folder) as (other, second),
    ):
        handed_on = heard(first) + heard(second)
        one.join(60)
        other.join(60)
        assert (one.exitcode, other.exitcode) == (0, 0)
    assert set(handed_on) == set(of(WRITERS))
    assert spool.files(Queue.INBOUND) == []


def go_there_and_back(folder: Path, here: Queue, there: Queue) -> None:
    # Ten seconds is the time-out of a lock: two who hold what the other wants end with SpoolBusy.
    spool = Spool(folder, Patience(timeout=10))
    for _ in range(MESSAGES):
        mine = entry(queue=here)
        spool.append(mine)
        spool.move(mine, here, there)
        spool.move(mine, there, here)


def test_moves_in_opposite_directions_do_not_wait_for_each_other_for_ever(spool: Spool) -> None:
    pairs = [(here, there) for here in Queue for there in Queue if here is not there]
    together((go_there_and_back, spool.folder, here, there) for here, there in pairs)
    assert [len(entries(spool, queue)) for queue in Queue] == [2 * MESSAGES] * len(Queue)
    assert harm(spool) == []


def test_who_goes_first(spool: Spool) -> None:
    later, vip = entry("normal"), entry("from a VIP", priority=VIP)
    text = Entry(
        queue=Queue.INBOUND,
        priority=URGENT,
        message=SpooledText(owner="owner", number="+12025550100", body="1", provider_id="SM1"),
    )
    for each in (later, vip, text):
        spool.append(each)
    assert spool.files(Queue.INBOUND) == [each.name.file for each in (text, vip, later)]
    assert spool.first(Queue.INBOUND, 1, MAIL) == [vip.name.file]
    assert spool.first(Queue.INBOUND, 5, MAIL, {vip.name.file}) == [later.name.file]
    assert spool.counts(Queue.INBOUND) == {Kind.MAIL: 2, Kind.TEXT: 1}


def test_the_same_entry_again_is_one(spool: Spool) -> None:
    once = entry()
    spool.append(once)
    spool.append(once)
    assert entries(spool) == {once.name.file: once}


def test_an_update_of_what_has_gone_on_brings_nothing_back(spool: Spool) -> None:
    gone = entry()
    spool.append(gone)
    spool.remove(Queue.INBOUND, [gone.name.file])
    spool.update(Queue.INBOUND, gone.again())
    assert spool.files(Queue.INBOUND) == []
    assert parts(spool) == []


def test_a_move_to_where_it_is_keeps_it(spool: Spool) -> None:
    here = entry()
    spool.append(here)
    spool.move(here, Queue.INBOUND, Queue.INBOUND)
    assert entries(spool) == {here.name.file: here}


def test_files_of_others_are_left_alone(spool: Spool, folder: Path) -> None:
    foreign = folder / Queue.INBOUND / "notes.txt"
    foreign.write_text("mine")
    append_to(spool, 0)
    spool.remove(Queue.INBOUND, spool.files(Queue.INBOUND))
    assert spool.files(Queue.INBOUND) == []
    assert foreign.read_text() == "mine"


def test_nobody_else_can_read_it(spool: Spool) -> None:
    append_to(spool, 0)
    found = [spool.folder, *spool.folder.rglob("*")]
    assert len(found) > MESSAGES
    assert [file for file in found if file != spool.folder and file.stat().st_mode & 0o077] == []
