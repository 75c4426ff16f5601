"""`mailroom daemon`: the stack in the background, told apart from any other process."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fake_bridge import Run
from filelock import FileLock

from mailroom.cli.logs import readable

Process = Callable[..., "subprocess.CompletedProcess[str]"]

# Where the servers are is the machine's business, not the test's.
SERVERS = ("MAILROOM_TEMPORAL_CLI", "MAILROOM_CACHE_DIR")
OF_THE_MACHINE = {name: os.environ[name] for name in SERVERS if name in os.environ}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder, as `conftest` names it."""
    (tmp_path / "data" / "logs").mkdir(parents=True)
    return tmp_path / "data"


@pytest.fixture
def stranger(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has the number which `daemon.json` names."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    state = {"pid": process.pid, "since": datetime.now(UTC).isoformat(), "url": "http://x"}
    (folder / "daemon.json").write_text(json.dumps(state))
    yield process
    process.kill()
    process.wait()


def test_what_does_not_run_is_exit_code_3(run: Run, tmp_path: Path) -> None:
    ended = run("daemon", "status", "-o", "json")
    assert ended.exit_code == 3
    assert json.loads(ended.stdout)["running"] is False
    assert not (tmp_path / "data").exists()


def test_stopping_what_does_not_run_is_no_failure(run: Run) -> None:
    ended = run("daemon", "stop")
    assert (ended.exit_code, ended.stdout) == (0, "Mailroom isn't running.\n")


def test_a_number_that_another_process_has_by_now_is_left_alone(
    run: Run, stranger: "subprocess.Popen[bytes]"
) -> None:
    assert run("daemon", "status").exit_code == 3
    assert run("daemon", "stop").exit_code == 0
    assert stranger.poll() is None


def test_a_stack_in_a_terminal_is_not_stopped_from_elsewhere(
    run: Run, folder: Path, stranger: "subprocess.Popen[bytes]"
) -> None:
    with FileLock(folder / "lock"):
        status = json.loads(run("daemon", "status", "-o", "json").stdout)
        assert (status["running"], status["pid"]) == (True, None)
        ended = run("daemon", "stop")
        assert ended.exit_code == 1
        assert "Ctrl-C" in ended.stderr
        assert run("daemon", "start").stdout.startswith("Mailroom is running already")
    assert stranger.poll() is None


def test_logs_are_shown_as_sentences(run: Run, folder: Path) -> None:
    entries = [
        {"timestamp": "2026-03-01T10:00:00Z", "level": "info", "event": "up", "logger": "x"},
        {"timestamp": "2026-03-01T10:00:01Z", "level": "warning", "event": "away", "error": "E"},
    ]
    (folder / "logs" / "mailroom.log").write_text("".join(json.dumps(e) + "\n" for e in entries))
    assert run("daemon", "logs", "-n", 1).stdout.endswith(" warning  away  error=E\n")
    raw = run("daemon", "logs", "-o", "json").stdout.splitlines()
    assert [json.loads(line) for line in raw] == entries


def test_a_line_that_is_no_json_is_shown_as_it_is() -> None:
    assert readable("Traceback \x1b[31m(most recent)") == "Traceback [31m(most recent)"
    assert readable("[1, 2]") == "[1, 2]"


def test_without_a_log_it_says_so(run: Run) -> None:
    ended = run("daemon", "logs")
    assert ended.exit_code == 3
    assert "mailroom.log is missing" in ended.stderr


def test_following_goes_on_after_a_rotation_until_ctrl_c(folder: Path) -> None:
    log = folder / "logs" / "mailroom.log"
    log.write_text("first\n")
    command = [sys.executable, "-m", "mailroom.cli.main", "daemon", "logs", "-f"]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "first\n"
        with log.open("a") as more:
            more.write("second, a longer line\n")
        assert process.stdout.readline() == "second, a longer line\n"
        log.rename(log.with_suffix(".1"))
        log.write_text("third\n")
        assert process.stdout.readline() == "third\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.mark.stack
def test_start_use_stop_and_start_after_a_kill(
    process: Process, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("", "SMTP_", "TEMPORAL_", "TEMPORAL_UI_")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    for name, port in ports.items():
        monkeypatch.setenv(f"MAILROOM_{name}PORT", str(port))
    for name, value in OF_THE_MACHINE.items():
        monkeypatch.setenv(name, value)
    url = f"http://127.0.0.1:{ports['']}"
    try:
        started = process("daemon", "start")
        assert started.returncode == 0, started.stderr
        assert started.stdout == f"Mailroom is running: {url}\n"

        status = json.loads(run("daemon", "status", "-o", "json").stdout)
        assert (status["running"], status["url"]) == (True, url)
        assert status["health"]["status"] == "healthy"
        assert status["processing"] is True
        again = run("daemon", "start")
        assert (again.exit_code, "already" in again.stdout) == (0, True)

        code = code_of_a_waiting_mail(run)
        assert run("email", "approve", code).exit_code == 0
        assert run("doctor").exit_code == 0

        stopped = run("daemon", "stop")
        assert stopped.exit_code == 0, stopped.stderr
        assert run("daemon", "status").exit_code == 3
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/health", trust_env=False)

        assert process("daemon", "start", "--no-samples").returncode == 0
        os.kill(json.loads((folder / "daemon.json").read_text())["pid"], signal.SIGKILL)
        wait_until(lambda: run("daemon", "status").exit_code == 3)
        assert process("daemon", "start", "--no-samples").returncode == 0
        mails = json.loads(run("email", "list", "-o", "json").stdout)
        assert len(mails) == 3

        with monkeypatch.context() as there:
            there.setenv("MAILROOM_DATA_DIR", str(folder / "other"))
            another_one_is_refused(process, run, ports[""])
    finally:
        run("daemon", "stop")


def code_of_a_waiting_mail(run: Run) -> str:
    found: list[str] = []

    def waits() -> bool:
        listed = run("email", "list", "--state", "awaiting_user", "-o", "json")
        found.extend(mail["code"] for mail in json.loads(listed.stdout))
        return bool(found)

    wait_until(waits)
    return found[0]


def another_one_is_refused(process: Process, run: Run, taken: int) -> None:
    """The reason is said, and nothing is left running."""
    ended = process("daemon", "start")
    assert ended.returncode == 1
    assert f"Mailroom did not start: HTTP can't listen on 127.0.0.1:{taken}" in ended.stderr
    assert run("daemon", "status").exit_code == 3


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
