"""Races, old tokens, hostile input, and letters that got stuck or came twice."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from agent_world import OVERSEER, online, reaches, registered, send
from house import House, another_database
from letters_world import Post, post_on
from sqlalchemy import URL, text
from temporalio import activity
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker
from world import eventually

from activities.drain_mailbox import DrainMailbox
from activities.nudge_again import NudgeAgain
from activities.reach import Reach
from activities.scan_mailboxes import ScanMailboxes
from mailroom.bridge.app import create_app
from mailroom.bridge.handover import Handover
from mailroom.bridge.post_office import PostOffice
from mailroom.local import serving
from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_handling import Mailbox
from mailroom.models.agent_mail import (
    Channel,
    Drained,
    DrainInput,
    EscalateInput,
    Letter,
    LetterState,
    Priority,
    ScanInput,
)
from mailroom.models.new_letter import NewLetter
from mailroom.ports import Permanent, Transient
from workflows.mailbox_drain import MailboxDrainWorkflow
from workflows.sandbox import sandbox

LEASE = timedelta(hours=1)


@pytest.fixture(scope="module")
async def post(database: URL) -> AsyncIterator[Post]:
    """A store that nobody else works on."""
    async with post_on(await another_database(database, "faults")) as post:
        yield post


@pytest.fixture
async def shared(database: URL) -> AsyncIterator[Post]:
    """The store of the house."""
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
        await eventually(lambda: waits_for_a_lock(post, "delivery_confirmations"))
        await step.execute(
            text("DELETE FROM session_events WHERE message_id = :id"), {"id": letter}
        )
    assert await confirming == []


async def waits_for_a_lock(post: Post, statement: str) -> bool:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND query LIKE :part AND pid <> pg_backend_pid()"
    )
    async with post.engines.write.connect() as connection:
        return bool(await connection.scalar(waiting, {"part": f"%{statement}%"}))


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


# Event streams


async def test_a_stream_shows_more_letters_than_it_asks_for_at_once(
    shared: Post, office: httpx.AsyncClient, marker: str
) -> None:
    address, numbers = f"{marker}/worker", [str(n) for n in range(120)]
    letters = [await shared.letter(address, LetterState.DELIVERING, subject=n) for n in numbers]
    async with online(office, address, confirms=False) as desk:
        await shared.letters.push(address, letters, all_sessions=False)
        assert await desk.saw(120) == numbers
        await shared.letters.push(address, letters[:1], all_sessions=False)
        assert await desk.saw(121) == [*numbers, "0"]


async def test_what_was_pushed_while_nobody_listened_is_shown(
    shared: Post, office: httpx.AsyncClient, marker: str
) -> None:
    """The connection that tells of events breaks; what came meanwhile is looked for."""
    address = f"{marker}/worker"
    letter = await shared.letter(address, LetterState.DELIVERING, subject="unheard of")
    async with online(office, address, confirms=False) as desk:
        await shared.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"
        )
        await shared.letters.push(address, [letter], all_sessions=False)
        await desk.has("unheard of")
    assert "feed.resumed" not in str(desk.told)


async def test_a_letter_whose_text_is_lost_does_not_hold_up_others(
    shared: Post, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"{marker}/worker"
    away: dict[str, Any] = {"subject": "lost", "body": None, "blob": "0" * 64}
    lost = await shared.letter(address, LetterState.DELIVERING, **away)
    other = await shared.letter(address, LetterState.DELIVERING, subject="other", body="Work.")
    async with online(office, address) as desk:
        await shared.letters.push(address, [lost, other], all_sessions=False)
        assert await desk.saw(2) == ["lost", "other"]
        assert desk.seen[1]["message"]["body"] == "Work."


# Hostile input


async def test_what_the_store_can_not_hold_is_refused_or_left_out(
    office: httpx.AsyncClient, marker: str
) -> None:
    async with online(office, f"{marker}/worker") as desk:
        own = {**desk.headers, "Content-Type": "application/json"}
        for channel in ("a\0b", "a\ud800b"):
            said = dict.fromkeys(("subject", "body", "channel"), channel)
            body = json.dumps({"to": desk.address, **said})
            sent = await office.post("/mail?wait=10", content=body, headers=own)
            assert (sent.status_code, sent.json()["status"]) == (201, "delivered")
            body = json.dumps({"to": desk.address, "reply_to": channel})
            assert (await office.post("/mail", content=body, headers=own)).status_code == 422
            body = json.dumps({"daemon_id": "d", "channel": channel})
            assert (await office.post("/sessions", content=body, headers=own)).status_code == 201
        path = f"/sessions/{desk.session_id}"
        for wrong in (f"{path}/events/{10**30}/confirm", f"{path}/events/-1/confirm"):
            assert (await office.post(wrong, headers=own)).status_code == 422
        many = {"event_ids": [10**30]}
        assert (await office.post(f"{path}/confirm", json=many, headers=own)).status_code == 422
        for name in ("%00", "a%00b", "%F0%9F%98%80", "x" * 5_000):
            for method, rest in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
                answer = await office.request(method, f"/sessions/{name}{rest}", headers=own)
                assert answer.status_code in (404, 422), (name, answer.text)
            answer = await office.post(f"/sessions/{name}/heartbeat", headers=own)
            assert answer.status_code in (404, 422)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"to": ' + '{"a":' * 50_000,
        '{"to": "mayor/", "ttl_seconds": NaN}',
        '{"to": "mayor/", "ttl_seconds": 1e999}',
        '{"to": "mayor/", "subject": "' + "x" * 1_000_000 + '"}',
        '{"to": ["mayor/"]}',
        '{"to": "*/*"}',
        '{"to": "rig//worker"}',
        '{"to": "rig/../mayor"}',
        '{"to": "mayor/\\u0000"}',
        '{"to": "\\u212aing/"}',
        b"\xff\xfe",
    ],
    ids=range(12),
)
async def test_no_letter_is_made_of_this(office: httpx.AsyncClient, content: str | bytes) -> None:
    headers = {**OVERSEER, "Content-Type": "application/json"}
    answer = await office.post("/mail", content=content, headers=headers)
    assert answer.status_code in (400, 413, 422), answer.text


async def test_what_has_no_form_is_refused_while_the_store_is_away(agents_house: House) -> None:
    """Not kept for later with a 201, and then a dead letter of the spool."""
    handover = Handover(agents_house.context.handover.spool)
    handover.way.close("Temporal can't be reached.")
    app = create_app(replace(agents_house.context, handover=handover))
    listener = serving.bound_socket("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with serving.served(app, listener), httpx.AsyncClient(base_url=url) as http:
        kept = await http.post("/mail", json={"to": "mayor/"}, headers=OVERSEER)
        assert kept.json()["spooled"]
        no_address = await http.post("/mail", json={"to": "a b"}, headers=OVERSEER)
        assert no_address.status_code == 422
        too_long = {"to": "mayor/", "body": "x" * 1_100_000}
        assert (await http.post("/mail", json=too_long, headers=OVERSEER)).status_code == 413


async def test_a_client_can_not_keep_a_worker_busy_for_long(
    office: httpx.AsyncClient, marker: str
) -> None:
    new = {
        "address": f"{marker}/worker",
        "daemon_id": "d",
        "options": {"delivery_timeout": "1h"},
    }
    assert (await office.post("/sessions", json=new, headers=OVERSEER)).status_code == 422


# Letters that came late, died, or were handed over with others


async def test_a_letter_that_is_held_back_beyond_its_end_expires(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"patient/{marker}"
    async with online(office, address) as desk:
        sent = await send(office, address, ttl_seconds=600)
        await agents_house.skip(minutes=61)
        await reaches(agents_house, sent["id"], "expired")
        assert desk.subjects == []


async def test_a_letter_that_comes_too_late_is_not_delivered(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    """Out of the spool, or because no worker was there."""
    async with online(office, f"{marker}/worker") as desk:
        new = NewLetter(to=desk.address, subject="stale", ttl_seconds=60)
        ago = datetime.now(UTC) - timedelta(hours=1)
        office_ = agents_house.context.office
        [routed] = await office_.routed(new, "mayor/", uuid4().hex, ago)
        [letter] = await office_.send([routed])
        await reaches(agents_house, letter.id, "expired")
        assert desk.subjects == []


async def test_a_dead_letter_stays_dead_in_its_workflows_next_run(
    dev_house: House, marker: str
) -> None:
    house, address = dev_house, f"{marker}/worker"
    await house.context.known_agents.remember([address])
    new, post_office = NewLetter(to=address), house.context.office
    async with house.at_work():
        [letter] = await post_office.send(
            await post_office.routed(new, "mayor/", uuid4().hex, datetime.now(UTC))
        )
        await reaches(house, letter.id, "queued")
        handle = house.client.get_workflow_handle(f"agent-mail/{letter.id}")
        first = (await handle.describe()).run_id
        await handle.signal("bury", "Put aside.")
        await reaches(house, letter.id, "dead_letter")
        for _ in range(600):
            await handle.signal("bury", "Again.")

        async def runs_anew() -> bool:
            return (await handle.describe()).run_id != first

        await eventually(runs_anew)
        assert (await handle.query("status"))["state"] == "dead_letter"
        tried = [
            line.type for line in await house.context.letter_views.timeline(letter.id, address)
        ]
        assert tried.count("message.queued") == 1
        await house.context.sessions.register(marker, address, "daemon", None, LEASE)
        await handle.signal("replay")
        await eventually(lambda: is_pushed(house, marker, address))


async def is_pushed(house: House, session: str, address: str) -> bool:
    return bool(await house.context.sessions.open(session, address, 9, by_priority=True))


async def test_a_drain_that_is_asked_again_and_again_begins_a_new_history(
    dev_house: House, marker: str
) -> None:
    """Temporal ends a workflow that is signalled more than 10,000 times."""
    client, asked = dev_house.client, 0
    handle = client.get_workflow_handle(marker)

    @activity.defn(name="drain_mailbox")
    async def drain_mailbox(request: DrainInput) -> Drained:
        nonlocal asked
        asked += 1
        if asked < 120:
            await handle.signal("again", False)
        return Drained(processed=asked)

    async with Worker(
        client,
        task_queue=marker,
        workflows=[MailboxDrainWorkflow],
        activities=[drain_mailbox],
        workflow_runner=sandbox(),
    ):
        started = await client.start_workflow(
            MailboxDrainWorkflow.run, DrainInput(address="rig/a"), id=marker, task_queue=marker
        )
        assert (await started.result()).processed == 120
    first = client.get_workflow_handle(marker, run_id=started.first_execution_run_id)
    status = (await first.describe()).status
    assert status is not None
    assert status.name == "CONTINUED_AS_NEW"


@dataclass
class Fakes:
    """Ways to an agent that fail for some subjects, and what letters' workflows are told."""

    fails: dict[str, Exception] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    async def deliver(self, *args: Any) -> None:
        """A webhook's letters, or a command's one."""
        letters: list[Letter] = next(
            ([each] if isinstance(each, Letter) else list(each))
            for each in args
            if isinstance(each, Letter) or (each and isinstance(each[0], Letter))
        )
        for each in letters:
            if each.subject in self.fails:
                raise self.fails[each.subject]
        self.taken += [each.subject for each in letters]

    async def tell_letter(self, letter: str, news: str, *args: str) -> None:
        self.told.append((letter, news))

    async def first_alive(self, names: Sequence[str]) -> str | None:
        return None


async def drained(post: Post, box: Mailbox, fakes: Any) -> None:
    agents = AgentsSection(mailboxes=(box,))
    reach = Reach(fakes, fakes, fakes, fakes, {"SECRET": "s"})

    class Boxes:
        async def of(self, address: str) -> Mailbox:
            return agents.for_address(address)

    drain = DrainMailbox(post.letters, fakes, reach, fakes, Boxes(), agents)
    await ActivityEnvironment().run(drain.drain_mailbox, DrainInput(address=box.address))


async def test_a_command_does_not_get_again_what_it_took(post: Post, marker: str) -> None:
    address = f"{marker}/worker"
    letters = [await post.letter(address, subject=each) for each in ("one", "two", "three")]
    fakes = Fakes({"two": Transient("It failed.")})
    await drained(post, Mailbox(address=address, command=("take",)), fakes)
    assert fakes.taken == ["one"]
    assert fakes.told == [(letters[0], "delivered"), (letters[1], "unanswered_by")]


async def test_one_letter_that_is_refused_takes_no_others_with_it(post: Post, marker: str) -> None:
    address = f"{marker}/worker"
    letters = [await post.letter(address, subject=each) for each in ("one", "bad", "three")]
    fakes = Fakes({"bad": Permanent("It is refused.")})
    box = Mailbox(address=address, webhook="https://hook.example/", webhook_secret_env="SECRET")
    await drained(post, box, fakes)
    assert fakes.taken == ["one", "three"]
    assert (letters[1], "unanswered_by") in fakes.told
    assert await post.letters.state(letters[2]) is LetterState.DELIVERED


async def test_what_is_sent_again_is_not_waited_for(office: httpx.AsyncClient, marker: str) -> None:
    keyed = {**OVERSEER, "Idempotency-Key": marker}
    async with online(office, f"{marker}/worker") as desk:
        await send(office, desk.address, headers=keyed, wait=10)
        async with asyncio.timeout(5):
            again = await send(office, desk.address, headers=keyed, wait=30)
        assert again["status"] == "delivered"


# What grows, and what is done for nothing


async def test_what_was_confirmed_does_not_stay_as_long_as_its_session(
    post: Post, marker: str
) -> None:
    address = f"{marker}/worker"
    session, _ = await pushed(post, address, 2)
    first, _ = events = await post.sessions.open(session, address, 9, by_priority=True)
    assert await post.sessions.confirm(session, address, [each.event_id for each in events])
    await post.run(
        "UPDATE session_events SET confirmed_at = now() - interval '2h' WHERE event_id = :id",
        id=first.event_id,
    )
    await post.sessions.clean(LEASE)
    assert await post.sessions.confirm(session, address, [first.event_id]) is None
    assert await post.sessions.find(session)


async def test_a_scan_leaves_alone_whom_nothing_reaches(post: Post, marker: str) -> None:
    """A workflow for each would begin with every scan, for as long as a letter waits."""
    hooked, nobody, typing, online_ = (f"{marker}/{each}" for each in ("hook", "no", "tmux", "on"))
    for each in (hooked, nobody, typing, online_):
        await post.letter(each)
    await post.online(online_)
    fakes = Scanned(alive_ones={typing.replace("/", "-")})
    box = Mailbox(address=hooked, webhook="https://hook.example/", webhook_secret_env="SECRET")
    agents = AgentsSection(mailboxes=(box,))
    reach = Reach(fakes, fakes, fakes, fakes, {})  # type: ignore[arg-type]
    scan = ScanMailboxes(post.letters, post.sessions, fakes, reach, agents)
    wanted = ScanInput(priorities=tuple(Priority))
    await ActivityEnvironment().run(scan.scan_mailboxes, wanted)
    assert {each for each in fakes.drained if marker in each} == {hooked, typing, online_}


@dataclass
class Scanned(Fakes):
    alive_ones: set[str] = field(default_factory=set)
    drained: list[str] = field(default_factory=list)

    async def alive(self, names: Collection[str]) -> set[str]:
        return self.alive_ones & set(names)

    async def drain(self, address: str, *, gathers: bool = False) -> None:
        self.drained.append(address)


async def test_a_session_that_ends_is_pushed_nothing(post: Post, marker: str) -> None:
    """At that very moment; the letter goes on as if nobody had been there."""
    address = f"{marker}/worker"
    letter = await post.letter(address)
    session = await post.online(address)
    engine = post.engines.write.execution_options(isolation_level="READ COMMITTED")
    async with engine.begin() as ending:
        await ending.execute(text("DELETE FROM sessions WHERE session_id = :id"), {"id": session})
        pushing = asyncio.create_task(post.letters.push(address, [letter], all_sessions=False))
        await eventually(lambda: waits_for_a_lock(post, "ORDINALITY"))
    assert await pushing == []


# Many recipients, and nudges


async def test_nobody_writes_to_more_than_can_be_started(
    agents_house: House, office: httpx.AsyncClient, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.bridge.post_office.MOST_RECIPIENTS", 2)
    everybody = [f"{marker}/{n}" for n in range(3)]
    await agents_house.context.known_agents.remember(everybody)
    answer = await office.post("/mail", json={"to": f"{marker}/*"}, headers=OVERSEER)
    assert answer.status_code == 422
    assert "2 at most" in answer.json()["detail"]


async def test_a_letter_to_many_goes_on_where_it_broke_off(
    agents_house: House, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.bridge.post_office.AT_ONCE", 1)
    everybody, context = [f"{marker}/{n}" for n in range(3)], agents_house.context
    await context.known_agents.remember(everybody)
    new, now = NewLetter(to=f"{marker}/*"), datetime.now(UTC)
    routed = await context.office.routed(new, "mayor/", uuid4().hex, now)
    for letter in await context.office.send(routed[:2]):
        await reaches(agents_house, letter.id, "queued")
    started = []

    @dataclass(frozen=True)
    class Watched(PostOffice):
        async def start(self, letter: Letter) -> bool:
            started.append(letter.to)
            return await super().start(letter)

    watched = Watched(**{each.name: getattr(context.office, each.name) for each in GIVEN})
    assert len(await watched.send(routed)) == 3
    assert started == [f"{marker}/2"]


GIVEN = [each for each in fields(PostOffice) if each.name != "_seen"]


async def test_nobody_is_nudged_for_what_is_dealt_with(post: Post, marker: str) -> None:
    address = f"{marker}/worker"
    letter_id = await post.letter(address, priority=Priority.URGENT)
    await post.actions.acknowledge(letter_id)
    kept = await post.views.letter(letter_id)
    assert kept is not None
    again = EscalateInput(letter=kept[0], escalation=1)
    fakes = Fakes()
    reach = Reach(fakes, fakes, fakes, fakes, {})  # type: ignore[arg-type]
    nudge = NudgeAgain(post.letters, reach, fakes)  # type: ignore[arg-type]
    await ActivityEnvironment().run(nudge.nudge_again, again)
    assert "message.escalated" not in await post.lines(letter_id)
