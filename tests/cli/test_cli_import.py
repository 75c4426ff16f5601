"""`mailroom email import`: .eml, mbox and Maildir, byte by byte."""

import json
import mailbox
from email.message import EmailMessage
from pathlib import Path

import pytest
from fake_bridge import FakeBridge, Run

from mailroom.adapters.settings import load_settings
from mailroom.adapters.spool.spool import Spool
from mailroom.cli import importing
from mailroom.cli.keeping import keep_of
from mailroom.cli.mail_files import mails_in
from mailroom.models.spool import NORMAL, Queue

LIMIT = 1 << 20
CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
DATE = b"Thu Nov 20 10:00:00 2025"


def letter(number: int, text: str = "Hello\n") -> bytes:
    message = EmailMessage()
    message["From"] = "john@example.com"
    message["Message-ID"] = f"<{number}@example.com>"
    message.set_content(text)
    return message.as_bytes()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "WAITS", (0.01, 0.01))


def raws(path: Path, limit: int = LIMIT) -> list[bytes]:
    return [found.raw for found in mails_in(path, limit)]


def test_eml_files_arrive_unchanged(run: Run, bridge: FakeBridge, tmp_path: Path) -> None:
    contents = [letter(1), letter(2).replace(b"\n", b"\r\n"), b"From me to you\n>From here\n\n"]
    files = [tmp_path / f"{number}.eml" for number in range(3)]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    done = run("email", "import", *files)
    assert (done.exit_code, done.stdout) == (0, "3 new, 0 known, 0 refused\n")
    assert sorted(bridge.posted) == sorted(contents)
    assert done.stderr == ""  # a bar is for terminals


def test_a_second_import_finds_all_known(run: Run, bridge: FakeBridge, tmp_path: Path) -> None:
    (tmp_path / "1.eml").write_bytes(letter(1))
    run("email", "import", tmp_path / "1.eml")
    again = run("email", "import", tmp_path / "1.eml", "-o", "json")
    assert json.loads(again.stdout) == {
        "new": 0,
        "known": 1,
        "refused": 0,
        "kept": 0,
        "problems": [],
    }


def test_a_maildir_gives_its_new_and_read_mails(
    run: Run, bridge: FakeBridge, tmp_path: Path
) -> None:
    box = mailbox.Maildir(tmp_path / "Mail")
    read = mailbox.MaildirMessage(letter(1))
    read.set_subdir("cur")
    read.set_flags("S")
    box.add(read)
    box.add(letter(2))
    assert run("email", "import", tmp_path / "Mail").stdout == "2 new, 0 known, 0 refused\n"
    assert sorted(bridge.posted) == [letter(1), letter(2)]


def test_an_mbox_of_the_standard_library_comes_apart(tmp_path: Path) -> None:
    texts = ("Hello\n", "From the start\n>From quoted\n", "Bye\n\n\n")
    letters = [letter(number, text) for number, text in enumerate(texts)]
    box = mailbox.mbox(tmp_path / "inbox")
    for content in letters:
        box.add(content)
    box.flush()
    first, second, third = raws(tmp_path / "inbox")
    assert (first, third) == (letters[0], letters[2])
    # The standard library quotes as mboxo did: what had a ">" before can't be told apart.
    assert second == letters[1].replace(b">From quoted", b"From quoted")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_an_mboxrd_keeps_what_was_quoted_in_the_letter(tmp_path: Path, end: bytes) -> None:
    body = end.join([b"Subject: x", b"", b">From a", b">>From b", b"> From c", b"x >From d", b""])
    (tmp_path / "box").write_bytes(b"From jo@example.com " + DATE + end + body + end)
    wanted = end.join([b"Subject: x", b"", b"From a", b">From b", b"> From c", b"x >From d", b""])
    assert raws(tmp_path / "box") == [wanted]


def test_prose_that_begins_with_from_is_no_separator(tmp_path: Path) -> None:
    content = b"Subject: x\n\nDear all,\n\nFrom now on we meet on 2 May 2025.\nFrom me\n"
    (tmp_path / "box").write_bytes(b"From - " + DATE + b"\n" + content + b"\n")
    assert raws(tmp_path / "box") == [content]


def test_separators_of_several_programs(tmp_path: Path) -> None:
    separators = (
        b"From jo@example.com Thu Nov 20 10:00:00 2025",
        b"From - Thu Nov 20 10:00:00 2025",
        b"From 1849@xxx Thu Nov 20 10:00:00 +0000 2025",
        b'From "Jo Doe"@example.com  Thu Nov  6 10:00 CET 2025',
        b"From 0123abcd Mon Sep 17 00:00:00 2001",
    )
    box = b"".join(line + b"\nSubject: x\n\nHello\n\n" for line in separators)
    (tmp_path / "box").write_bytes(box)
    assert raws(tmp_path / "box") == [b"Subject: x\n\nHello\n"] * len(separators)


def test_a_mail_above_the_limit_is_named_and_not_read(
    run: Run, bridge: FakeBridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_MAX_MESSAGE_BYTES", "1000")
    separator = b"From jo@example.com " + DATE + b"\n"
    mails = (letter(1), letter(2, "x" * 2_000), letter(3))
    (tmp_path / "box").write_bytes(b"".join(separator + mail + b"\n" for mail in mails))
    (tmp_path / "large.eml").write_bytes(letter(4, "y" * 2_000))
    done = run("email", "import", tmp_path / "box", tmp_path / "large.eml")
    assert (done.exit_code, done.stdout) == (1, "2 new, 0 known, 2 refused\n")
    assert f"{tmp_path / 'box'}, mail 2: It is larger than 1,000 bytes" in done.stderr
    assert sorted(bridge.posted) == [letter(1), letter(3)]


def test_one_bad_file_does_not_stop_the_others(
    run: Run, bridge: FakeBridge, tmp_path: Path
) -> None:
    (tmp_path / "good.eml").write_bytes(letter(1))
    (tmp_path / "bad.eml").write_bytes(b"Subject: refuse-me\n\n")
    (tmp_path / "folder").mkdir()
    files = [tmp_path / name for name in ("missing.eml", "bad.eml", "folder", "good.eml")]
    done = run("email", "import", *files, "-o", "json")
    assert done.exit_code == 1
    summary = json.loads(done.stdout)
    assert (summary["new"], summary["refused"]) == (1, 3)
    problems = {Path(problem["source"]).name: problem["detail"] for problem in summary["problems"]}
    assert problems == {
        "missing.eml": "No such file or directory.",
        "bad.eml": "A mail may have 10 bytes at most.",
        "folder": "This folder is no Maildir: it has no `new` and `cur`.",
    }


def test_a_busy_bridge_is_asked_again(run: Run, bridge: FakeBridge, tmp_path: Path) -> None:
    (tmp_path / "1.eml").write_bytes(b"Subject: busy-once\n\n")
    assert run("email", "import", tmp_path / "1.eml").stdout == "1 new, 0 known, 0 refused\n"


def test_without_a_bridge_it_ends_at_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MAILROOM_TOKEN", "any")
    for number in range(20):
        (tmp_path / f"{number}.eml").write_bytes(letter(number))
    done = run("email", "import", *tmp_path.glob("*.eml"))
    assert (done.exit_code, done.stdout) == (3, "0 new, 0 known, 0 refused\n")
    assert done.stderr.startswith("Mailroom isn't running")


def test_while_the_bridge_is_down_mail_is_kept_in_its_spool(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_PORT", "9")
    monkeypatch.setenv("MAILROOM_TOKEN", "any")
    spool = Spool(tmp_path / "data" / "spool")
    for number in range(20):
        (tmp_path / f"{number}.eml").write_bytes(letter(number))
    (tmp_path / "folder").mkdir()
    done = run("email", "import", *tmp_path.glob("*.eml"), tmp_path / "folder")
    assert (done.exit_code, done.stdout) == (1, "0 new, 0 known, 1 refused, 20 kept\n")
    assert "The kept ones go on by themselves" in done.stderr
    kept = [spool.read(Queue.INBOUND, file) for file in spool.files(Queue.INBOUND)]
    assert {entry.priority for entry in kept} == {NORMAL}
    arrivals = sorted(entry.message.arrival.raw for entry in kept)
    assert arrivals == sorted(letter(number) for number in range(20))
    assert {entry.message.arrival.sender for entry in kept} == {None}


def test_a_mail_that_the_bridge_keeps_is_counted_as_kept(
    run: Run, bridge: FakeBridge, tmp_path: Path
) -> None:
    (tmp_path / "1.eml").write_bytes(b"Subject: keep-me\n\n")
    (tmp_path / "2.eml").write_bytes(letter(2))
    done = run("email", "import", tmp_path / "1.eml", tmp_path / "2.eml")
    assert (done.exit_code, done.stdout) == (0, "1 new, 0 known, 0 refused, 1 kept\n")


@pytest.mark.parametrize(
    "url", ["https://mail.example.invalid", "http://192.0.2.1:8003", "http://["]
)
def test_a_spool_here_is_not_taken_for_that_of_a_bridge_elsewhere(url: str, tmp_path: Path) -> None:
    Spool(tmp_path / "data" / "spool")
    here = {"mailroom_data_dir": tmp_path / "data"}
    assert keep_of(load_settings(**here, mailroom_url=url)) is None
    assert keep_of(load_settings(**here, mailroom_url="http://[::1]:8003"))
    meant = {"mailroom_spool_dir": tmp_path / "data" / "spool", "mailroom_url": url}
    assert keep_of(load_settings(**meant))
    # An image has an empty folder, which nobody looks into.
    (tmp_path / "empty").mkdir()
    assert keep_of(load_settings(mailroom_spool_dir=tmp_path / "empty")) is None


def test_a_few_mails_are_on_their_way_at_once(run: Run, bridge: FakeBridge, tmp_path: Path) -> None:
    separator = b"From jo@example.com " + DATE + b"\n"
    (tmp_path / "box").write_bytes(b"".join(separator + letter(n) + b"\n" for n in range(40)))
    assert run("email", "import", tmp_path / "box").stdout == "40 new, 0 known, 0 refused\n"
    assert 2 <= bridge.at_once <= importing.AT_ONCE


def test_a_large_mbox_is_never_held_as_a_whole(tmp_path: Path) -> None:
    import tracemalloc

    separator = b"From jo@example.com " + DATE + b"\n"
    with (tmp_path / "box").open("wb") as box:
        for number in range(300):
            box.write(separator + letter(number, "x" * 60 + "\n") + b"y" * 100_000 + b"\n\n")
    tracemalloc.start()
    count = sum(1 for _ in mails_in(tmp_path / "box", LIMIT))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 300
    assert peak < 3_000_000  # of 30 MB


@pytest.mark.skipif(not CORPORA.is_dir(), reason=f"{CORPORA} is not there")
def test_the_corpora_arrive_unchanged(run: Run, bridge: FakeBridge) -> None:
    files = [file for file in CORPORA.rglob("*.eml") if file.stat().st_size]
    done = run("email", "import", *files)
    assert done.exit_code == 0
    assert sorted(bridge.posted) == sorted(file.read_bytes() for file in files)
