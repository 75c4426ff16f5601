"""The command line as a person has it: its own environment, and an answering bridge."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_bridge import TOKEN, FakeBridge, Run, fake_bridge
from typer.testing import CliRunner, Result

from mailroom.adapters.settings import Settings
from mailroom.cli.main import app

ROOT = Path(__file__).parents[2]
SERVERS = {"mailroom_cache_dir", "mailroom_temporal_cli"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those of the test, no `.env`, and the servers that were made before."""
    for name in Settings.model_fields.keys() - SERVERS:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAILROOM_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBridge]:
    with fake_bridge() as running:
        monkeypatch.setenv("MAILROOM_URL", running.url)
        monkeypatch.setenv("MAILROOM_TOKEN", TOKEN)
        yield running


@pytest.fixture
def run() -> Run:
    """`run("email", "list")`; the result has exit_code, stdout and stderr."""

    def invoke(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    return invoke


@pytest.fixture
def process() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """The same in a process of its own."""

    def execute(*words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "mailroom.cli.main", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        )

    return execute
