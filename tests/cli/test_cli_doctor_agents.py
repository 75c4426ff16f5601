"""`mailroom doctor` looks for what agent mail types into, calls and reads."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_bridge import Run

Findings = dict[str, tuple[str, str]]
Doctor = Callable[[str], Findings]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    (folder := tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def doctor(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: Path) -> Doctor:
    """Level and finding by check, of a `mailroom.toml` with this in it."""

    def findings(config: str) -> Findings:
        file = tmp_path / "mailroom.toml"
        file.write_text(config)
        monkeypatch.setenv("MAILROOM_CONFIG", str(file))
        found = json.loads(run("doctor", "-o", "json").stdout)
        return {one["check"]: (one["level"], one["finding"]) for one in found}

    return findings


def install(folder: Path, name: str, says: str = "") -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)


def test_who_has_no_agents_needs_nothing(doctor: Doctor) -> None:
    found = doctor("")
    assert found["agents"] == ("ok", "addresses: 1, rules: 0, groups: none")
    assert found["tmux"][0] == "ok"
    assert "beads" not in found


def test_groups_are_counted(doctor: Doctor) -> None:
    config = '[agents]\ngroups = { staff = ["mayor/", "rig/ann"], ops = ["rig/ann"] }'
    assert doctor(config)["agents"] == (
        "ok",
        "addresses: 3, rules: 0, groups: @staff (2), @ops (1)",
    )


TMUX = '[agents]\ntmux = ["gt-{rig}-{worker}", "hq-{name}"]\n'


@pytest.mark.parametrize(
    ("says", "level", "finding"),
    [
        (None, "warning", "not installed: nothing is typed into terminals"),
        ("tmux 3.1c", "warning", "tmux 3.1c is too old"),
        ("tmux 3.3a", "ok", "tmux 3.3a; sessions are called gt-{rig}-{worker}, hq-{name}"),
        ("tmux next-3.6", "ok", "tmux next-3.6; sessions"),
    ],
)
def test_templates_want_a_tmux_that_is_new_enough(
    doctor: Doctor, commands: Path, says: str | None, level: str, finding: str
) -> None:
    if says:
        install(commands, "tmux", says)
    found = doctor(TMUX)["tmux"]
    assert found[0] == level
    assert found[1].startswith(finding)


def test_agents_whose_terminals_have_one_name_are_told(doctor: Doctor) -> None:
    config = '[agents]\ntmux = ["{last}"]\naddresses = ["rig/ann", "town/ann", "rig/bob"]'
    assert doctor(config)["tmux sessions"] == ("warning", "ann is rig/ann and town/ann")
    assert "tmux sessions" not in doctor(TMUX + 'addresses = ["rig/ann", "town/ann", "mayor/"]')


HOOKED = """
[[agents.mailboxes]]
address = "rig/*"
webhook = "https://worker.example/mail"
webhook_secret_env = "WORKER_SECRET"
"""


@pytest.mark.parametrize(
    ("secret", "level", "finding"),
    [
        (None, "failed", "WORKER_SECRET is not set"),
        ("hidden!", "failed", "WORKER_SECRET is not in the form of Standard Webhooks"),
        ("whsec_YWdlbnRzLWhvb2stc2VjcmV0", "ok", "signed with WORKER_SECRET"),
    ],
)
def test_webhooks_have_their_secrets(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, secret: str | None, level: str, finding: str
) -> None:
    if secret:
        monkeypatch.setenv("WORKER_SECRET", secret)
    assert doctor(HOOKED)["webhook rig/*"] == (level, finding)


def test_commands_and_hooks_can_be_run(doctor: Doctor, commands: Path) -> None:
    install(commands, "take")
    config = """
    [agents]
    hooks = [["notify", "--token=hidden"]]
    [[agents.mailboxes]]
    address = "rig/ann"
    command = ["take", "it"]
    """
    found = doctor(config)
    assert found["command rig/ann"] == ("ok", "take")
    assert found["hook"] == ("failed", "notify is not there or can't be run")


def test_beads_has_its_command_and_its_folder(
    doctor: Doctor, commands: Path, tmp_path: Path
) -> None:
    enabled = "[agents.beads]\nenabled = true\n"
    assert doctor(enabled)["beads"] == ("failed", "there is no bd on PATH")
    install(commands, "bd")
    assert doctor(enabled)["beads"] == ("ok", f"{commands / 'bd'}, run in {Path.cwd()}")
    gone = tmp_path / "gone"
    assert doctor(f'{enabled}folder = "{gone}"')["beads"] == ("failed", f"{gone} is no folder")
    gone.mkdir()
    assert doctor(f'{enabled}folder = "{gone}"')["beads"][0] == "ok"
    assert list(gone.iterdir()) == []
