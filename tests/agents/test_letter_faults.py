"""Races, old tokens, hostile input, and letters that got stuck or came twice."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from agent_world import OVERSEER, registered
from house import House
from letters_world import Post, post_on
from sqlalchemy import URL, text
from world import eventually

from mailroom.models.agent_mail import Channel, LetterState

pytestmark = pytest.mark.xdist_group("agents")

LEASE = timedelta(hours=1)


@pytest.fixture
async def post(database: URL) -> AsyncIterator[Post]:
    async with post_on(database) as post:
        yield post


async def pushed(post: Post, address: str, letters: int = 1) -> tuple[str, list[str]]:
    """A session, and letters that a drain has pushed to it."""
    ids = [await post.letter(address) for _ in range(letters)]
    session = await post.online(address)
    await post.letters.push(address, ids, all_sessions=False)
    return session, ids


# Whose a session is


async def test_a_session_is_nobody_elses_by_its_name(post: Post, marker: str) -> None:
    assert await post.sessions.register(marker, "rig/a", "daemon", None, LEASE)
    assert await post.sessions.register(marker, "rig/b", "daemon", None, LEASE) is None
    assert await post.sessions.renew(marker, "rig/b", LEASE) is None
    found = await post.sessions.find(marker)
    assert found is not None
    assert found.address == "rig/a"


async def test_an_old_token_is_good_for_no_session_that_took_the_name(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    """Names of sessions are free again when they end, tokens stay what they were."""
    path = f"/sessions/{marker}"
    before = await registered(office, f"{marker}/before", session_id=marker)
    await office.delete(path, headers=before.headers)
    after = await registered(office, f"{marker}/after", session_id=marker)
    letter = {"to": after.address, "subject": "private", "body": "secret"}
    await office.post("/mail", json=letter, headers=OVERSEER)
    [event] = (await office.get(f"{path}/events?wait=10", headers=after.headers)).json()
    confirm = f"{path}/events/{event['event_id']}/confirm"
    assert (await office.post(confirm, headers=before.headers)).status_code == 404
    both = {"event_ids": [event["event_id"]]}
    several = await office.post(f"{path}/confirm", json=both, headers=before.headers)
    assert several.status_code == 404
    async with agents_house.adapters.engines.write.connect() as connection:
        await connection.execute(
            text("UPDATE sessions SET expires_at = now() WHERE session_id = :id"), {"id": marker}
        )
    beat = await office.post(f"{path}/heartbeat", headers=before.headers)
    assert beat.status_code == 409
    seen = await office.get(f"{path}/events?wait=0", headers=before.headers)
    assert "secret" not in seen.text
    assert (await office.post(confirm, headers=after.headers)).json() == {"delivered": True}


# Races of statements


async def test_a_confirmation_and_a_step_of_the_letter_do_not_wait_for_each_other(
    post: Post, marker: str
) -> None:
    address = f"{marker}/worker"
    session, [letter] = await pushed(post, address)
    [event] = await post.sessions.open(session, address, 9, by_priority=True)
    engine = post.engines.write.execution_options(isolation_level="READ COMMITTED")
    async with engine.begin() as step:
        # As a step does it: the letter first, then what was pushed of it.
        await step.execute(
            text("UPDATE agent_mail SET status = 'retrying' WHERE id = :id"), {"id": letter}
        )
        confirming = asyncio.create_task(post.sessions.confirm(session, address, [event.event_id]))
        await eventually(lambda: waits_for_a_lock(post))
        await step.execute(
            text("DELETE FROM session_events WHERE message_id = :id"), {"id": letter}
        )
    assert await confirming == []


async def waits_for_a_lock(post: Post) -> bool:
    async with post.engines.write.connect() as connection:
        return bool(
            await connection.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE wait_event_type = 'Lock' AND query LIKE '%delivery_confirmations%'"
                )
            )
        )


async def test_a_session_may_come_and_go_within_a_second(post: Post, marker: str) -> None:
    address = f"{marker}/worker"
    for _ in range(3):
        await post.sessions.register(marker, address, "daemon", None, LEASE)
        assert await post.sessions.unregister(marker)
    for _ in range(2):
        await post.sessions.register(marker, address, "daemon", None, timedelta(seconds=-1))
        assert (marker, address) in await post.sessions.clean(LEASE)


async def test_what_ended_meanwhile_is_not_pushed(post: Post, marker: str) -> None:
    address = f"{marker}/worker"
    letters = [await post.letter(address) for _ in range(2)]
    session = await post.online(address)
    await post.actions.discard(letters[0], "Nobody wants it.")
    await post.letters.push(address, letters, all_sessions=False)
    found = await post.sessions.open(session, address, 9, by_priority=True)
    assert [each.message_id for each in found] == letters[1:]


async def test_what_a_session_is_about_to_take_gives_way_to_nobody(post: Post, marker: str) -> None:
    address = f"{marker}/worker"
    _, [_, second] = await pushed(post, address, 2)
    third = await post.letter(address)
    assert await post.letters.oldest(address, 0) == [third]
    assert await post.letters.state(second) is LetterState.QUEUED


# What waits


async def test_letters_that_were_announced_do_not_hide_others(post: Post, marker: str) -> None:
    address = f"{marker}/worker"
    old = [await post.letter(address) for _ in range(3)]
    await post.letters.notified(address, old, Channel.TMUX)
    new = await post.letter(address)
    found = await post.letters.waiting(address, 3, by_priority=True, unannounced=True)
    assert [each.id for each in found] == [new]


async def test_a_drain_does_not_hasten_retries(post: Post, marker: str) -> None:
    """Else a scan uses up all of a letter's attempts within minutes. Somebody who comes anew gets
    it at once."""
    address = f"{marker}/worker"
    await post.online(address)
    failed = await post.letter(address, LetterState.RETRYING)
    queued = await post.letter(address)
    found = await post.letters.waiting(address, 9, by_priority=True)
    assert [each.id for each in found] == [queued]
    await post.online(address)
    found = await post.letters.waiting(address, 9, by_priority=True)
    assert [each.id for each in found] == [failed, queued]
