"""What every command has in common: help, exit codes, one sentence for an error."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from fake_bridge import FakeBridge, Run, mail

Process = Callable[..., "subprocess.CompletedProcess[str]"]
COMMANDS = (
    "dev daemon doctor email agent spool worker bridge migrate search-attributes",
    "daemon start",
    "daemon stop",
    "daemon status",
    "daemon logs",
    "daemon queue",
    "daemon enable",
    "daemon disable",
    "agent send",
    "agent inbox",
    "agent read",
    "agent show",
    "agent ack",
    "agent pin",
    "agent unpin",
    "agent thread",
    "agent search",
    "agent listen",
    "agent register",
    "agent unregister",
    "agent heartbeat",
    "agent sessions",
    "agent session",
    "agent online",
    "agent route",
    "agent queue-offline",
    "agent token",
    "agent dead-letters",
    "agent replay",
    "agent discard",
    "agent stats",
    "agent rules",
    "email list",
    "email show",
    "email approve",
    "email edit",
    "email ignore",
    "email retry",
    "email timeout",
    "email import",
    "spool status",
    "spool list",
    "spool show",
    "spool drain",
    "spool replay",
    "spool verify",
    "spool import",
)


def test_help_names_every_command_and_the_exit_codes(run: Run) -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    for name in COMMANDS[0].split():
        assert name in shown.stdout
    assert "3 not running or not found" in " ".join(shown.stdout.split())


@pytest.mark.parametrize("command", COMMANDS[1:])
def test_every_command_has_help_with_exit_codes(run: Run, command: str) -> None:
    shown = run(*command.split(), "--help")
    assert shown.exit_code == 0
    assert "Exit codes" in shown.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, mailroom.cli.main; "
        "print([m for m in ('temporalio', 'sqlalchemy', 'uvicorn', 'fastapi', 'httpx', 'pydantic')"
        " if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"mailroom {version('mailroom')}\n"


def test_no_command_shows_help(run: Run) -> None:
    shown = run()
    assert shown.exit_code == 2
    assert "Usage" in shown.output


def test_a_wrong_option_is_a_usage_error(run: Run) -> None:
    assert run("email", "list", "--no-such-option").exit_code == 2
    assert run("email", "list", "--state", "no-such-state").exit_code == 2
    assert run("email", "list", "-o", "yaml").exit_code == 2
    assert run("email", "edit", "K7M4").exit_code == 2


def test_without_a_bridge_it_says_how_to_start_one(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MAILROOM_TOKEN", "any")
    ended = process("email", "list")
    assert ended.returncode == 3
    assert ended.stdout == ""
    assert ended.stderr == (
        "Mailroom isn't running at http://127.0.0.1:9; start it with `mailroom dev` or "
        "`mailroom daemon start`.\n"
    )


def test_without_a_token_it_says_where_one_is_looked_for(run: Run, tmp_path: Path) -> None:
    ended = run("email", "list")
    assert ended.exit_code == 3
    assert str(tmp_path / "data" / "token") in ended.stderr


def test_the_token_is_read_from_the_data_folder(
    run: Run, bridge: FakeBridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fake_bridge import TOKEN

    monkeypatch.delenv("MAILROOM_TOKEN")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token").write_text(TOKEN + "\n")
    bridge.mails = [mail(1)]
    assert len(json.loads(run("email", "list", "-o", "json").stdout)) == 1


def test_a_wrong_token_is_said(
    run: Run, bridge: FakeBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_TOKEN", "wrong")
    ended = run("email", "list")
    assert ended.exit_code == 1
    assert ended.stderr == "This token is not the one of this Mailroom.\n"


def test_a_bad_setting_is_one_sentence_and_a_traceback_with_debug(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_PORT", "many")
    ended = process("email", "list")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert ended.stderr.startswith("MAILROOM_PORT: ")
    assert "Traceback" in process("--debug", "email", "list").stderr


def test_something_else_at_the_address_is_no_traceback(
    run: Run, bridge: FakeBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_URL", f"{bridge.url}/elsewhere")
    ended = run("email", "list")
    assert ended.exit_code == 3
    assert len(ended.stderr.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_one_sentence(
    process: Process, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MAILROOM_DATA_DIR", str(tmp_path / "file" / "data"))
    for command in (("dev",), ("daemon", "start")):
        ended = process(*command)
        assert ended.returncode == 1
        assert "set MAILROOM_DATA_DIR" in ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("command", "settings", "missing"),
    [
        ("worker", {}, "MAILROOM_TOKEN"),
        ("bridge", {"MAILROOM_TOKEN": "t"}, "SMS_WEBHOOK_SECRET"),
        ("bridge", {"MAILROOM_TOKEN": "t", "SMS_WEBHOOK_SECRET": "%"}, "Standard Webhooks"),
        ("migrate", {"DB_HOST": "127.0.0.1", "DB_PORT": "9"}, "PostgreSQL at 127.0.0.1:9"),
    ],
)
def test_production_says_what_is_missing(
    process: Process,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    settings: dict[str, str],
    missing: str,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    ended = process(command)
    assert ended.returncode == 1
    assert missing in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_help_is_quick(process: Process) -> None:
    """Generous here, where other tests share the processors; 0.2 s on an idle machine."""
    started = time.monotonic()
    assert process("--help").returncode == 0
    assert time.monotonic() - started < 5
