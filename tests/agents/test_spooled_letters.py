"""Letters that wait in the spool go on as letters: an older orchestrator's, and our own."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from agent_world import OVERSEER, send
from house import TOKEN, House, address_of, bridge_on
from world import Wire, eventually, wire_to

from mailroom.adapters import temporal
from mailroom.adapters.spool.spool import Spool
from mailroom.bridge import letters
from mailroom.bridge.flows import ReplyFlows
from mailroom.bridge.letter_flows import LetterFlows
from mailroom.cli.output import Output
from mailroom.cli.replaying import replay
from mailroom.cli.taking_over import take_over
from mailroom.models.agent_mail import Delivery, LetterState, Priority
from mailroom.models.letter_rows import LetterFilter, LetterRow
from mailroom.models.spool import Queue

SENT = datetime(2026, 1, 27, 18, 0, 0, 123_456, tzinfo=UTC)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "data" / "spool")


@pytest.fixture
def queues(tmp_path: Path) -> Path:
    (folder := tmp_path / "mail-queues").mkdir()
    return folder


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """`mailroom` on the machine of the bridge."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAILROOM_DATA_DIR", str(tmp_path / "data"))
        environment.setenv("MAILROOM_SPOOL_DIR", str(tmp_path / "data" / "spool"))
        environment.setenv("MAILROOM_TOKEN", TOKEN)
        yield environment


@asynccontextmanager
async def bridge_at(
    house: House, spool: Spool, commands: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_on(house.context, spool=spool.folder) as http:
        commands.setenv("MAILROOM_URL", str(http.base_url))
        yield http


def queued(to: str, subject: str, priority: str = "normal", **more: Any) -> dict[str, Any]:
    """As Gas Town's daemon wrote it, every field of mail.Message that JSON has."""
    message = {
        "id": f"hq-{subject}",
        "from": "mayor/",
        "to": to,
        "subject": subject,
        "body": f"about {subject}",
        "timestamp": "2026-01-27T10:00:00.123456789-08:00",
        "read": False,
        "priority": priority,
        "type": "task",
        "delivery": "queue",
        "thread_id": "thread-0123456789ab",
        "reply_to": "hq-0",
        "pinned": True,
        "wisp": True,
        "delivery_state": "pending",
    }
    return {
        "Message": {**message, **more},
        "Attempts": 2,
        "LastAttempt": "2026-01-27T10:05:00Z",
        "QueuedAt": "2026-01-27T18:01:00Z",
        "Error": "no session",
    }


def write(folder: Path, queue: Queue, *items: dict[str, Any]) -> None:
    (folder / f"{queue}.json").write_text(json.dumps(items))


async def letters_to(house: House, address: str) -> list[LetterRow]:
    """Oldest first."""
    page = await house.context.letter_views.page(LetterFilter(to=address))
    return page.items[::-1]


async def arrived(house: House, address: str, count: int = 1) -> list[LetterRow]:
    async def there() -> bool:
        return len(await letters_to(house, address)) >= count

    await eventually(there)
    return await letters_to(house, address)


async def imported(queues: Path) -> None:
    await asyncio.to_thread(take_over, queues, Output.TABLE)


async def test_three_files_are_letters_each_once(
    agents_house: House, spool: Spool, queues: Path, commands: pytest.MonkeyPatch, known: str
) -> None:
    write(queues, Queue.INBOUND, queued(known, "one", "urgent"), queued(known, "two", "low"))
    write(queues, Queue.OUTBOUND, queued(known, "three", "high"))
    write(queues, Queue.DEAD_LETTER, queued(known, "four"))
    async with bridge_at(agents_house, spool, commands):
        await imported(queues)
        first = await arrived(agents_house, known, 3)
        assert {one.subject for one in first} == {"one", "two", "three"}
        assert len(spool.files(Queue.DEAD_LETTER)) == 1
        await asyncio.to_thread(replay, None, Output.TABLE)
        found = await arrived(agents_house, known, 4)
    assert {one.subject: one.priority for one in found} == {
        "one": Priority.URGENT,
        "two": Priority.LOW,
        "three": Priority.HIGH,
        "four": Priority.NORMAL,
    }
    assert [spool.files(queue) for queue in Queue] == [[], [], []]
    assert {one.sent_at for one in found} == {SENT}
    assert {(one.sender, one.body) for one in found} == {
        ("mayor/", f"about {one.subject}") for one in found
    }
    assert len({one.thread_id for one in found}) == 1
    assert {(one.delivery, one.pinned, one.reply_to) for one in found} == {
        (Delivery.QUEUE, True, None)
    }


async def test_another_import_of_the_same_files_sends_nothing_twice(
    agents_house: House, spool: Spool, queues: Path, commands: pytest.MonkeyPatch, known: str
) -> None:
    """Also where what went on is not in the spool any more, or stood in two queues."""
    write(queues, Queue.INBOUND, queued(known, "one"))
    write(queues, Queue.OUTBOUND, queued(known, "one"))
    async with bridge_at(agents_house, spool, commands):
        await imported(queues)
        [letter] = await arrived(agents_house, known)
        await imported(queues)
        assert [spool.files(queue) for queue in Queue] == [[], [], []]
        assert [one.id for one in await letters_to(agents_house, known)] == [letter.id]


async def test_what_other_letters_have_the_same_id_is_not_lost(
    agents_house: House, spool: Spool, queues: Path, commands: pytest.MonkeyPatch, known: str
) -> None:
    two = [queued(known, subject, id="msg-1") for subject in ("from one town", "from another")]
    without = [queued(known, "none", id="", body=body) for body in ("a", "b", "b")]
    write(queues, Queue.INBOUND, *two, *without)
    async with bridge_at(agents_house, spool, commands):
        await imported(queues)
        found = await arrived(agents_house, known, 4)
    assert sorted(one.subject for one in found) == ["from another", "from one town", "none", "none"]


async def test_a_letter_to_nobody_names_who_may_be_meant_and_goes_on_once_they_are_known(
    agents_house: House, spool: Spool, queues: Path, commands: pytest.MonkeyPatch, known: str
) -> None:
    unknown = f"{known}s"
    write(queues, Queue.OUTBOUND, queued(unknown, "one"))
    async with bridge_at(agents_house, spool, commands):
        await imported(queues)
        [file] = spool.files(Queue.DEAD_LETTER)
        dead = spool.read(Queue.DEAD_LETTER, file)
        said = f"Nobody is known as {unknown}; did you mean {known}"
        assert str(dead.error).startswith(said)
        assert await letters_to(agents_house, unknown) == []
        await agents_house.context.known_agents.remember([unknown])
        await asyncio.to_thread(replay, None, Output.TABLE)
        [letter] = await arrived(agents_house, unknown)
    assert (letter.subject, letter.sent_at) == ("one", SENT)


async def test_all_of_those_who_get_copies_get_them_or_none_does(
    agents_house: House, spool: Spool, queues: Path, commands: pytest.MonkeyPatch, known: str
) -> None:
    other = f"{known}-2"
    write(queues, Queue.INBOUND, queued(known, "one", cc=[other, known]))
    async with bridge_at(agents_house, spool, commands):
        await imported(queues)
        assert len(spool.files(Queue.DEAD_LETTER)) == 1
        assert await letters_to(agents_house, known) == []
        await agents_house.context.known_agents.remember([other])
        await asyncio.to_thread(replay, None, Output.TABLE)
        [letter] = await arrived(agents_house, known)
        [copy] = await arrived(agents_house, other)
    assert (copy.subject, copy.thread_id) == ("one", letter.thread_id)


async def test_what_nobody_is_named_for_stays_a_dead_letter(
    agents_house: House, spool: Spool, queues: Path, commands: pytest.MonkeyPatch, marker: str
) -> None:
    claimed = queued("", f"merge {marker}", queue="merges", claimed_by="rig/worker")
    write(queues, Queue.INBOUND, claimed)
    async with bridge_at(agents_house, spool, commands):
        await imported(queues)
        [file] = spool.files(Queue.DEAD_LETTER)
    reason = spool.read(Queue.DEAD_LETTER, file).error
    assert reason == "It is for whoever claims it from the queue merges."


@asynccontextmanager
async def bridge_over(wire: Wire, house: House, spool: Spool) -> AsyncIterator[httpx.AsyncClient]:
    """One whose Temporal is behind the wire."""
    client = await temporal.connect(f"127.0.0.1:{wire.port}", house.client.namespace)
    flows = LetterFlows(client, house.context.agents)
    the = replace(house.context, flows=ReplyFlows(client), letter_flows=flows)
    async with bridge_on(the, spool=spool.folder) as http:
        yield http


async def test_letters_are_kept_while_temporal_is_away_and_go_on_by_themselves(
    agents_house: House, spool: Spool, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "SECONDS", 0.5)
    async with (
        wire_to(address_of(agents_house.env)) as wire,
        bridge_over(wire, agents_house, spool) as http,
    ):
        wire.flowing.clear()
        before = datetime.now(UTC)
        key = {**OVERSEER, "Idempotency-Key": f"key {known}"}
        sent = [
            await send(http, known, "kept", headers=key, priority="high", pinned=True)
            for _ in range(2)
        ]
        assert [(one["spooled"], one["status"]) for one in sent] == [(True, "queued")] * 2
        assert sent[0]["id"] == sent[1]["id"]
        assert await letters_to(agents_house, known) == []
        after = datetime.now(UTC)
        wire.flowing.set()
        [letter] = await arrived(agents_house, known)

        async def empty() -> bool:
            return spool.files(Queue.INBOUND) == []

        await eventually(empty)
        assert len(await letters_to(agents_house, known)) == 1
    assert (letter.id, letter.subject, letter.sender) == (sent[0]["id"], "kept", "overseer")
    assert (letter.priority, letter.pinned) == (Priority.HIGH, True)
    assert before <= letter.sent_at <= after
    assert letter.status in (LetterState.QUEUED, LetterState.DELIVERING)
    assert spool.files(Queue.DEAD_LETTER) == []
