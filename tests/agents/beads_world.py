"""A town with Beads: a small `bd` whose issues are in a file. What it takes, writes and refuses is
beads' own: cmd/bd/list.go, cmd/bd/label.go, cmd/bd/output.go, internal/types/types.go."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from written import whole_lines

BD = r"""
import fcntl, json, os, sys
from pathlib import Path

words = sys.argv[1:]
with open("calls", "a") as calls:
    calls.write(json.dumps([words, sorted(os.environ)]) + "\n")
if Path("trouble").exists():
    exec(Path("trouble").read_text())
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
issues = json.loads(Path("issues.json").read_text())


def fail(sentence):
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(1)


def listed():
    options = dict((word.split("=", 1) + [""])[:2] for word in words[1:])
    if "--flat" in options and Path("before-0.59").exists():
        fail("unknown flag: --flat")
    if "--flat" not in options and not Path("before-0.59").exists():
        print("no tree for machines")
        return
    found = [issue for issue in issues if issue["status"] == options["--status"]]
    if kind := options.get("--type"):
        if Path("no-messages").exists():
            fail(f'invalid issue type "{kind}" (valid: bug, feature, task, epic, chore, decision)')
        found = [issue for issue in found if issue["issue_type"] == kind]
    if label := options.get("--label"):
        found = [issue for issue in found if label in issue.get("labels", ())]
    limit = int(options.get("--limit", 50))
    found = found[:limit] if limit else found
    envelope = {"schema_version": 1, "data": found}
    if not found and Path("in-words").exists():
        print("No issues found.")
    else:
        print(json.dumps(envelope if Path("envelope").exists() else found, indent=2))


def labelled():
    *ids, label = words[2:]
    for issue in issues:
        if issue["id"] in ids and label not in issue.setdefault("labels", []):
            issue["labels"].append(label)
            issue["labels"].sort()
    Path("issues.new").write_text(json.dumps(issues))
    os.replace("issues.new", "issues.json")
    for each in ids:
        print(f"✓ Added label '{label}' to {each}")


if words[0] == "list":
    listed()
elif words[:2] == ["label", "add"]:
    labelled()
else:
    fail(f"unknown command {words[0]!r} for \"bd\"")
"""


@dataclass
class Town:
    """`folder` is where `bd` is run."""

    folder: Path

    def has(self, *issues: dict[str, Any]) -> None:
        (self.folder / "issues.json").write_text(json.dumps(issues))

    def is_so(self, word: str, content: str = "") -> None:
        """`before-0.59`, `no-messages`, `envelope`, `in-words`; `trouble` is run first."""
        (self.folder / word).write_text(content)

    def labels(self, issue: str) -> list[str]:
        issues = json.loads((self.folder / "issues.json").read_text())
        [found] = [each["labels"] for each in issues if each["id"] == issue]
        return list(found)

    def calls(self, *begin: str) -> list[list[str]]:
        return [words for words, _ in self._calls() if words[: len(begin)] == list(begin)]

    def environments(self) -> list[list[str]]:
        return [names for _, names in self._calls()]

    def _calls(self) -> list[Any]:
        file = self.folder / "calls"
        return [json.loads(line) for line in whole_lines(file)] if file.exists() else []


def town_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    """With its `bd` on PATH."""
    (commands := folder / "bin").mkdir()
    (rig := folder / "town").mkdir()
    script = commands / "bd"
    script.write_text(f"#!{sys.executable}\n{BD}")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    town = Town(rig)
    town.has()
    return town


def message(to: str, title: str = "Merge", labels: Sequence[str] = (), **more: Any) -> Any:
    """As Gas Town creates mail (`bd create --assignee --labels gt:message,...`), and `bd list
    --json` shows it."""
    created = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    return {
        "id": f"hq-{uuid4().hex[:8]}",
        "title": title,
        "description": "Please merge.",
        "status": "open",
        "priority": 2,
        "issue_type": "task",
        "assignee": to,
        "owner": "steward@example.com",
        "created_at": created,
        "created_by": "mayor/",
        "updated_at": created,
        "labels": sorted(
            ["delivery:pending", "from:mayor/", "gt:message", "msg-type:task", *labels]
        ),
        "dependency_count": 0,
        "dependent_count": 0,
        "comment_count": 0,
        **more,
    }
