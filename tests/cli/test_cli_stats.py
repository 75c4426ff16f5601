"""`mailroom email stats`: figures as tables, JSON and CSV."""

import csv
import json
from pathlib import Path

from fake_bridge import FakeBridge, Run

HOSTILE = "=cmd()\x1b[2J\n[bold]x"


def test_days_on_which_something_happened_are_shown(run: Run, bridge: FakeBridge) -> None:
    ended = run("email", "stats", "--days", 2)
    assert ended.exit_code == 0
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert lines[0][:3] == ["Day", "Mails", "Texts"]
    assert lines[1] == ["2026-03-02", "3", "4", "1", "2", "0", "0", "3", "min", "1", "120"]
    assert lines[2][:2] == ["all", "3"]
    assert "2026-03-01" not in ended.stdout
    assert bridge.days == ["2"]


def test_senders_sources_and_edits_are_shown_without_what_steers_a_terminal(
    run: Run, bridge: FakeBridge
) -> None:
    bridge.figures["senders"][0]["name"] = HOSTILE
    bridge.figures["edits"][0]["diff"] = f"-{HOSTILE}"
    shown = run("email", "stats").stdout
    assert "\x1b" not in shown
    assert "=cmd()[2J [bold]x" in shown
    assert "template meeting" in shown
    assert "make it warmer" in shown


def test_json_is_what_the_bridge_says(run: Run, bridge: FakeBridge) -> None:
    assert json.loads(run("email", "stats", "-o", "json").stdout) == bridge.figures


def test_csv_has_a_line_for_every_day(run: Run, bridge: FakeBridge, tmp_path: Path) -> None:
    shown = run("email", "stats", "--csv", "-").stdout
    days = list(csv.DictReader(shown.splitlines()))
    assert [day["day"] for day in days] == ["2026-03-01", "2026-03-02"]
    assert (days[0]["response_seconds"], days[1]["response_seconds"]) == ("", "180.0")
    file = tmp_path / "days.csv"
    assert run("email", "stats", "--csv", file).exit_code == 0
    assert file.read_bytes().decode() == shown.replace("\r\n", "\n").replace("\n", "\r\n")


def test_a_file_that_cannot_be_written_is_said(
    run: Run, bridge: FakeBridge, tmp_path: Path
) -> None:
    ended = run("email", "stats", "--csv", tmp_path / "none" / "days.csv")
    assert ended.exit_code != 0
    assert "can't be written" in ended.stderr
