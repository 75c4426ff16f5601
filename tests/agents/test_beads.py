"""Open messages of Beads become letters, each once; a dead one is labelled there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from agent_world import reaches, status_of
from beads_world import Town, message, town_in
from house import House
from structlog.testing import capture_logs
from temporalio.service import RPCError
from world import eventually

from mailroom.adapters.postgres.retention import PostgresRetention
from mailroom.bridge.kept_schedules import keep_beads
from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_mail import LetterState, Priority
from mailroom.models.beads import BeadsPolled
from mailroom.models.letter_rows import LetterFilter, LetterRow
from mailroom.models.names import BEADS_POLL, MAIL_TASK_QUEUE
from mailroom.models.retention import Kept
from workflows.beads_poll import BeadsPollWorkflow


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    return town_in(tmp_path, monkeypatch)


@pytest.fixture
def agents(town: Town, marker: str) -> AgentsSection:
    """Nobody waits for who is under `off/`."""
    return AgentsSection.model_validate(
        {
            "beads": {"enabled": True, "every": "1s", "folder": str(town.folder)},
            "mailboxes": [{"address": f"{marker}-off/*", "offline_queue": {"enabled": False}}],
        }
    )


@asynccontextmanager
async def at_work(dev_house: House, agents: AgentsSection) -> AsyncIterator[House]:
    house = replace(dev_house, adapters=replace(dev_house.adapters, agents=agents))
    async with house.at_work():
        yield house


@pytest.fixture
async def house(dev_house: House, agents: AgentsSection) -> AsyncIterator[House]:
    """With a worker that knows the town."""
    async with at_work(dev_house, agents) as running:
        yield running


async def poll(house: House) -> BeadsPolled:
    return await house.client.execute_workflow(
        BeadsPollWorkflow.run, id=f"poll-{uuid4().hex}", task_queue=MAIL_TASK_QUEUE
    )


async def letters_to(house: House, address: str) -> list[LetterRow]:
    page = await house.context.letter_views.page(LetterFilter(to=address))
    return page.items


async def arrived(house: House, address: str, count: int = 1) -> list[LetterRow]:
    """Once all of them are there."""

    async def there() -> bool:
        return len(await letters_to(house, address)) >= count

    await eventually(there)
    return await letters_to(house, address)


async def test_an_open_message_is_one_letter(house: House, town: Town, marker: str) -> None:
    one = message(f"{marker}/Worker", "Merge the branch", priority=1, labels=["thread:thread-1"])
    town.has(one, message(f"{marker}/worker", status="closed"))
    assert await poll(house) == BeadsPolled(new=1)
    [letter] = await arrived(house, f"{marker}/worker")
    assert (letter.sender, letter.subject, letter.body) == (
        "mayor/",
        "Merge the branch",
        "Please merge.",
    )
    assert letter.priority is Priority.HIGH
    assert letter.sent_at == datetime.fromisoformat(one["created_at"])
    assert await poll(house) == BeadsPolled(known=1)
    assert [one.id for one in await letters_to(house, f"{marker}/worker")] == [letter.id]
    assert town.labels(one["id"]) == sorted([*one["labels"]])


async def test_the_same_message_is_the_same_letter_after_everything_was_restarted(
    dev_house: House, agents: AgentsSection, town: Town, marker: str
) -> None:
    town.has(message(f"{marker}/worker"), message(f"{marker}/worker"))
    for expected in (BeadsPolled(new=2), BeadsPolled(known=2)):
        async with at_work(dev_house, agents) as house:
            assert await poll(house) == expected
            assert len(await arrived(house, f"{marker}/worker", 2)) == 2


async def test_a_copy_that_is_missing_is_sent_although_the_letter_was(
    house: House, town: Town, marker: str
) -> None:
    one = message(f"{marker}/worker")
    town.has(one)
    assert (await poll(house)).new == 1
    [letter] = await arrived(house, f"{marker}/worker")
    town.has({**one, "labels": [*one["labels"], f"cc:{marker}/other"]})
    assert (await poll(house)).new == 1
    [copy] = await arrived(house, f"{marker}/other")
    assert copy.thread_id == letter.thread_id
    assert len(await letters_to(house, f"{marker}/worker")) == 1


@pytest.mark.parametrize(
    ("number", "priority"),
    [(0, Priority.URGENT), (2, Priority.NORMAL), (3, Priority.LOW), (4, Priority.LOW)],
)
async def test_priorities_go_from_numbers_to_words(
    number: int, priority: Priority, town: Town, house: House, marker: str
) -> None:
    town.has(message(f"{marker}/worker", priority=number))
    await poll(house)
    [letter] = await arrived(house, f"{marker}/worker")
    assert letter.priority is priority


async def test_letters_of_one_thread_and_copies_belong_together(
    house: House, town: Town, marker: str
) -> None:
    labels = ["thread:thread-7", f"cc:{marker}/boss", f"cc:{marker}/worker", "reply-to:hq-1"]
    town.has(
        message(f"{marker}/worker", labels=labels),
        message(f"{marker}/worker", "Again", labels=["thread:thread-7"]),
    )
    assert (await poll(house)).new == 2
    letters = await arrived(house, f"{marker}/worker", 2)
    [copy] = await arrived(house, f"{marker}/boss")
    assert len({one.thread_id for one in (*letters, copy)}) == 1
    assert (await poll(house)).known == 2


async def test_what_was_dealt_with_over_there_is_left_alone(
    house: House, town: Town, marker: str
) -> None:
    done = ["read", "delivery:acked", "dead-letter"]
    town.has(*(message(f"{marker}/worker", labels=[label]) for label in done))
    assert await poll(house) == BeadsPolled()


async def test_what_is_no_letter_is_told_once_and_holds_up_nobody(
    house: House, town: Town, marker: str
) -> None:
    wrong: list[dict[str, Any]] = [
        message(""),
        message("queue:merges", labels=["queue:merges"]),
        message("@staff"),
        message("*"),
        message(f"{marker}/worker", title=None),
        message(f"{marker}/worker", id="--help"),
        message(f"{marker}/worker", title="x" * 501),
        message(f"{marker}/worker", labels=["cc:Ann <ann@example.com>"]),
        message(f"{marker}/worker", description="x" * 1_100_000),
    ]
    town.has(*wrong, message(f"{marker}/worker", "fine"))
    with capture_logs() as logs:
        assert await poll(house) == BeadsPolled(new=1, refused=len(wrong))
        [letter] = await arrived(house, f"{marker}/worker")
        assert letter.subject == "fine"
        assert await poll(house) == BeadsPolled(known=1, refused=len(wrong))
    told = [line for line in logs if line["event"] == "a message of Beads is no letter"]
    # Those two that have no ID or title are told as one.
    assert len(told) == len({line["source"] for line in told}) == len(wrong) - 1


async def test_what_is_older_than_the_letters_that_are_kept_is_not_sent_again(
    house: House, town: Town, marker: str
) -> None:
    retention = PostgresRetention(house.adapters.engines.write)
    await retention.begin(Kept.ROWS, datetime(2001, 1, 1, tzinfo=UTC))
    town.has(message(f"{marker}/worker", created_at="2000-12-31T23:59:59Z"))
    assert await poll(house) == BeadsPolled(refused=1)
    assert await letters_to(house, f"{marker}/worker") == []


async def test_who_does_not_say_a_sender_is_beads(house: House, town: Town, marker: str) -> None:
    one = message(f"{marker}/worker", labels=[])
    one["labels"].remove("from:mayor/")
    town.has(one)
    await poll(house)
    [letter] = await arrived(house, f"{marker}/worker")
    assert letter.sender == "beads/"


async def test_a_dead_letter_is_labelled_there_and_texts_nobody(
    house: House, town: Town, marker: str
) -> None:
    one = message(f"{marker}-off/worker", f"lost {marker}")
    town.has(one)
    assert (await poll(house)).new == 1
    [letter] = await arrived(house, f"{marker}-off/worker")
    await reaches(house, letter.id, "dead_letter")

    async def labelled() -> bool:
        return "dead-letter" in town.labels(one["id"])

    await eventually(labelled)
    assert len(town.calls("label")) == 1
    assert not any(f"lost {marker}" in text.body for text in house.gateway.texts)
    assert await poll(house) == BeadsPolled()


async def test_an_urgent_one_is_texted_although_it_cannot_be_labelled(
    house: House, town: Town, marker: str
) -> None:
    town.has(message(f"{marker}-off/worker", f"lost {marker}", priority=0))
    assert (await poll(house)).new == 1
    town.is_so("trouble", "sys.exit('Error: database is locked')")
    await house.gateway.wait_for(f"lost {marker}")
    [letter] = await letters_to(house, f"{marker}-off/worker")
    assert await status_of(house, letter.id) == LetterState.DEAD_LETTER


async def test_the_schedule_reads_them_and_goes_with_its_setting(
    dev_house: House, agents: AgentsSection, town: Town, marker: str
) -> None:
    schedule = dev_house.client.get_schedule_handle(BEADS_POLL)
    town.has(message(f"{marker}/worker"))
    await keep_beads(dev_house.client, agents)
    try:
        async with at_work(dev_house, agents) as house:
            await arrived(house, f"{marker}/worker")
            found = (await schedule.describe()).schedule
            assert found.spec.intervals[0].every == timedelta(seconds=1)
            assert found.policy.overlap.name == "SKIP"
    finally:
        await keep_beads(dev_house.client, AgentsSection())
    with pytest.raises(RPCError, match="not found"):
        await schedule.describe()
