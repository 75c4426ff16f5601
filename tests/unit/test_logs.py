"""Logs are JSON lines in a rotated file, and say nothing about anybody."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import yaml
from pydantic import BaseModel

from mailroom.local import logs
from mailroom.models.redaction import redacted

FILEBEAT = Path(__file__).parents[2] / "docs" / "filebeat.yml"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.TALKATIVE}
    logs.log_as("worker", tmp_path / "logs", "INFO")
    yield tmp_path / "logs" / "worker.log"
    for handler in root.handlers:
        handler.close()
    root.handlers[:], root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.configure(**configured)


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_line_is_json_with_time_level_and_what_happened(file: Path) -> None:
    structlog.get_logger("mailroom.test").warning("mails are not listed yet", mails=3)
    logging.getLogger("a.library").error("gave up after %d s", 5)
    ours, theirs = lines(file)
    assert (ours["event"], ours["level"], ours["mails"]) == (
        "mails are not listed yet",
        "warning",
        3,
    )
    assert (theirs["event"], theirs["logger"]) == ("gave up after 5 s", "a.library")
    assert str(ours["timestamp"]).endswith("Z")


class _Letter(BaseModel):
    size: int


def test_nothing_personal_is_written_whoever_logs_it(file: Path) -> None:
    log = structlog.get_logger("mailroom.test")
    log.warning("refused", error="550 5.1.1 <john@example.com> unknown", to=["+12025550123"])
    log.info("to +1 (202) 555-0123", path="/workflow/%3C1.a%40example.com%3E/decide")
    log.error(
        "away", url="https://me:hidden-word@monitor.example/emails", auth="Bearer hidden-word"
    )
    logging.getLogger("a.library").error("password=hidden-word for %s", "ada@example.org")
    letter = {"size": "Dear John, this is hidden-word"}
    try:
        _Letter.model_validate(letter)
    except ValueError:
        log.exception("a letter could not be read")
    written = file.read_text()
    for secret in ("hidden-word", "john@", "ada@", "example.org", "2025550123", "555-0123", "a%40"):
        assert secret not in written, secret
    assert "ValidationError" in written
    assert "550 5.1.1" in written


def test_what_tells_nothing_about_anybody_stays(file: Path) -> None:
    harmless = "email-reply/7085b7a461a28fb4e7a0d91a550b1fe5 took 1700000000.25 s at 127.0.0.1:7233"
    assert redacted(harmless) == harmless
    structlog.get_logger("mailroom.test").info("up", at="2026-11-21T10:00:00+00:00", n=12025550123)
    [line] = lines(file)
    assert line["at"] == "2026-11-21T10:00:00+00:00"


def test_a_long_text_keeps_its_end(file: Path) -> None:
    structlog.get_logger("mailroom.test").info("x", error="body " * 10_000 + "and then it broke")
    [line] = lines(file)
    assert len(str(line["error"])) < 600
    assert str(line["error"]).endswith("and then it broke")


def test_files_rotate(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [handler] = [one for one in logging.getLogger().handlers if hasattr(one, "maxBytes")]
    monkeypatch.setattr(handler, "maxBytes", 1_000)
    for number in range(100):
        structlog.get_logger("mailroom.test").info("a line", number=number)
    kept = sorted(one.name for one in file.parent.iterdir())
    assert kept == ["worker.log", *(f"worker.log.{number}" for number in range(1, 6))]
    assert lines(file)[-1]["number"] == 99


def test_filebeat_ships_the_files_that_there_are(file: Path) -> None:
    config = yaml.safe_load(FILEBEAT.read_text())
    [source] = config["filebeat.inputs"]
    shipped = {re.sub(r"^\$\{MAILROOM_LOGS_DIR:[^}]+\}/", "", path) for path in source["paths"]}
    assert shipped == {"worker.log*", "bridge.log*", "mailroom.log*"}
    assert file.name + "*" in shipped
    assert source["parsers"] == [{"ndjson": {"target": "mailroom", "add_error_key": True}}]
    assert [name for name in config if name.startswith("output")] == ["output.kafka"]
    kafka = config["output.kafka"]
    assert kafka["hosts"] == ["${KAFKA_HOSTS:127.0.0.1:9092}"]
    assert kafka["topic"]
    assert kafka["required_acks"] == -1


def test_filebeat_reads_the_time_as_it_is_written(file: Path) -> None:
    structlog.get_logger("mailroom.test").info("now")
    [line] = lines(file)
    [stamp] = [one["timestamp"] for one in yaml.safe_load(FILEBEAT.read_text())["processors"]
               if "timestamp" in one]  # fmt: skip
    assert stamp["field"] == "mailroom.timestamp"
    # Go writes a layout as the moment 2006-01-02 15:04:05.
    shapes = [re.sub(r"\d", "0", layout) for layout in stamp["layouts"]]
    assert re.sub(r"\d", "0", str(line["timestamp"])) in shapes
