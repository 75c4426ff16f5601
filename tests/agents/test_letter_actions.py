"""What is done to letters over HTTP, with their workflows running or long gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from house import TOKEN, House, bridge_on
from letters_world import Post
from prometheus_client.parser import text_string_to_metric_families
from temporalio.client import WorkflowExecutionStatus
from world import eventually

from mailroom.bridge.agent_auth import agent_token
from mailroom.bridge.auth import owner_token
from mailroom.models.agent_mail import (
    INLINE_BYTES,
    AgentMailInput,
    LetterProgress,
    LetterState,
    Priority,
)
from mailroom.models.letter_rows import LetterFilter
from mailroom.models.names import agent_mail_id

OVERSEER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def post(house: House) -> Post:
    return Post(house.adapters.engines, house.context.agents)


@pytest.fixture
async def to(house: House, marker: str) -> str:
    """An address that can be written to."""
    address = f"rig/{marker}"
    await house.context.known_agents.remember({address, f"{marker}/"})
    return address


@pytest.fixture
def me(house: House, to: str) -> dict[str, str]:
    """The token of that address."""
    return {"Authorization": f"Bearer {agent_token(house.context, to)}"}


async def send(bridge: httpx.AsyncClient, to: str, **more: Any) -> str:
    """The ID of a letter that waits in its recipient's inbox."""
    letter = {"to": to, "subject": "Work", "body": "Please.", "delivery": "queue", **more}
    sent = await bridge.post("/mail", params={"wait": 20}, json=letter, headers=OVERSEER)
    assert sent.status_code == 201, sent.text
    assert sent.json()["status"] == "queued", sent.text
    return str(sent.json()["id"])


async def dead(house: House, bridge: httpx.AsyncClient, to: str, **more: Any) -> str:
    letter = await send(bridge, to, **more)
    await house.context.letter_flows.signal(letter, "bury", "Nobody wants it.")
    await reaches(house, letter, LetterState.DEAD_LETTER)
    return letter


async def reaches(house: House, letter: str, state: LetterState) -> None:
    async def there() -> bool:
        return await house.context.letters.state(letter) is state

    await eventually(there)


async def ended(house: House, letter: str) -> LetterState:
    """The state in which its workflow left it, without time being skipped: letters expire."""
    handle = house.client.get_workflow_handle(agent_mail_id(letter), result_type=LetterProgress)

    async def over() -> bool:
        return (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING

    await eventually(over)
    return (await handle.result()).state


async def act(
    bridge: httpx.AsyncClient, letter: str, what: str, headers: dict[str, str] = OVERSEER
) -> dict[str, Any]:
    answer = await bridge.post(f"/mail/{letter}/{what}", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refused(
    bridge: httpx.AsyncClient, letter: str, what: str, headers: dict[str, str] = OVERSEER
) -> tuple[int, str]:
    answer = await bridge.post(f"/mail/{letter}/{what}", headers=headers)
    assert answer.is_error, answer.text
    return answer.status_code, answer.json()["detail"]


async def get(
    bridge: httpx.AsyncClient, path: str, headers: dict[str, str] = OVERSEER, **asked: Any
) -> Any:
    answer = await bridge.get(path, params=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- read, acknowledged, pinned


async def test_reading_a_letter_that_waits_delivers_it(
    house: House, bridge: httpx.AsyncClient, to: str, me: dict[str, str]
) -> None:
    letter = await send(bridge, to)
    assert (await bridge.get(f"/mail/{letter}/delivery", headers=me)).status_code == 404
    read = await act(bridge, letter[:8], "read", me)
    assert (read["id"], read["status"], read["channel"]) == (letter, "delivered", "inbox")
    assert (read["from"], read["body"], read["reason"]) == ("overseer", "Please.", None)
    assert read["delivered_at"] == read["read_at"]
    assert await ended(house, letter) is LetterState.DELIVERED
    again = await act(bridge, letter, "read", me)
    assert again["read_at"] == read["read_at"]
    found = await get(bridge, f"/mail/{letter}", me)
    assert [line["type"] for line in found["timeline"]][-3:] == [
        "message.queued", "message.routed", "message.read",
    ]  # fmt: skip
    confirmed = await get(bridge, f"/mail/{letter}/delivery", me)
    assert confirmed == {"session_id": None, "delivered_at": read["delivered_at"]}
    assert (await get(bridge, "/mail/inbox", me))["items"] == []
    assert [one["id"] for one in (await get(bridge, "/mail/inbox", me, all=True))["items"]] == [
        letter
    ]


async def test_a_session_does_not_get_what_was_read_in_the_inbox(post: Post, to: str) -> None:
    letter = await post.letter(to)
    session = await post.online(to)
    await post.letters.push(to, [letter], all_sessions=False)
    assert len(await post.sessions.open(session, to, 9, by_priority=True)) == 1
    done = await post.actions.read(letter)
    assert done is not None
    assert done.waits
    assert await post.sessions.open(session, to, 9, by_priority=True) == []
    assert (await post.row(letter)).session_id is None


async def test_an_urgent_letter_that_was_acknowledged_does_not_escalate(
    house: House, bridge: httpx.AsyncClient, to: str, me: dict[str, str]
) -> None:
    letter = await send(bridge, to, priority="urgent")
    read = await act(bridge, letter, "read", me)
    assert read["status"] == "delivered"
    acked = await act(bridge, letter, "ack", me)
    assert acked["status"] == "acknowledged"
    assert acked["read_at"] == read["read_at"]
    assert await ended(house, letter) is LetterState.ACKNOWLEDGED
    assert (await act(bridge, letter, "ack", me))["acknowledged_at"] == acked["acknowledged_at"]
    types = [line["type"] for line in (await get(bridge, f"/mail/{letter}"))["timeline"]]
    assert types.count("message.acknowledged") == 1
    assert "message.escalated" not in types


async def test_acknowledging_a_letter_that_waits_delivers_it_too(
    house: House, bridge: httpx.AsyncClient, to: str, me: dict[str, str]
) -> None:
    letter = await send(bridge, to)
    acked = await act(bridge, letter, "ack", me)
    assert (acked["status"], acked["channel"]) == ("acknowledged", "inbox")
    assert acked["read_at"] == acked["delivered_at"] == acked["acknowledged_at"]
    assert await ended(house, letter) is LetterState.ACKNOWLEDGED


async def test_an_acknowledgement_that_nobody_told_is_found_by_the_scan(
    post: Post, to: str
) -> None:
    letter = await post.letter(to, LetterState.DELIVERED, priority=Priority.URGENT)
    plain = await post.letter(to, LetterState.DELIVERED)
    for each in (letter, plain):
        await post.actions.acknowledge(each)
    untold = dict(await post.letters.untold(100_000))
    assert untold[letter] == "acknowledged"
    assert plain not in untold
    await post.letters.told([letter])
    assert letter not in dict(await post.letters.untold(100_000))


@pytest.mark.parametrize(
    "state", [LetterState.DEAD_LETTER, LetterState.EXPIRED, LetterState.DISCARDED]
)
async def test_what_is_over_can_be_read_and_no_more(
    post: Post, bridge: httpx.AsyncClient, to: str, me: dict[str, str], state: LetterState
) -> None:
    letter = await post.letter(to, state)
    read = await act(bridge, letter, "read", me)
    assert (read["status"], read["delivered_at"]) == (state, None)
    assert read["read_at"]
    shown = state.replace("_", " ")
    for what, done in (("ack", "acknowledged"), ("pin", "pinned")):
        sentence = f"This letter is {shown}; it can't be {done}."
        assert await refused(bridge, letter, what, me) == (409, sentence)
    assert (await act(bridge, letter, "unpin", me))["pinned"] is False


async def test_a_pinned_letter_stays_on_top(
    post: Post, bridge: httpx.AsyncClient, to: str, me: dict[str, str]
) -> None:
    first = await post.letter(to, LetterState.DELIVERED)
    second = await post.letter(to, priority=Priority.URGENT)
    await act(bridge, first, "read", me)
    assert (await act(bridge, first, "pin", me))["pinned"] is True
    inbox = (await get(bridge, "/mail/inbox", me))["items"]
    assert [one["id"] for one in inbox] == [first, second]
    assert (await act(bridge, first, "unpin", me))["pinned"] is False
    assert [one["id"] for one in (await get(bridge, "/mail/inbox", me))["items"]] == [second]


# --- replayed, discarded


async def test_a_dead_letter_is_replayed_and_read(
    house: House, bridge: httpx.AsyncClient, to: str, me: dict[str, str]
) -> None:
    letter = await dead(house, bridge, to)
    assert (await get(bridge, f"/mail/{letter}"))["reason"] == "Nobody wants it."
    replayed = await act(bridge, letter, "replay")
    assert replayed["status"] != "dead_letter"
    await reaches(house, letter, LetterState.QUEUED)
    await act(bridge, letter, "read", me)
    assert await ended(house, letter) is LetterState.DELIVERED


async def test_only_dead_letters_are_replayed(
    post: Post, bridge: httpx.AsyncClient, to: str
) -> None:
    letter = await post.letter(to, LetterState.DELIVERED)
    status, sentence = await refused(bridge, letter, "replay")
    assert (status, sentence) == (
        409, "Only a dead letter can be replayed; this one is delivered.",
    )  # fmt: skip
    status, sentence = await refused(bridge, letter, "discard")
    assert (status, sentence) == (409, "It has arrived: this letter is delivered.")


@pytest.mark.parametrize("of", ["dead", "waiting"])
async def test_a_letter_is_discarded_once(
    house: House, bridge: httpx.AsyncClient, to: str, of: str
) -> None:
    letter = await (dead(house, bridge, to) if of == "dead" else send(bridge, to))
    gone = await act(bridge, letter, "discard")
    assert (gone["status"], gone["reason"]) == ("discarded", "Discarded by the overseer.")
    assert await ended(house, letter) is LetterState.DISCARDED
    assert (await refused(bridge, letter, "discard"))[0] == 409
    assert (await get(bridge, "/mail/inbox", address=to, all=True))["items"] == []


async def test_a_letter_whose_workflow_is_gone_is_not_stuck(
    house: House, post: Post, bridge: httpx.AsyncClient, to: str, me: dict[str, str]
) -> None:
    unwanted, wanted = [await post.letter(to, LetterState.DEAD_LETTER) for _ in range(2)]
    gone = await act(bridge, unwanted, "discard")
    assert gone["status"] == "discarded"
    assert await post.lines(unwanted) == ["message.dead_letter", "message.discarded"]
    await act(bridge, wanted, "replay")

    async def queued() -> bool:
        return "message.queued" in await post.lines(wanted)

    await eventually(queued)
    row = await post.row(wanted)
    assert (row.attempts, row.thread_id, row.subject) == (0, wanted, "Work")
    assert "message.replayed" in await post.lines(wanted)
    await act(bridge, wanted, "read", me)
    assert await ended(house, wanted) is LetterState.DELIVERED


async def test_a_letter_whose_workflow_was_terminated_is_replayed(
    house: House, bridge: httpx.AsyncClient, to: str
) -> None:
    letter = await dead(house, bridge, to)
    await house.client.get_workflow_handle(agent_mail_id(letter)).terminate("a mistake")
    await act(bridge, letter, "replay")
    await reaches(house, letter, LetterState.QUEUED)
    await act(bridge, letter, "read")
    assert await ended(house, letter) is LetterState.DELIVERED


async def test_an_order_that_no_worker_has_heard_yet_is_followed_later(
    dev_house: House, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.bridge.letter_orders.SEEN_WITHIN", timedelta(seconds=0.1))
    post = Post(dev_house.adapters.engines, dev_house.context.agents)
    letter = await post.letter(f"rig/{marker}")
    found = await post.views.letter(letter)
    assert found is not None
    carried = LetterProgress(step=1, resting=True)
    mail = AgentMailInput(letter=found[0], carried=carried)
    await dev_house.context.letter_flows.start(mail)
    async with bridge_on(dev_house.context) as bridge:
        answer = await bridge.post(f"/mail/{letter}/discard", headers=OVERSEER)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    async with dev_house.at_work():
        await reaches(dev_house, letter, LetterState.DISCARDED)
        assert await ended(dev_house, letter) is LetterState.DISCARDED
    assert await post.lines(letter) == ["message.queued", "message.discarded"]


async def test_all_that_match_are_replayed(
    house: House, post: Post, bridge: httpx.AsyncClient, to: str, marker: str
) -> None:
    running = [await dead(house, bridge, to, subject=f"w{marker} alive") for _ in range(3)]
    rows = [await post.letter(to, LetterState.DEAD_LETTER, subject=f"w{marker}") for _ in range(4)]
    other = await post.letter(to, LetterState.DEAD_LETTER, subject="Something else")
    which = {"to": to, "search": f"w{marker}", "status": "dead_letter"}
    asked = await bridge.post("/mail/replay", params=which | {"dry_run": True}, headers=OVERSEER)
    assert asked.json() == {"count": 7, "ids": [*running, *rows]}
    assert await house.context.letters.state(rows[0]) is LetterState.DEAD_LETTER
    done = await bridge.post("/mail/replay", params=which, headers=OVERSEER)
    assert done.json() == asked.json()
    for each in (*running, *rows):
        await reaches(house, each, LetterState.QUEUED)
    assert await house.context.letters.state(other) is LetterState.DEAD_LETTER


async def test_many_are_discarded_in_batches(
    post: Post, bridge: httpx.AsyncClient, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.bridge.letter_bulk.BATCH", 3)
    monkeypatch.setattr("mailroom.bridge.letter_bulk.SHOWN", 5)
    old = [await post.letter(to, LetterState.DEAD_LETTER, sender="mayor/") for _ in range(7)]
    kept = await post.letter(to, sender="mayor/")
    which: dict[str, Any] = {"to": to, "from": "mayor/", "priority": ["normal", "low"]}
    done = await bridge.post("/mail/discard", params=which, headers=OVERSEER)
    assert done.json() == {"count": 7, "ids": old[:5]}
    assert {(await post.row(each)).status for each in old} == {LetterState.DISCARDED}
    assert (await post.row(kept)).status is LetterState.QUEUED
    which["status"] = "queued"
    done = await bridge.post("/mail/discard", params=which, headers=OVERSEER)
    assert done.json() == {"count": 1, "ids": [kept]}


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/mail/replay", {"status": "queued"}),
        ("/mail/discard", {"status": "delivered"}),
        ("/mail/discard", {"state": "dead_letter"}),
        ("/mail/discard", {"to": "no address"}),
        ("/mail/discard", {"search": "x" * 501}),
    ],
)
async def test_a_filter_that_makes_no_sense_discards_nothing(
    bridge: httpx.AsyncClient, path: str, asked: dict[str, str]
) -> None:
    answer = await bridge.post(path, params=asked, headers=OVERSEER)
    assert answer.status_code == 422, answer.text


# --- who may see what


async def test_an_agent_sees_its_own_letters_alone(
    post: Post, bridge: httpx.AsyncClient, to: str, me: dict[str, str], marker: str
) -> None:
    other = f"{marker}/"
    got = await post.letter(to, sender=other)
    sent = await post.letter(other, sender=to, thread=got, reply_to=got)
    foreign = await post.letter(other, sender="mayor/", thread=got)

    async def listed(**asked: str) -> list[str]:
        return [one["id"] for one in (await get(bridge, "/mail", me, **asked))["items"]]

    assert await listed() == [sent, got]
    assert await listed(to=other) == [sent]
    assert await listed(**{"from": other}) == [got]
    assert await listed(thread=got) == [sent, got]
    assert await listed(to=to.upper()) == [got]
    assert [one["id"] for one in (await get(bridge, f"/mail/{got}/thread", me))["items"]] == [
        got,
        sent,
    ]
    everything = (await get(bridge, f"/mail/{got}/thread"))["items"]
    assert [one["id"] for one in everything] == [got, sent, foreign]
    for path in ("", "/thread", "/delivery"):
        answer = await bridge.get(f"/mail/{foreign}{path}", headers=me)
        assert answer.status_code == 403, path
    for what in ("read", "ack", "pin", "unpin"):
        assert (await refused(bridge, foreign, what, me))[0] == 403
        assert (await refused(bridge, sent, what, me))[0] == 403, "it is the recipient's to do"
    assert (await post.row(sent)).read_at is None
    refusals: tuple[tuple[str, dict[str, str]], ...] = (
        ("/mail", {"to": other, "from": "mayor/"}),
        ("/mail/inbox", {"address": other}),
    )
    for path, asked in refusals:
        assert (await bridge.get(path, params=asked, headers=me)).status_code == 403, path


async def test_the_whole_is_the_overseers(
    house: House, post: Post, bridge: httpx.AsyncClient, to: str, me: dict[str, str]
) -> None:
    letter = await post.letter(to, LetterState.DEAD_LETTER)
    asked = [
        ("GET", "/mail/queues"), ("GET", "/mail/mailboxes"), ("GET", "/mail/stats"),
        ("GET", "/mail/rules"), ("POST", "/mail/rules/dry-run"),
        ("GET", "/agents/token?address=mayor/"),
        ("GET", "/mail/processing"), ("PUT", "/mail/processing"),
        ("POST", "/mail/replay"), ("POST", "/mail/discard"),
        ("POST", f"/mail/{letter}/replay"), ("POST", f"/mail/{letter}/discard"),
    ]  # fmt: skip
    [owner] = house.context.owners
    theirs = {"Authorization": f"Bearer {owner_token(house.context, owner)}"}
    for method, path in asked:
        for headers, status in ((me, 403), (theirs, 403), ({}, 401)):
            contents = {"/mail/processing": {"enabled": False}, "/mail/rules/dry-run": {"to": to}}
            content = contents.get(path) if method != "GET" else None
            answer = await bridge.request(method, path, headers=headers, json=content)
            assert answer.status_code == status, f"{method} {path}: {answer.text}"
    assert (await post.row(letter)).status is LetterState.DEAD_LETTER


async def test_an_id_may_be_abbreviated(post: Post, bridge: httpx.AsyncClient, to: str) -> None:
    unique = uuid4().hex
    one = await post.letter(to, id=f"{unique[:31]}0")
    await post.letter(to, id=f"{unique[:31]}1")
    assert (await get(bridge, f"/mail/{one.upper()}"))["id"] == one
    for prefix, status in (
        (unique[:12], 409), (unique[:5], 422), (uuid4().hex, 404), ("no-letter", 404),
        (f"{one}0", 404), ("%00%00%00%00%00%00", 404),
    ):  # fmt: skip
        answer = await bridge.get(f"/mail/{prefix}", headers=OVERSEER)
        assert answer.status_code == status, prefix


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/mail", {"to": "no address"}),
        ("/mail", {"status": "lost"}),
        ("/mail", {"cursor": "0"}),
        ("/mail", {"thread": "\0" * 32}),
        ("/mail", {"limit": "201"}),
        ("/mail", {"colour": "red"}),
        ("/mail/inbox", {"cursor": "elsewhere"}),
        ("/mail/inbox", {"address": "rig/\0"}),
        ("/mail/stats", {"hours": "0"}),
    ],
)
async def test_what_can_not_be_asked_is_refused(
    bridge: httpx.AsyncClient, path: str, asked: dict[str, str]
) -> None:
    answer = await bridge.get(path, params=asked, headers=OVERSEER)
    assert answer.status_code == 422, answer.text


async def test_a_long_letter_is_whole_where_it_is_read(
    bridge: httpx.AsyncClient, to: str, me: dict[str, str]
) -> None:
    body = "ü" * INLINE_BYTES
    letter = await send(bridge, to, body=body)
    assert (await get(bridge, "/mail", me, search="Work"))["items"][0]["body"] is None
    assert (await get(bridge, f"/mail/{letter}", me))["body"] == body
    assert (await act(bridge, letter, "read", me))["body"] == body


# --- the whole


@asynccontextmanager
async def switched_off(bridge: httpx.AsyncClient) -> AsyncIterator[None]:
    async def switch(enabled: bool) -> None:
        answer = await bridge.put("/mail/processing", json={"enabled": enabled}, headers=OVERSEER)
        assert answer.json() == {"enabled": enabled}

    await switch(False)
    try:
        yield
    finally:
        await switch(True)


async def test_letters_wait_while_processing_is_off_and_go_on_after(
    house: House, bridge: httpx.AsyncClient, to: str
) -> None:
    new = {"address": to, "daemon_id": "d"}
    session = (await bridge.post("/sessions", json=new, headers=OVERSEER)).json()
    async with switched_off(bridge):
        assert await get(bridge, "/mail/processing") == {"enabled": False}
        letter = await send(bridge, to)
        assert (await get(bridge, f"/mail/{letter}"))["reason"] == "Processing is switched off."
        queues = await get(bridge, "/mail/queues")
        assert queues["enabled"] is False
        waits = next(one for one in queues["inbound"]["items"] if one["id"] == letter)
        assert (waits["from"], waits["to"], waits["attempts"]) == ("overseer", to, 0)
    path = f"/sessions/{session['session_id']}/events"
    token = {"Authorization": f"Bearer {session['token']}"}
    events = (await bridge.get(path, params={"wait": 30}, headers=token)).json()
    assert [event["message"]["id"] for event in events] == [letter]
    confirmed = await bridge.post(f"{path}/{events[0]['event_id']}/confirm", headers=token)
    assert confirmed.json() == {"delivered": True}
    assert await ended(house, letter) is LetterState.DELIVERED


async def test_the_overview_has_what_there_is(
    post: Post, bridge: httpx.AsyncClient, to: str
) -> None:
    letter = await post.letter(to, LetterState.DEAD_LETTER)
    await post.letter(to, LetterState.DELIVERED)
    queues = await get(bridge, "/mail/queues", limit=1)
    assert queues["dead_letter"]["items"][0]["id"] == letter
    assert queues["dead_letter"]["total"] >= 1
    boxes = {box["address"]: box for box in (await get(bridge, "/mail/mailboxes"))["items"]}
    assert boxes[to] == {
        "address": to, "online": False, "sessions": 0, "queued": 0, "unread": 1,
        "dead_letters": 1, "circuit": "closed", "last_active_at": None,
    }  # fmt: skip
    stats = await get(bridge, "/mail/stats", hours=1)
    assert stats["delivered"] >= 1
    assert stats["events"]["message.dead_letter"] >= 1
    assert stats["delivery_seconds"].keys() == {"p50", "p95"}
    assert await get(bridge, "/mail/rules") == {"rules": []}


async def test_rules_are_tried_on_a_letter_that_nobody_sends(
    post: Post, bridge: httpx.AsyncClient, to: str, marker: str
) -> None:
    rule = {"name": "trial", "match": {"subject": marker}, "delay": "1h", "copy": "overseer"}
    letter = {"to": to, "subject": f"About {marker}", "from": "mayor/", "priority": "high"}

    async def tried(**more: Any) -> httpx.Response:
        return await bridge.post("/mail/rules/dry-run", json=letter | more, headers=OVERSEER)

    plain = (await tried()).json()
    assert [(one["to"], one["delivery"]) for one in plain["letters"]] == [(to, "interrupt")]
    ruled = (await tried(rules=[rule])).json()
    assert [one["to"] for one in ruled["letters"]] == [to, "overseer"]
    assert ruled["letters"][0]["not_before"]
    assert ruled["applied"] == ["rule 1 (trial): copied to overseer, delayed by 1h"]
    assert (await post.views.page(LetterFilter(to=to))).items == []
    nearly = await tried(to=f"{to}x")
    assert (nearly.status_code, to in nearly.json()["nearest"]) == (422, True)
    for wrong in ({"to": "?"}, {"rules": [{"name": "x", "match": {}}]}, {"colour": "red"}):
        assert (await tried(**wrong)).status_code == 422, wrong


async def test_an_agents_token_is_handed_out(
    house: House, bridge: httpx.AsyncClient, to: str, me: dict[str, str]
) -> None:
    found = await get(bridge, "/agents/token", address=to.upper())
    assert found == {"address": to, "token": agent_token(house.context, to)}
    assert (await get(bridge, "/mail", me))["items"] == []
    answer = await bridge.get("/agents/token", params={"address": "?"}, headers=OVERSEER)
    assert answer.status_code == 422


async def test_metrics_count_letters_sessions_and_events(
    house: House, post: Post, bridge: httpx.AsyncClient, to: str
) -> None:
    await post.letter(to, LetterState.DEAD_LETTER)
    await post.online(to)
    answer = await bridge.get("/metrics", headers=OVERSEER)
    families = {one.name: one for one in text_string_to_metric_families(answer.text)}
    counts = await house.context.letter_figures.counts()
    statuses = {one.labels["status"]: one.value for one in families["mailroom_letters"].samples}
    assert statuses.keys() == {"queued", "delivering", "retrying", "dead_letter"}
    assert statuses["dead_letter"] >= 1
    for name in ("mailroom_dead_letters", "mailroom_sessions_online"):
        assert families[name].samples[0].value >= 1, name
    assert families["mailroom_letters_queued"].samples[0].value == counts.waiting
    assert families["mailroom_circuits_open"].samples[0].value == counts.circuits_open
    events = families["mailroom_agent_events"]
    assert events.type == "counter"
    assert {one.name for one in events.samples} == {"mailroom_agent_events_total"}
    by_type = {one.labels["type"]: one.value for one in events.samples}
    assert by_type["message.dead_letter"] >= 1
    assert by_type["session.registered"] >= 1
    [owner] = house.context.owners
    theirs = {"Authorization": f"Bearer {owner_token(house.context, owner)}"}
    assert "mailroom_letters" not in (await bridge.get("/metrics", headers=theirs)).text
