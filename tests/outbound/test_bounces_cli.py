"""`mailroom queue bounces`: the rules can be read and extended."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailroom.cli.main import app
from mailroom.models.outbound.bounces import RULES, BounceRule

OWN = """
[[outbound.bounces]]
text = ["partner says no"]
type = "block"
category = "partner"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mailroom.toml").write_text(OWN)


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["queue", "bounces", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_a_reply_means() -> None:
    assert run("550 5.1.1 no such user") == (
        "hard, bad-mailbox: There is no such mailbox. The recipient gets no more mail.\n"
    )
    assert run("452 4.2.2 mailbox full") == "soft, full-mailbox: The mailbox is full.\n"
    assert run("550 Our partner says no") == "block, partner: Known as partner.\n"
    found = json.loads(run("550 5.1.1 no such user", "-o", "json"))
    assert (found["type"], found["category"], found["suppresses"]) == ("hard", "bad-mailbox", True)


def test_all_rules_with_those_of_the_file_first() -> None:
    _, first, second, *_ = run().splitlines()
    assert first.split() == [
        *("1", "block", "partner", "mailroom.toml", "text", "partner", "says", "no")
    ]
    assert second.startswith("2")
    rules = json.loads(run("-o", "json"))
    assert len(rules) == len(RULES) + 1
    # What is printed can be put into the file.
    assert [BounceRule.model_validate(rule) for rule in rules[1:]] == list(RULES)


def test_a_rule_without_a_condition_is_named(tmp_path: Path) -> None:
    (tmp_path / "mailroom.toml").write_text(
        '[[outbound.bounces]]\ntype = "block"\ncategory = "all"\n'
    )
    result = CliRunner().invoke(app, ["queue", "bounces"])
    assert result.exit_code != 0
    assert "The rule 'all' has no condition; give it enhanced, code or text." in result.stderr
