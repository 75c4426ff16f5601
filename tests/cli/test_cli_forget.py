"""`mailroom email forget`: asked for, confirmed, counted."""

import json
from collections.abc import Callable
from typing import Any

from fake_bridge import FakeBridge, Run, mail
from typer.testing import CliRunner

from mailroom.cli.main import app


def test_it_says_what_was_removed(run: Run, bridge: FakeBridge) -> None:
    bridge.mails = [mail(1)]
    ended = run("email", "forget", "john@example.com", "--yes")
    assert ended.exit_code == 0
    assert ended.stdout.strip() == "Removed: 1 mails, 2 drafts."
    assert bridge.forgotten == ["john@example.com"]


def test_nobody_known_is_said(run: Run, bridge: FakeBridge) -> None:
    ended = run("email", "forget", "nobody@example.com", "-y")
    assert "There is no mail from nobody@example.com." in ended.stdout


def test_counts_as_json(run: Run, bridge: FakeBridge) -> None:
    ended = run("email", "forget", "john@example.com", "-y", "-o", "json")
    assert json.loads(ended.stdout) == {"mails": 0, "drafts": 0}


def test_without_a_yes_nothing_is_removed(bridge: FakeBridge) -> None:
    invoke: Callable[..., Any] = CliRunner().invoke
    for given in ("n\n", ""):
        ended = invoke(app, ["email", "forget", "john@example.com"], input=given)
        assert ended.exit_code != 0
    assert bridge.forgotten == []
    assert invoke(app, ["email", "forget", "john@example.com"], input="y\n").exit_code == 0
    assert bridge.forgotten == ["john@example.com"]
