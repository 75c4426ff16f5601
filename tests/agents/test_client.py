"""The Python client on a real bridge: letters are routed, come in order, and are shown once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from house import TOKEN
from relay import relay_to
from world import eventually

from mailroom.client import (
    Mailroom,
    Message,
    NoActiveSessionError,
    OfflineQueue,
    OrchestratorOfflineError,
    OrchestratorRoutingError,
    Refused,
    RegisteredSession,
    Retry,
    RouteStatus,
    SessionEvent,
    Unreachable,
)
from mailroom.client import leases as client_leases
from mailroom.client.sessions import Registration
from mailroom.models.agent_handling import Wishes


class Reader:
    """Reads a session's events beside the test."""

    def __init__(self, mailroom: Mailroom, session: RegisteredSession) -> None:
        self.events: list[SessionEvent] = []
        self.task = asyncio.create_task(self._read(mailroom, session))

    async def _read(self, mailroom: Mailroom, session: RegisteredSession) -> None:
        async for event in mailroom.events(session):
            self.events.append(event)

    @property
    def bodies(self) -> list[str | None]:
        return [event.message.body for event in self.events if event.message]

    async def has(self, *bodies: str) -> None:
        async def all_there() -> bool:
            if self.task.done():
                self.task.result()
            return len(self.bodies) >= len(bodies)

        await eventually(all_there)
        assert self.bodies == list(bodies)

    async def hears(self, type: str) -> SessionEvent:
        async def heard() -> bool:
            return any(event.type == type for event in self.events)

        await eventually(heard)
        return next(event for event in self.events if event.type == type)


@asynccontextmanager
async def reading(mailroom: Mailroom, session: RegisteredSession) -> AsyncIterator[Reader]:
    reader = Reader(mailroom, session)
    try:
        yield reader
    finally:
        reader.task.cancel()
        await asyncio.gather(reader.task, return_exceptions=True)


@pytest.fixture
async def mailroom(bridge: httpx.AsyncClient) -> AsyncIterator[Mailroom]:
    async with Mailroom(str(bridge.base_url), TOKEN) as client:
        yield client


@pytest.fixture
async def worker(mailroom: Mailroom, marker: str) -> str:
    """An address that is known, and offline."""
    address = f"{marker}/worker"
    await mailroom.unregister_session(await mailroom.register_session(address))
    return address


async def test_a_letter_to_who_is_online_is_delivered(mailroom: Mailroom, worker: str) -> None:
    session = await mailroom.register_session(worker)
    async with reading(mailroom, session) as reader:
        result = await mailroom.route_message(Message(body="build it", subject="hello"), worker)
        assert (result.success, result.status) == (True, RouteStatus.DELIVERED)
        assert result.session_id == session.session_id
        await reader.has("build it")
    [event] = [event for event in reader.events if event.message]
    assert event.message
    assert (event.message.sender, event.message.subject) == ("overseer", "hello")


async def test_a_letter_to_who_is_offline_waits_and_comes_in_order(
    mailroom: Mailroom, worker: str
) -> None:
    said = ["first", "second", "third"]
    for body in said:
        result = await mailroom.route_message(body, worker)
        assert (result.success, result.status) == (True, RouteStatus.OFFLINE)
    await mailroom.queue_message_for_offline("fourth", worker)

    async def all_wait() -> bool:
        return (await mailroom.presence(worker)).queued == 4

    await eventually(all_wait)
    session = await mailroom.register_session(worker)
    async with reading(mailroom, session) as reader:
        await reader.has(*said, "fourth")


async def test_presence_follows_the_session(mailroom: Mailroom, worker: str) -> None:
    assert not await mailroom.is_online(worker)
    assert await mailroom.get_session(worker) is None
    registered = await mailroom.register_session(worker, channel="harbour")
    found = await mailroom.get_session(worker)
    assert found
    assert await mailroom.is_online(worker)
    assert (found.session_id, found.channel) == (registered.session_id, "harbour")
    assert timedelta(minutes=59) < registered.lease <= timedelta(minutes=61)
    later = await mailroom.update_session_activity(worker)
    assert later.expires_at >= registered.expires_at
    await mailroom.unregister_session(worker)
    assert not await mailroom.is_online(worker)


async def test_who_never_confirms_has_the_letter_waiting(
    bridge: httpx.AsyncClient, worker: str
) -> None:
    impatient = {
        "retry": Retry(max_attempts=1, initial_delay=timedelta(milliseconds=50)),
        "delivery_timeout": timedelta(milliseconds=100),
    }
    async with Mailroom(str(bridge.base_url), TOKEN, **impatient) as mailroom:
        await mailroom.register_session(worker)
        result = await mailroom.route_message("are you there?", worker)
    assert (result.success, result.status) == (True, RouteStatus.OFFLINE)


async def test_a_lost_connection_shows_nothing_twice_and_loses_nothing(
    mailroom: Mailroom, bridge: httpx.AsyncClient, worker: str
) -> None:
    async with relay_to(bridge) as relay, Mailroom(relay.url, TOKEN) as agent:
        session = await agent.register_session(worker)
        async with reading(agent, session) as reader:
            said = []
            for number in range(5):
                said.append(f"letter {number}")
                result = await mailroom.route_message(said[-1], worker)
                assert result.success
                relay.cut()
                await reader.has(*said)
        assert relay.opened > 5


async def test_a_letter_whose_confirmation_was_answered_into_the_void_is_shown(
    mailroom: Mailroom, bridge: httpx.AsyncClient, worker: str
) -> None:
    async with relay_to(bridge) as relay, Mailroom(relay.url, TOKEN) as agent:
        session = await agent.register_session(worker)
        async with reading(agent, session) as reader:
            await mailroom.route_message("one", worker)
            await reader.has("one")
            relay.lose = b"/confirm"
            await mailroom.route_message("two", worker)
            await mailroom.route_message("three", worker)
            await reader.has("one", "two", "three")
        assert relay.lost == 1


async def test_after_a_crash_a_shown_letter_is_not_shown_again(
    mailroom: Mailroom, bridge: httpx.AsyncClient, worker: str
) -> None:
    await mailroom.route_message("before", worker)
    session = await mailroom.register_session(worker)
    async with asyncio.timeout(30), aclosing(mailroom.events(session)) as events:
        async for event in events:
            if event.message:
                break
    await mailroom.send("after", worker)
    async with Mailroom(str(bridge.base_url), TOKEN) as again:
        same = await again.register_session(worker, session_id=session.session_id)
        async with reading(again, same) as reader:
            await reader.has("after")
            assert reader.bodies == ["after"]


async def test_a_session_that_is_gone_is_registered_again(
    bridge: httpx.AsyncClient,
    mailroom: Mailroom,
    worker: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_leases, "BEATS_IN_A_LEASE", 36_000)
    session = await mailroom.register_session(worker)
    async with reading(mailroom, session) as reader:
        gone = await bridge.delete(
            f"/sessions/{session.session_id}", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        assert gone.status_code == 204

        async def is_back() -> bool:
            return await mailroom.is_online(worker)

        await eventually(is_back)
        await mailroom.route_message("still there?", worker)
        await reader.has("still there?")


async def test_events_end_when_the_session_is_unregistered(mailroom: Mailroom, worker: str) -> None:
    session = await mailroom.register_session(worker)
    async with reading(mailroom, session) as reader:
        await mailroom.route_message("hello", worker)
        await reader.has("hello")
        await mailroom.unregister_session(session)
        await asyncio.wait_for(reader.task, 10)
    with pytest.raises(NoActiveSessionError, match="not registered here"):
        await mailroom.update_session_activity(session)
    with pytest.raises(NoActiveSessionError, match=worker):
        await mailroom.unregister_session(worker)


async def test_callbacks_hear_what_happens_and_may_fail(mailroom: Mailroom, worker: str) -> None:
    heard: list[str] = []

    def broken(event: SessionEvent) -> None:
        raise ValueError("a bug of the agent's")

    async def note(event: SessionEvent) -> None:
        heard.append(event.type)

    mailroom.on("message.received", broken)
    mailroom.on("message.received", note)
    off = mailroom.on("message.routed", note)
    session = await mailroom.register_session(worker)
    async with reading(mailroom, session) as reader:
        await mailroom.route_message("hello", worker)
        await reader.hears("message.routed")
        assert heard == ["message.received", "message.routed"]
        off()
        await mailroom.route_message("again", worker)
        await reader.has("hello", "again")
        await reader.hears("message.routed")
    assert heard.count("message.routed") == 1


async def test_without_a_queue_nothing_is_sent_to_who_is_offline(
    bridge: httpx.AsyncClient, worker: str
) -> None:
    nothing_waits = OfflineQueue(enabled=False)
    url = str(bridge.base_url)
    async with Mailroom(url, TOKEN, offline_queue=nothing_waits) as mailroom:
        with pytest.raises(OrchestratorOfflineError, match=f"{worker} is offline"):
            await mailroom.route_message("hello", worker)


async def test_what_is_refused_has_failed_and_says_why(mailroom: Mailroom, worker: str) -> None:
    result = await mailroom.route_message("hello", f"{worker}x")
    assert (result.success, result.status) == (False, RouteStatus.FAILED)
    assert result.error
    assert worker in result.error
    with pytest.raises(Refused, match="did you mean") as refused:
        await mailroom.send("hello", f"{worker}x")
    assert refused.value.status == 422


async def test_the_same_message_again_is_one_letter_to_each(
    mailroom: Mailroom, worker: str
) -> None:
    other = f"{worker}-2"
    await mailroom.unregister_session(await mailroom.register_session(other))
    message = Message(body="once")
    first, again, elsewhere = [await mailroom.send(message, to) for to in (worker, worker, other)]
    assert first.id == again.id != elsewhere.id


async def test_a_wrong_token_and_a_bridge_that_is_away(
    bridge: httpx.AsyncClient, worker: str
) -> None:
    async with Mailroom(str(bridge.base_url), "wrong") as stranger:
        with pytest.raises(OrchestratorRoutingError, match="token"):
            await stranger.route_message("hello", worker)
    async with relay_to(bridge) as relay, Mailroom(relay.url, TOKEN) as mailroom:
        relay.closed = True
        result = await mailroom.route_message("hello", worker)
        assert (result.success, result.status) == (False, RouteStatus.FAILED)
        with pytest.raises(Unreachable, match="did not answer"):
            await mailroom.is_online(worker)


async def test_an_agent_writes_as_itself_with_a_session_token(
    bridge: httpx.AsyncClient, mailroom: Mailroom, worker: str
) -> None:
    session = await mailroom.register_session(worker)
    token = session.token.get_secret_value()
    assert token not in repr(session)
    async with Mailroom(str(bridge.base_url), token) as agent:
        assert await agent.is_online(worker)
        with pytest.raises(Refused, match="no other address"):
            await agent.send("hello", worker, sender="overseer")


def test_what_a_client_is_configured_with_goes_along() -> None:
    wishes = Wishes(
        retry=Retry(max_attempts=5, initial_delay=timedelta(milliseconds=500)),
        offline_queue=OfflineQueue(max_queue_size=200, ttl=timedelta(hours=1)),
        delivery_timeout=timedelta(seconds=2),
    )
    registration = Registration(address="rig/worker", daemon_id="d")
    assert registration.wire(wishes)["options"] == {
        "retry": {"max_attempts": 5, "initial_delay": "PT0.5S"},
        "offline_queue": {"max_queue_size": 200, "ttl": "PT1H"},
        "delivery_timeout": "PT2S",
    }
    assert "options" not in registration.wire(Wishes())
