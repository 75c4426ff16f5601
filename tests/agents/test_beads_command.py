"""`bd` as it is, and as it should not be."""

import asyncio
import time
from pathlib import Path

import psutil
import pytest
from beads_world import Town, message, town_in

from mailroom.adapters import beads
from mailroom.adapters.beads import BeadsCommand
from mailroom.ports import Permanent, Transient


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    return town_in(tmp_path, monkeypatch)


@pytest.fixture
def bd(town: Town) -> BeadsCommand:
    return BeadsCommand(str(town.folder))


async def ids(bd: BeadsCommand) -> set[object]:
    return {one["id"] for one in await bd.messages() if isinstance(one, dict)}


async def test_it_lists_messages_by_type_and_by_label(town: Town, bd: BeadsCommand) -> None:
    by_type = message("mayor/", issue_type="message", labels=[])
    by_label = message("mayor/")
    by_type["labels"].remove("gt:message")
    town.has(by_type, by_label, message("mayor/", status="closed"))
    assert await ids(bd) == {by_type["id"], by_label["id"]}
    assert ["list", "--type=message", "--status=open", "--json", "--limit=0", "--flat"] in (
        town.calls("list")
    )


async def test_there_may_be_more_of_them_than_bd_shows_by_itself(
    town: Town, bd: BeadsCommand
) -> None:
    town.has(*(message("mayor/") for _ in range(60)))
    assert len(await ids(bd)) == 60


@pytest.mark.parametrize("release", ["before-0.59", "no-messages", "envelope", "in-words"])
async def test_releases_differ(town: Town, bd: BeadsCommand, release: str) -> None:
    town.is_so(release)
    assert await bd.messages() == []
    one = message("mayor/")
    town.has(one)
    assert await ids(bd) == {one["id"]}


async def test_a_label_is_put_on_once(town: Town, bd: BeadsCommand) -> None:
    one = message("mayor/")
    town.has(one)
    for _ in range(2):
        await bd.label(one["id"], "dead-letter")
    assert town.labels(one["id"]).count("dead-letter") == 1


@pytest.mark.parametrize("wrong", ["", "--help", "-v", "a b", "a\0b", "ü", "x" * 300])
async def test_no_id_is_an_option(town: Town, bd: BeadsCommand, wrong: str) -> None:
    with pytest.raises(Permanent, match="no ID of Beads"):
        await bd.label(wrong, "dead-letter")
    assert town.calls() == []


async def test_it_gets_no_secret_of_ours(
    town: Town, bd: BeadsCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_TOKEN", "hidden")
    await bd.messages()
    for names in town.environments():
        assert {"PATH"} <= set(names) <= {"PATH", "HOME", "LANG", "LC_CTYPE"}


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ("sys.exit('Error: database is \\x1b[31mlocked\\n')", "ended with 1: Error: database is"),
        ("print('<html>'); sys.exit()", r"bd list wrote no JSON\."),
        ("print('[' * 200_000); sys.exit()", r"bd list wrote no JSON\."),
        ("print('[1, 2'); sys.exit()", r"bd list wrote no JSON\."),
        ("print('{\"data\": 5}'); sys.exit()", "no JSON array"),
        ("print('3'); sys.exit()", "no JSON array"),
        ("os.write(1, b'\\xff\\xfe'); sys.exit()", r"bd list wrote no JSON\."),
        ("os.abort()", "ended with -6"),
    ],
)
async def test_what_goes_wrong_is_said_and_tried_again(
    town: Town, bd: BeadsCommand, trouble: str, told: str
) -> None:
    town.is_so("trouble", trouble)
    with pytest.raises(Transient, match=told) as failed:
        await bd.messages()
    assert str(failed.value).isprintable()


async def test_huge_output_is_dropped(
    town: Town, bd: BeadsCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beads, "MOST_BYTES", 100_000)
    town.is_so("trouble", "print('x' * 3_000_000); print('y' * 3_000_000, file=sys.stderr)")
    with pytest.raises(Transient, match="wrote more than 100,000 bytes"):
        await bd.messages()


async def test_one_that_hangs_is_ended(
    town: Town, bd: BeadsCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beads, "SECONDS", 0.3)
    town.is_so("trouble", "import time; time.sleep(3600)")
    with pytest.raises(Transient, match="took longer than"):
        await bd.messages()


async def test_nobody_waits_for_what_it_leaves_running(town: Town, bd: BeadsCommand) -> None:
    """Its database server stays, and holds its output open."""
    town.is_so("trouble", "if os.fork() == 0: os.setsid(); import time; time.sleep(5); sys.exit()")
    begun = time.monotonic()
    await bd.messages()
    assert time.monotonic() - begun < 4


async def test_one_that_is_not_there_is_permanent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Permanent, match=r"can't be started \(No such file.*install Beads"):
        await BeadsCommand().messages()


async def test_no_file_is_left_open(bd: BeadsCommand) -> None:
    await bd.messages()
    before = psutil.Process().num_fds()
    await asyncio.gather(*(bd.messages() for _ in range(5)))
    assert psutil.Process().num_fds() <= before
