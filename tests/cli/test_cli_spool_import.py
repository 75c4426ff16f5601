"""`mailroom spool import`: an older orchestrator's queues, well-formed and hostile."""

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_bridge import FakeBridge, Run

from mailroom.adapters.spool.spool import Spool
from mailroom.cli.queue_files import DEPTH, items_in
from mailroom.models.spool import LATER, NORMAL, URGENT, VIP, Entry, Queue, SpooledLetter

LIMIT = 1 << 20
ROOT = Path(__file__).parents[2]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "data" / "spool")


@pytest.fixture
def queues(tmp_path: Path) -> Path:
    folder = tmp_path / "mail-queues"
    folder.mkdir()
    return folder


def queued(number: int, **more: Any) -> dict[str, Any]:
    """As Go's encoding/json writes it."""
    return {
        "Message": {
            "id": f"msg-{number}",
            "from": "mayor/",
            "to": "gastown/refinery",
            "subject": "Merge",
            "body": "Please merge.\n\u0000 \u202e<b>",
            "timestamp": "2026-01-27T10:00:00.123456789-08:00",
            "read": False,
            "priority": "high",
        },
        "Attempts": 2,
        "LastAttempt": "2026-01-27T10:05:00Z",
        "QueuedAt": "2026-01-27T10:00:00.123456789-08:00",
        "Error": "no such agent",
        **more,
    }


def write(folder: Path, queue: Queue, content: Any) -> Path:
    file = folder / f"{queue}.json"
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    file.write_bytes(raw)
    return file


def entries(spool: Spool, queue: Queue) -> list[Entry]:
    return [spool.read(queue, file) for file in spool.files(queue)]


def test_three_queues_are_taken_over_as_they_are(run: Run, spool: Spool, queues: Path) -> None:
    write(queues, Queue.INBOUND, [queued(1, LastAttempt="0001-01-01T00:00:00Z", Error="")])
    write(queues, Queue.DEAD_LETTER, [queued(2), queued(3)])
    before = {file: file.read_bytes() for file in queues.iterdir()}
    done = run("spool", "import", queues)
    assert (done.exit_code, done.stdout) == (0, "3 new, 0 known, 0 refused\n")
    assert done.stderr.startswith("They go on with the bridge's next look. ")
    (waiting,) = entries(spool, Queue.INBOUND)
    assert isinstance(waiting.message, SpooledLetter)
    assert waiting.message.message == queued(1)["Message"]
    assert waiting.queued_at.isoformat() == "2026-01-27T18:00:00.123456+00:00"
    assert (waiting.priority, waiting.attempts) == (VIP, 2)
    assert (waiting.last_attempt, waiting.error) == (None, None)
    letters = entries(spool, Queue.DEAD_LETTER)
    assert {one.message.message["id"] for one in letters} == {"msg-2", "msg-3"}
    assert {(one.queue, one.error) for one in letters} == {(Queue.OUTBOUND, "no such agent")}
    assert spool.files(Queue.OUTBOUND) == []
    assert {file: file.read_bytes() for file in queues.iterdir()} == before


def test_a_bridge_that_runs_is_asked_to_send_them_on(
    run: Run, bridge: FakeBridge, spool: Spool, queues: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_SPOOL_DIR", str(spool.folder))
    write(queues, Queue.OUTBOUND, [queued(1)])
    done = run("spool", "import", queues)
    assert (done.stdout, bridge.drains) == ("1 new, 0 known, 0 refused\n", 1)
    assert done.stderr == "3 went on, 0 left, 0 to the dead letters.\n"
    run("spool", "import", queues)
    assert bridge.drains == 1  # of nothing new


def test_an_import_that_was_interrupted_can_be_run_again(
    run: Run, spool: Spool, queues: Path
) -> None:
    no_time = queued(2, QueuedAt="0001-01-01T00:00:00Z")
    write(queues, Queue.OUTBOUND, [queued(1), no_time])
    write(queues, Queue.DEAD_LETTER, [queued(1)])
    assert run("spool", "import", queues).stdout == "3 new, 0 known, 0 refused\n"
    write(queues, Queue.OUTBOUND, [queued(1), no_time, queued(1), queued(3)])
    again = run("spool", "import", queues, "-o", "json")
    assert json.loads(again.stdout) == {"new": 1, "known": 4, "refused": 0, "problems": []}
    assert [len(spool.files(queue)) for queue in Queue] == [0, 3, 1]


def test_an_import_that_is_killed_is_gone_on_with(
    process: Callable[..., "subprocess.CompletedProcess[str]"], spool: Spool, queues: Path
) -> None:
    write(queues, Queue.OUTBOUND, [queued(number) for number in range(500)])
    with subprocess.Popen(
        [sys.executable, "-m", "mailroom.cli.main", "spool", "import", str(queues)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdout=subprocess.PIPE,
    ) as importing:
        while len(spool.files(Queue.OUTBOUND)) < 20:
            assert importing.poll() is None
        importing.kill()
    done = len(spool.files(Queue.OUTBOUND))
    assert done < 500
    again = process("spool", "import", queues)
    assert (again.returncode, again.stdout) == (0, f"{500 - done} new, {done} known, 0 refused\n")
    letters = [one.message.message["id"] for one in entries(spool, Queue.OUTBOUND)]
    assert sorted(letters) == sorted(f"msg-{number}" for number in range(500))


def test_a_dead_letter_that_was_taken_over_goes_back_to_outbound(
    run: Run, spool: Spool, queues: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_PORT", "9")
    monkeypatch.setenv("MAILROOM_TOKEN", "any")
    write(queues, Queue.DEAD_LETTER, [queued(1)])
    run("spool", "import", queues)
    assert run("spool", "replay", "--all").exit_code == 0
    (again,) = entries(spool, Queue.OUTBOUND)
    assert (again.attempts, again.error) == (0, None)
    assert run("spool", "import", queues).stdout == "0 new, 1 known, 0 refused\n"


def test_names_are_read_in_any_case_and_others_are_ignored(
    run: Run, spool: Spool, queues: Path
) -> None:
    write(
        queues,
        Queue.OUTBOUND,
        [
            {"MESSAGE": {"ID": "a", "Priority": "URGENT"}, "attempts": 7, "queuedat": None},
            {"message": {"priority": "low"}, "Retries": [1], "error": None},
            {"message": {"priority": "whenever"}},
        ],
    )
    assert run("spool", "import", queues).exit_code == 0
    found = entries(spool, Queue.OUTBOUND)
    assert [one.priority for one in found] == [URGENT, NORMAL, LATER]
    assert found[0].attempts == 7
    assert found[0].message.message == {"ID": "a", "Priority": "URGENT"}


BAD = [
    (None, "It is no object with a Message."),
    ("a letter", "It is no object with a Message."),
    ({}, "It has no Message."),
    ({"Message": None}, "It has no Message."),
    ({"Message": "text"}, "Message: Input should be a valid dictionary."),
    (queued(1, Attempts="2"), "Attempts: Input should be a valid integer."),
    (queued(1, Attempts=-1), "Attempts: Input should be greater than or equal to 0."),
    (queued(1, Attempts=True), "Attempts: Input should be a valid integer."),
    (queued(1, QueuedAt=5), "QueuedAt: it is no time in the form 2026-03-01T10:00:00Z."),
    (queued(1, QueuedAt="0500-01-01T00:00:00Z"), "QueuedAt: the year 500 is no year of a letter."),
    (queued(1, Error={"no": "text"}), "Error: Input should be a valid string."),
    ({"Message": {"n": "NUMBER"}}, "Message: a number in it is too large."),
    ({"Message": {"deep": "NESTED"}}, f"It is nested deeper than {DEPTH} levels."),
    (
        {"Message": {"body": "x" * 2_000}},
        "It is larger than 2,000 bytes (MAILROOM_MAX_MESSAGE_BYTES).",
    ),
]


def test_what_is_no_letter_is_named_and_the_rest_is_taken(
    run: Run, spool: Spool, queues: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_MAX_MESSAGE_BYTES", "2000")
    raw = json.dumps([queued(0), *(item for item, _ in BAD), queued(9)])
    raw = raw.replace('"NUMBER"', "1e999").replace('"NESTED"', "[" * 100_000 + "]" * 100_000)
    file = write(queues, Queue.INBOUND, raw.encode())
    done = run("spool", "import", queues, "-o", "json")
    assert done.exit_code == 1
    summary = json.loads(done.stdout)
    assert (summary["new"], summary["refused"]) == (2, len(BAD))
    assert summary["problems"] == [
        {"source": f"{file}, entry {number}", "detail": detail}
        for number, (_, detail) in enumerate(BAD, 2)
    ]
    assert len(done.stderr.splitlines()) == len(BAD) + 1
    assert len(spool.files(Queue.INBOUND)) == 2


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "It is no valid JSON; nothing more of it was read."),
        (b"From: a mail", "It is no valid JSON; nothing more of it was read."),
        (b"\x00" * 1000, "It is no valid JSON; nothing more of it was read."),
        (b"\xff\xfe[\x00]\x00", "It is no valid JSON; nothing more of it was read."),
        (b'{"Message": {}}', "It is no JSON array of queued letters."),
        (b'"text"', "It is no JSON array of queued letters."),
        (b'[{"Message": {"id": "a"}}, {"Mess', "It is no valid JSON after entry 1; nothing more"),
        (b'[{"Message": {"id": "\xff"}}]', "It is no valid JSON; nothing more of it was read."),
        (b'[{"Message": {"n": ' + b"9" * 9_000 + b"}}]", "It is no valid JSON; nothing more"),
    ],
)
def test_a_file_that_is_no_queue_does_not_stop_the_others(
    run: Run, spool: Spool, queues: Path, content: bytes, detail: str
) -> None:
    file = write(queues, Queue.INBOUND, content)
    write(queues, Queue.OUTBOUND, [queued(1)])
    done = run("spool", "import", queues)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{file}: {detail}")
    assert len(spool.files(Queue.OUTBOUND)) == 1


@pytest.mark.parametrize("content", [b"null", b"[]", b" [ ]\n"])
def test_an_empty_queue_is_no_problem(run: Run, spool: Spool, queues: Path, content: bytes) -> None:
    write(queues, Queue.INBOUND, content)
    done = run("spool", "import", queues)
    assert (done.exit_code, done.stdout) == (0, "0 new, 0 known, 0 refused\n")
    assert done.stderr == ""


def test_a_folder_without_any_of_the_files_is_said(run: Run, spool: Spool, queues: Path) -> None:
    for folder in (queues, queues / "missing"):
        done = run("spool", "import", folder)
        assert (done.exit_code, done.stdout) == (3, "")
        assert "has none of inbound.json, outbound.json, dead-letter.json" in done.stderr
    (queues / "inbound.json").mkdir()
    assert "It is no file." in run("spool", "import", queues).stderr


def test_a_large_file_is_never_held_as_a_whole(queues: Path) -> None:
    with (queues / "inbound.json").open("w") as file:
        file.write("[" + ",".join(json.dumps(queued(n, Error="x" * 6_000)) for n in range(2_000)))
        file.write(
            ',{"Message":{"body":"' + "y" * 100_000 + '","zeros":[' + "0," * 200_000 + "0]}}]"
        )
    tracemalloc.start()
    found = [bool(item.problem) for item in items_in(queues / "inbound.json", LIMIT)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(found), sum(found)) == (2_001, 1)
    assert peak < 4_000_000  # of 13 MB; ijson reads 64 KiB at once


def test_brackets_alone_take_no_memory(queues: Path) -> None:
    (queues / "inbound.json").write_bytes(b"[" * 500_000)
    tracemalloc.start()
    (item,) = items_in(queues / "inbound.json", LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert item.problem == "It is no valid JSON; nothing more of it was read."
    assert peak < 10_000_000  # by ijson's items it is more than 100 GB
