"""`mailroom spool`: on a real folder, beside a bridge and without one."""

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_bridge import FakeBridge, Run
from rich.console import Console

from mailroom.adapters.spool.locks import Mode
from mailroom.adapters.spool.spool import PARTS, Spool
from mailroom.cli import draining
from mailroom.cli.spooled import Row, _table
from mailroom.models.receipts import Receipt, TextStatus
from mailroom.models.spool import (
    LATER,
    NORMAL,
    URGENT,
    Entry,
    Kind,
    Message,
    Queue,
    SpooledLetter,
    SpooledMail,
    SpooledReceipt,
    SpooledText,
)

NOW = datetime.now(UTC)
RAW = (
    b"From: John \x1b[31mDoe <john@example.com>\r\nTo: me@example.org\r\nSubject: Lunch\x07?\r\n"
    b"Date: Sun, 1 Mar 2026 10:00:00 +0000\r\n\r\nAre you in? \x1b]0;gotcha\x07\r\n"
)
MAIL = SpooledMail(raw=RAW, sender="john@example.com", recipients=("me@example.org",))
TEXT = SpooledText(owner="owner", number="+12025550123", body="1 K7M4", provider_id="sms-1")
LETTER = SpooledLetter(message={"id": "msg-1", "from": "mayor/", "body": "Go\x1b[2J", "read": True})
CLOSED = {"open": False, "since": "2026-03-01T10:00:00Z", "why": "Temporal does not\x1b[1m answer."}


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Where the settings of these tests look."""
    return Spool(tmp_path / "data" / "spool")


@pytest.fixture
def no_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILROOM_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MAILROOM_TOKEN", "any")


def entry(message: Message = MAIL, start: str = "", minutes: int = 0, **more: Any) -> Entry:
    """An entry that waits for `minutes`, whose ID begins with `start`."""
    made = Entry(
        queue=more.pop("queue", Queue.INBOUND),
        priority=more.pop("priority", NORMAL),
        # Of this very moment, however long the other tests took.
        queued_at=datetime.now(UTC) - timedelta(minutes=minutes),
        message=message,
        **more,
    )
    return made.model_copy(update={"id": start + made.id[len(start) :]})


def kept(spool: Spool, *entries: Entry) -> None:
    for one in entries:
        spool.append(one)


def dead(spool: Spool, one: Entry, why: str = "It is for nobody here.") -> Entry:
    spool.append(one)
    failed = one.failed(why, NOW)
    spool.move(failed, one.queue, Queue.DEAD_LETTER)
    return failed


def listed(run: Run, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("spool", "list", *words, "-o", "json").stdout)
    return found


# --- Where it is


@pytest.mark.parametrize(
    "words",
    [("status",), ("list",), ("show", "3f"), ("replay", "3f"), ("verify",), ("import", ".")],
)
def test_without_a_spool_one_sentence_says_where_it_would_be(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    # As an image has it: a folder that nobody has used is no spool.
    (tmp_path / "data" / "spool").mkdir(parents=True)
    ended = run("spool", *words)
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr.startswith("Mailroom has not run here yet")
    monkeypatch.setenv("MAILROOM_URL", "https://mail.example.org")
    ended = run("spool", *words)
    assert ended.exit_code == 3
    assert "is on the machine of the bridge at https://mail.example.org" in ended.stderr
    assert list((tmp_path / "data" / "spool").iterdir()) == []


def test_a_queue_that_another_process_holds_is_said(
    process: Callable[..., "subprocess.CompletedProcess[str]"],
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAILROOM_SPOOL_LOCK_SECONDS", "0.2")
    with spool._locks[Queue.OUTBOUND].held(Mode.WRITE):
        ended = process("spool", "list")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Another process has held the spool's queue outbound")
    assert len(ended.stderr.splitlines()) == 1
    assert process("spool", "list").returncode == 0


# --- status


def test_status_counts_by_queue_and_kind(run: Run, bridge: FakeBridge, spool: Spool) -> None:
    kept(spool, entry(minutes=90), entry(minutes=30, priority=URGENT), entry(TEXT, minutes=5))
    dead(spool, entry(TEXT, minutes=500))
    shown = run("spool", "status")
    assert (shown.exit_code, shown.stderr) == (0, "")
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert rows[1:5] == [
        ["inbound", "mail", "2", "1", "h"],
        ["inbound", "text", "1", "5", "min"],
        ["outbound", "0"],
        ["dead-letter", "text", "1", "8", "h"],
    ]
    assert shown.stdout.endswith("\nThe way on is open.\n")


def test_status_says_since_when_the_way_is_closed_and_why(
    run: Run, bridge: FakeBridge, spool: Spool
) -> None:
    bridge.spool = CLOSED
    shown = run("spool", "status").stdout
    assert "The way on is closed since 2026-03-01 " in shown
    assert shown.endswith(": Temporal does not[1m answer.\n")
    data = json.loads(run("spool", "status", "-o", "json").stdout)
    assert (data["open"], data["since"]) == (False, "2026-03-01T10:00:00+00:00")


def test_status_works_while_the_bridge_is_down(run: Run, no_bridge: None, spool: Spool) -> None:
    one = entry(LETTER)
    kept(spool, one)
    shown = run("spool", "status")
    assert shown.exit_code == 0
    assert "\nMailroom isn't running at http://127.0.0.1:9;" in shown.stdout
    data = json.loads(run("spool", "status", "-o", "json").stdout)
    assert data["queues"] == {"inbound": {"letter": 1}, "outbound": {}, "dead-letter": {}}
    assert datetime.fromisoformat(data["oldest"]) == one.queued_at
    assert data["open"] is None
    assert data["why"].startswith("Mailroom isn't running")


def test_status_says_when_something_else_answers(
    run: Run, bridge: FakeBridge, spool: Spool
) -> None:
    bridge.spool = {"spools": "none"}
    shown = run("spool", "status")
    assert (shown.exit_code, "no bridge of this Mailroom" in shown.stdout) == (0, True)


# --- list


def test_the_list_is_in_the_order_in_which_entries_go_on(
    run: Run, no_bridge: None, spool: Spool
) -> None:
    entries = [
        entry(TEXT, priority=URGENT, minutes=1),
        entry(minutes=9),
        entry(minutes=3),
        entry(priority=LATER, minutes=99),
        entry(LETTER, queue=Queue.OUTBOUND),
    ]
    kept(spool, *reversed(entries))
    assert [row["id"] for row in listed(run)] == [one.id for one in entries]
    assert [row["id"] for row in listed(run, "outbound")] == [entries[-1].id]
    assert [row["kind"] for row in listed(run, "--kind", "letter", "--kind", "text")] == [
        "text",
        "letter",
    ]
    some = run("spool", "list", "-n", "2")
    assert [line[:8] for line in some.stdout.splitlines()[1:]] == [e.id[:8] for e in entries[:2]]
    assert some.stderr == "2 of 5; -n shows more.\n"


def test_dead_letters_are_listed_with_their_reason(run: Run, spool: Spool) -> None:
    one = dead(spool, entry(), "Nobody\x1b[31m takes it.\nNever.")
    shown = run("spool", "list", "dead-letter").stdout.splitlines()
    assert len(shown) == 2
    assert shown[1].endswith("Nobody[31m takes it. Never.")
    (row,) = listed(run, "dead-letter")
    assert (row["attempts"], row["error"]) == (1, one.error)
    assert row["size"] == spool.path(Queue.DEAD_LETTER, one.name.file).stat().st_size


def test_a_damaged_entry_is_listed_as_such(run: Run, spool: Spool) -> None:
    one = entry()
    kept(spool, one)
    file = spool.path(Queue.INBOUND, one.name.file)
    file.write_bytes(file.read_bytes().replace(b"john", b"jane", 1))
    shown = run("spool", "list")
    assert shown.exit_code == 0
    assert "damaged: its checksum is wrong" in shown.stdout


def test_an_empty_spool_says_so(run: Run, spool: Spool) -> None:
    shown = run("spool", "list")
    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "", "Nothing waits here.\n")
    assert listed(run) == []
    assert run("spool", "list", "inbox").exit_code == 2
    assert run("spool", "list", "--kind", "parcel").exit_code == 2


def test_the_list_fits_80_columns() -> None:
    row = Row(
        id="3f2a" * 8,
        queue=Queue.DEAD_LETTER,
        kind=Kind.RECEIPT,
        priority=NORMAL,
        queued_at=NOW - timedelta(days=300),
        attempts=100,
        error="Temporal refused it, and will refuse it again: none of its recipients is an owner",
        size=25_000_000,
    )
    terminal = Console(width=80, record=True)
    terminal.print(_table([row], with_queue=True))
    lines = terminal.export_text().splitlines()
    assert " ".join(lines[1].split()).startswith(
        "3f2a3f2a dead-letter receipt 3 300 days 100 25.0 MB Temporal"
    )
    assert max(map(len, lines)) <= 80
    assert "".join(lines).replace(" ", "").count("owner") == 1


# --- show


def test_a_mail_is_shown_without_what_steers_a_terminal(run: Run, spool: Spool) -> None:
    one = dead(spool, entry(start="3f2a"))
    shown = run("spool", "show", "3F2A")
    assert shown.exit_code == 0
    assert "\x1b" not in shown.stdout
    assert "\x07" not in shown.stdout
    fields = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    for wanted in (
        f"ID {one.id}",
        "Queue dead-letter, from inbound",
        "Attempts 1",
        "Error It is for nobody here.",
        "Envelope <john@example.com> to me@example.org",
        "To me@example.org",
        "Subject Lunch?",
        "Are you in? ]0;gotcha",
    ):
        assert wanted in fields
    data = json.loads(run("spool", "show", "3f2a", "-o", "json").stdout)
    assert (data["queue_now"], data["mail"]["subject"]) == ("dead-letter", "Lunch?")
    assert "raw" not in data["message"]


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (TEXT, "1 K7M4"),
        (LETTER, "from mayor/"),
        (LETTER, "Go[2J"),
        (LETTER, "read true"),
        (
            SpooledReceipt(
                receipt=Receipt(
                    provider_id="sms-1",
                    status=TextStatus.UNDELIVERED,
                    status_at=NOW,
                    error_code="30003",
                )
            ),
            "Error code 30003",
        ),
        (
            SpooledMail(raw=b"", sender="", recipients=("a@b.example",)),
            "Envelope <> to a@b.example",
        ),
        (
            SpooledMail(raw=b"\x00\xff", sender=None, recipients=()),
            "Envelope none: it was imported",
        ),
    ],
)
def test_every_kind_is_shown(run: Run, spool: Spool, message: Message, wanted: str) -> None:
    kept(spool, entry(message, start="0a"))
    shown = run("spool", "show", "0a")
    assert shown.exit_code == 0
    assert wanted in [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert json.loads(run("spool", "show", "0a", "-o", "json").stdout)["message"]["kind"]


def test_raw_writes_the_mail_byte_by_byte(run: Run, spool: Spool) -> None:
    kept(spool, entry(start="01"), entry(TEXT, start="02"))
    assert run("spool", "show", "01", "--raw").stdout_bytes == RAW
    refused = run("spool", "show", "02", "--raw")
    assert (refused.exit_code, refused.stdout) == (4, "")
    assert "is no mail but a text" in refused.stderr


def test_what_an_id_begins_with_has_to_say_which(run: Run, spool: Spool) -> None:
    first, second = entry(start="aa01"), entry(start="aa02", queue=Queue.OUTBOUND)
    kept(spool, first, second)
    several = run("spool", "show", "aa")
    assert several.exit_code == 4
    assert first.id in several.stderr
    assert second.id in several.stderr
    for unknown in ("ab", "../../etc/passwd", "", "a" * 33):
        none = run("spool", "show", unknown)
        assert (none.exit_code, len(none.stderr.splitlines())) == (3, 1)


def test_a_damaged_entry_cannot_be_shown(run: Run, spool: Spool) -> None:
    one = entry(start="aa")
    kept(spool, one)
    spool.path(Queue.INBOUND, one.name.file).write_bytes(b"{}")
    ended = run("spool", "show", "aa")
    assert ended.exit_code == 1
    assert one.name.file in ended.stderr


# --- drain


def test_drain_asks_the_bridge_from_anywhere(run: Run, bridge: FakeBridge) -> None:
    done = run("spool", "drain")
    assert (done.exit_code, bridge.drains) == (0, 1)
    assert done.stdout == "3 went on, 0 left, 0 to the dead letters\n"
    assert json.loads(run("spool", "drain", "-o", "json").stdout) == bridge.drained


def test_a_drain_that_lasts_is_looked_at_meanwhile(
    run: Run, bridge: FakeBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "LOOK_SECONDS", 0.01)
    bridge.drain_until_looked_at = True
    assert run("spool", "drain").exit_code == 0
    assert bridge.looked.is_set()


def test_a_drain_with_the_way_closed_says_why_and_fails(run: Run, bridge: FakeBridge) -> None:
    bridge.drained = {"forwarded": 0, "left": 7, "dead": 0}
    bridge.spool = CLOSED
    done = run("spool", "drain")
    assert (done.exit_code, done.stdout) == (1, "0 went on, 7 left, 0 to the dead letters\n")
    assert "The way on is closed since" in done.stderr


def test_letters_that_are_left_are_no_failure(run: Run, bridge: FakeBridge) -> None:
    bridge.drained = {"forwarded": 2, "left": 7, "dead": 0}
    assert run("spool", "drain").exit_code == 0


def test_a_drain_without_a_bridge_ends_at_once(run: Run, no_bridge: None, spool: Spool) -> None:
    done = run("spool", "drain")
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith("Mailroom isn't running at http://127.0.0.1:9")


# --- replay


def test_a_dead_letter_goes_back_and_on(run: Run, bridge: FakeBridge, spool: Spool) -> None:
    one, other = dead(spool, entry(start="3f2a")), dead(spool, entry(start="3f2b"))
    done = run("spool", "replay", "3f2a")
    assert done.exit_code == 0
    assert done.stdout == "1 put back; 3 went on, 0 left, 0 to the dead letters\n"
    assert bridge.drains == 1
    assert spool.read(Queue.INBOUND, one.name.file) == one.again()
    assert spool.files(Queue.DEAD_LETTER) == [other.name.file]


def test_all_dead_letters_go_back_while_the_bridge_is_down(
    run: Run, no_bridge: None, spool: Spool
) -> None:
    ways = [entry(), entry(LETTER, queue=Queue.OUTBOUND), entry(TEXT)]
    for one in ways:
        dead(spool, one)
    done = run("spool", "replay", "--all")
    assert (done.exit_code, done.stdout) == (0, "3 put back\n")
    assert done.stderr == "Mailroom isn't running; they go on when it does.\n"
    assert [len(spool.files(queue)) for queue in Queue] == [2, 1, 0]


def test_what_cannot_go_back_stays_and_is_named(run: Run, no_bridge: None, spool: Spool) -> None:
    damaged, nowhere = dead(spool, entry(start="aa")), entry(start="bb", queue=Queue.DEAD_LETTER)
    dead(spool, entry(start="cc"))
    kept(spool, nowhere)
    spool.path(Queue.DEAD_LETTER, damaged.name.file).write_bytes(b"{}")
    done = run("spool", "replay", "--all", "-o", "json")
    assert done.exit_code == 1
    data = json.loads(done.stdout)
    assert (data["replayed"], len(data["problems"]), data["drained"]) == (1, 2, None)
    left = {damaged.name.file, nowhere.name.file}
    assert set(spool.files(Queue.DEAD_LETTER)) == left


def test_replay_touches_nothing_unless_all_are_found(
    run: Run, bridge: FakeBridge, spool: Spool
) -> None:
    one = dead(spool, entry(start="aa"))
    kept(spool, entry(start="bb"))
    done = run("spool", "replay", "aa", "bb")
    assert (done.exit_code, done.stdout, bridge.drains) == (3, "", 0)
    assert "no dead letter whose ID begins with bb" in done.stderr
    assert spool.files(Queue.DEAD_LETTER) == [one.name.file]
    assert run("spool", "replay").exit_code == 2
    assert run("spool", "replay", "aa", "--all").exit_code == 2


def test_replaying_the_same_one_twice_at_once_keeps_it_once(
    process: Callable[..., "subprocess.CompletedProcess[str]"], run: Run, spool: Spool
) -> None:
    """A half-done replay is in both queues; done again it is in one."""
    one = dead(spool, entry(start="aa"))
    kept(spool, one.again())
    assert process("spool", "replay", "aa").returncode == 0
    assert spool.files(Queue.INBOUND) == [one.name.file]
    assert spool.files(Queue.DEAD_LETTER) == []


def test_nobody_adds_what_the_bridge_cannot_read(
    run: Run, no_bridge: None, spool: Spool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = dead(spool, entry(start="aa"))
    (tmp_path / "inbound.json").write_text('[{"Message": {"id": "a"}}]')
    (tmp_path / "1.eml").write_bytes(RAW)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    for words in (
        ("spool", "replay", "aa"),
        ("spool", "import", tmp_path),
        ("email", "import", tmp_path / "1.eml"),
    ):
        ended = run(*words)
        assert ended.exit_code == 1
        assert "; use this command as that user" in ended.stderr
    assert [spool.files(queue) for queue in Queue] == [[], [], [one.name.file]]
    assert run("spool", "show", "aa").exit_code == 0


# --- verify


def test_verify_lists_what_is_wrong_and_deletes_nothing(run: Run, spool: Spool) -> None:
    kept(spool, entry(), entry(TEXT), entry(LETTER, queue=Queue.OUTBOUND))
    clean = run("spool", "verify")
    assert clean.exit_code == 0
    assert clean.stdout == "All 3 entries are as they were written.\n"
    one = entry()
    kept(spool, one)
    damaged = spool.path(Queue.INBOUND, one.name.file)
    damaged.write_bytes(damaged.read_bytes()[:-20])
    (spool.folder / Queue.OUTBOUND / "notes\x1b[31m.txt").write_text("mine")
    (spool.folder / PARTS / f"0-0-{one.name.file}").write_text("half")
    before = {file: file.read_bytes() for file in spool.folder.rglob("*") if file.is_file()}
    found = run("spool", "verify")
    assert found.exit_code == 1
    assert "\x1b" not in found.stdout
    lines = found.stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["half-written", "damaged", "foreign"]
    data = json.loads(run("spool", "verify", "-o", "json").stdout)
    assert (data["entries"], len(data["faults"])) == (4, 3)
    after = {file: file.read_bytes() for file in spool.folder.rglob("*") if file.is_file()}
    assert after == before
