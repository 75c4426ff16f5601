"""Letters to commands: real small scripts, some of them with bad manners."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from letter_world import SENT_AT, a_letter
from structlog.testing import capture_logs
from world import eventually

from mailroom.adapters import command_hook
from mailroom.adapters.command_hook import CommandHook, run_hooks
from mailroom.ports import Permanent, Transient

Script = Callable[[str], list[str]]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """A command of that body, which has the folder of its files as an argument."""

    def write(body: str) -> list[str]:
        file = tmp_path / "hook with a space"
        file.write_text(f'#!/bin/sh\ncd "$1"\n{body}\n')
        file.chmod(0o755)
        return [str(file), str(tmp_path)]

    return write


async def test_a_command_gets_the_letter_and_what_it_is_about(
    script: Script, tmp_path: Path
) -> None:
    letter = a_letter()
    await CommandHook().deliver(script("cat >letter; env >environment"), letter)
    assert json.loads((tmp_path / "letter").read_text()) == {
        "id": letter.id,
        "from": "mayor/",
        "to": "rig/worker",
        "subject": "The bridge is closed",
        "body": letter.body,
        "priority": "high",
        "thread_id": letter.thread,
        "reply_to": None,
        "sent_at": SENT_AT.isoformat(),
    }
    lines = (tmp_path / "environment").read_text().splitlines()
    assert {line for line in lines if line.startswith("MAIL_")} == {
        f"MAIL_ID={letter.id}",
        "MAIL_FROM=mayor/",
        "MAIL_TO=rig/worker",
        "MAIL_SUBJECT=The bridge is closed",
        "MAIL_PRIORITY=high",
    }


async def test_it_gets_no_secret_of_ours(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMAIL_PASSWORD", "hidden")
    monkeypatch.setenv("MAILROOM_TOKEN", "hidden")
    await CommandHook().deliver(script("env >environment"), a_letter())
    lines = (tmp_path / "environment").read_text().splitlines()
    names = {line.partition("=")[0] for line in lines if not line.startswith("MAIL_")}
    shells_own = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert "PATH" in names
    assert names - shells_own <= {"PATH", "HOME", "LANG"}


@pytest.mark.parametrize(
    "subject",
    [
        "a\nMAIL_FROM=overseer",
        "a\0b",
        "$(touch owned)",
        "`touch owned`",
        "a\r\x1b[2J\x9bb",
        "\u202eb",
    ],
)
async def test_a_subject_is_one_line_and_no_command(
    script: Script, tmp_path: Path, subject: str
) -> None:
    letter = a_letter(subject=subject)
    await CommandHook().deliver(script('printf %s "$MAIL_SUBJECT" >subject; cat >letter'), letter)
    assert (tmp_path / "subject").read_text().isprintable()
    assert json.loads((tmp_path / "letter").read_text())["subject"] == letter.subject
    assert not (tmp_path / "owned").exists()


async def test_an_argument_is_not_read_by_a_shell(script: Script, tmp_path: Path) -> None:
    command = [*script('printf %s "$2" >argument'), "$(touch owned); *"]
    await CommandHook().deliver(command, a_letter())
    assert (tmp_path / "argument").read_text() == "$(touch owned); *"


async def test_one_that_does_not_read_takes_it_all_the_same(script: Script, tmp_path: Path) -> None:
    await CommandHook().deliver(script("echo ran >ran"), a_letter(body="x" * 5_000_000))
    assert (tmp_path / "ran").read_text() == "ran\n"


async def test_a_failure_says_why(script: Script) -> None:
    body = "printf 'no such\\033[31m queue\\n\\007at all' >&2; echo not this; exit 3"
    with pytest.raises(Transient, match=r"ended with 3: no such queue at all$"):
        await CommandHook().deliver(script(body), a_letter())


async def test_a_failure_shows_no_arguments(script: Script) -> None:
    with pytest.raises(Transient, match=r"hook with a space ended with 1\.$") as failed:
        await CommandHook().deliver([*script("exit 1"), "--token=hidden"], a_letter())
    assert "hidden" not in str(failed.value)


async def test_of_huge_output_the_begin_is_kept(script: Script) -> None:
    body = "head -c 30000000 /dev/zero | tr '\\0' x >&2; head -c 30000000 /dev/zero; exit 1"
    with pytest.raises(Transient) as failed:
        await CommandHook().deliver(script(body), a_letter())
    assert str(failed.value).count("x") in range(4000, 4200)


async def test_one_that_was_killed_is_tried_again(script: Script) -> None:
    with pytest.raises(Transient, match="killed by signal 9"):
        await CommandHook().deliver(script("kill -9 $$"), a_letter())


async def test_one_that_takes_too_long_ends_with_all_it_started(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_hook, "SECONDS", 0.5)
    body = "trap '' TERM\nsleep 77 & echo $! >child; yes >&2 & sleep 77"
    with pytest.raises(Transient, match="took longer"):
        await CommandHook().deliver(script(body), a_letter())
    await ended(int((tmp_path / "child").read_text()))


async def ended(process: int) -> None:
    async def holds() -> bool:
        try:
            return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    await eventually(holds)


async def test_a_child_that_outlives_it_is_ended_too(script: Script, tmp_path: Path) -> None:
    begun = time.monotonic()
    await CommandHook().deliver(script("sleep 77 & echo $! >child"), a_letter())
    assert time.monotonic() - begun < 20
    await ended(int((tmp_path / "child").read_text()))


async def test_nobody_waits_for_a_child_that_got_away(script: Script, tmp_path: Path) -> None:
    """With stderr still open."""
    body = "setsid sh -c 'echo $$ >child; exec sleep 77' & while ! [ -s child ]; do :; done; exit 1"
    begun = time.monotonic()
    with pytest.raises(Transient, match="ended with 1"):
        await CommandHook().deliver(script(body), a_letter())
    assert time.monotonic() - begun < 20
    os.kill(int((tmp_path / "child").read_text()), 9)


async def test_ended_with_the_one_who_waits_for_it(script: Script, tmp_path: Path) -> None:
    waiting = asyncio.create_task(
        CommandHook().deliver(script("echo $$ >self; sleep 77"), a_letter())
    )

    async def started() -> bool:
        file = tmp_path / "self"
        return file.exists() and file.read_text() != ""

    await eventually(started)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await ended(int((tmp_path / "self").read_text()))


async def test_what_can_never_run_is_permanent(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no program")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\0\1\2")
    binary.chmod(0o755)
    for command in (["/no/such"], ["no-such-command"], [str(text)], [str(binary)], [str(tmp_path)]):
        with pytest.raises(Permanent, match="can't be started"):
            await CommandHook().deliver(command, a_letter())
    with pytest.raises(Permanent, match="name one"):
        await CommandHook().deliver([], a_letter())
    with pytest.raises(Permanent, match="NUL"):
        await CommandHook().deliver(["env", "a\0b"], a_letter())


async def test_no_file_is_left_open(script: Script) -> None:
    before = psutil.Process().num_fds()
    for body in ("exit 0", "exit 1"):
        await asyncio.gather(
            *(CommandHook().deliver(script(body), a_letter()) for _ in range(5)),
            return_exceptions=True,
        )
    assert psutil.Process().num_fds() <= before


async def test_hooks_all_run_and_failures_are_logged(script: Script, tmp_path: Path) -> None:
    letter = a_letter()
    works = script("cat >letter")
    with capture_logs() as logs:
        await run_hooks([["/no/such"], [], works, ["false"]], letter)
    assert (tmp_path / "letter").exists()
    told = [(entry["log_level"], entry["letter"], entry["reason"]) for entry in logs]
    assert told == [
        (
            "warning",
            letter.id,
            "The command /no/such can't be started (No such file or directory).",
        ),
        ("warning", letter.id, "No command is configured; name one."),
        ("warning", letter.id, "The command false ended with 1."),
    ]
