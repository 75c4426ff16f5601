"""`mailroom doctor` on the spool."""

from pathlib import Path

import pytest

from mailroom.adapters.settings import Settings
from mailroom.adapters.spool import place
from mailroom.adapters.spool.spool import Spool
from mailroom.cli.findings import Level
from mailroom.cli.spool_check import spool
from mailroom.models.spool import NORMAL, Entry, Queue, SpooledMail


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(mailroom_data_dir=tmp_path)


def one(queue: Queue) -> Entry:
    message = SpooledMail(raw=b"From: jo@example.com\r\n\r\n", sender=None, recipients=())
    return Entry(queue=queue, priority=NORMAL, message=message)


def test_it_says_what_waits_and_what_is_dead(settings: Settings) -> None:
    assert spool(settings).finding == "empty; it is made at the first start"
    here = Spool(settings.spool_dir)
    assert spool(settings).finding == "messages that wait to go on: 0"
    here.append(one(Queue.INBOUND))
    assert (spool(settings).level, spool(settings).finding) == (
        Level.OK,
        "messages that wait to go on: 1",
    )
    here.append(one(Queue.DEAD_LETTER))
    assert spool(settings).level is Level.WARNING
    assert "spool list dead-letter" in (spool(settings).mend or "")


def test_a_network_file_system_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "network_kind", lambda folder, mounted: "nfs4")
    found = spool(settings)
    assert found.level is Level.FAILED
    assert "network file system (nfs4)" in found.finding


def test_a_file_in_its_place_fails(settings: Settings) -> None:
    (settings.spool_dir / "inbound").mkdir(parents=True)
    (settings.spool_dir / "locks").write_text("a file where the folder was")
    assert spool(settings).level is Level.FAILED
