"""The pages of outbound mail without a browser: whose they are, what they show, what their forms
must have, and other people's words as text."""

import json
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

import httpx
import pytest
from house import TOKEN, House
from outbound_world import Outbound
from sqlalchemy import text

from mailroom.bridge.auth import owner_token
from mailroom.bridge.pages_outbound_events import BURST_SECONDS, Rate
from mailroom.bridge.pages_outbound_words import shares
from mailroom.models.events import MailEvent
from mailroom.models.outbound.words import MessageQueueStatus as S

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}</title>\u202e"
NONE = UUID(int=0)
PAGES = (
    "/outbound",
    "/outbound/now",
    "/outbound/figures",
    "/outbound/messages",
    "/outbound/messages/rows",
    "/outbound/stream",
    "/outbound/domains",
    "/outbound/domains/find",
    "/outbound/domains/example.com",
    "/outbound/domains/example.com/state",
    "/outbound/suspensions",
    "/outbound/operations",
    "/outbound/operations/trail",
    "/outbound/operations/stream",
    f"/outbound/operations/{NONE}",
    f"/outbound/operations/{NONE}/state",
    f"/outbound/{NONE}",
    f"/outbound/{NONE}/state",
)


@pytest.fixture
async def person(queue_api: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The operator's browser."""
    async with httpx.AsyncClient(base_url=queue_api.base_url, timeout=60) as browser:
        await browser.get("/login", params={"token": TOKEN})
        yield browser


@pytest.fixture
async def owner(
    outbound_house: House, queue_api: httpx.AsyncClient
) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of somebody who has mail here, and is no operator."""
    [one, *_] = outbound_house.context.owners
    async with httpx.AsyncClient(base_url=queue_api.base_url, timeout=60) as browser:
        await browser.get("/login", params={"token": owner_token(outbound_house.context, one)})
        yield browser


async def press(person: httpx.AsyncClient, id: UUID, **form: str) -> httpx.Response:
    page = (await person.get("/outbound")).text
    [csrf, *_] = re.findall(r'name="csrf" value="([0-9a-f]+)"', page)
    return await person.post(f"/outbound/{id}", data={"csrf": csrf, **form})


def notice_of(page: httpx.Response) -> str:
    [said] = re.findall(r'<p id="notice"[^>]*>(.*?)</p>', page.text, re.DOTALL)
    return unescape(re.sub(r"<[^>]*>", "", said)).strip()


def buttons(page: httpx.Response) -> list[str]:
    return re.findall(r'<button id="(\w+)" name="offer"', page.text)


@pytest.mark.parametrize("path", PAGES)
async def test_only_the_operator_sees_them(owner: httpx.AsyncClient, path: str) -> None:
    answer = await owner.get(path)
    assert answer.status_code == 403
    assert "operator" in answer.text
    async with httpx.AsyncClient(base_url=owner.base_url) as stranger:
        sent = await stranger.get(path)
    assert sent.status_code == 303
    assert unquote(sent.headers["location"]) == f"/login?next={path}"


async def test_only_the_operator_finds_the_way_to_them(
    owner: httpx.AsyncClient, person: httpx.AsyncClient
) -> None:
    assert 'href="/outbound"' not in (await owner.get("/")).text
    assert 'href="/outbound"' in (await person.get("/")).text


async def test_a_campaign_with_its_numbers_and_queues(
    person: httpx.AsyncClient, outbound: Outbound
) -> None:
    name = outbound.marker
    state = {"state": "suspended", "reason": "they move", "until": "2035-01-01T00:00:00Z"}
    await outbound.http.put(f"/queue/queues/{name}", json=state)
    held = await outbound.submit(campaign_id=name)
    later = await outbound.submit("defer-always", campaign_id=name, queue_name=f"{name}-2")
    await outbound.reached(later, "deferred")
    page = await person.get("/outbound", params={"campaign": name})
    shown = " ".join(re.sub(r"<[^>]*>", " ", unescape(page.text)).split())
    for words in (
        "2 messages of this campaign",
        "1 ready",
        "1 deferred",
        "suspended until 01 Jan 2035, 00:00 UTC they move",
        "451 4.3.2 try later",
    ):
        assert words in shown, words
    [deferred] = re.findall(r'id="share-deferred" class="deferred" href="([^"]*)"', page.text)
    one = await person.get(unescape(deferred))
    assert f'href="/outbound/{held}"' not in one.text
    assert f'href="/outbound/{later}"' in one.text
    for id in (held, later):
        await outbound.tell(id, "cancel")


@pytest.mark.parametrize(
    ("filter", "fits"),
    [
        ("queue_name={queue}", True),
        ("queue_name=%20{queue}%20&domain=&status=", True),
        ("domain=Example.com&queue_name={queue}", True),
        ("domain=example.net&queue_name={queue}", False),
        ("recipient={to}", True),
        ("recipient=other@example.com&queue_name={queue}", False),
        ("status=scheduled&queue_name={queue}", True),
        ("status=bounced&status=scheduled&queue_name={queue}", True),
        ("status=bounced&queue_name={queue}", False),
        ("search_query={queue}", True),
        ("domains=example.net,+example.com&queue_name={queue}", True),
        ("tags=a,b&queue_name={queue}", False),
        ("scheduled_after=2034-12-31T23:59&queue_name={queue}", True),
        ("scheduled_after=2035-01-01T00:01&queue_name={queue}", False),
        ("max_attempts=0&min_size_bytes=1&priority=5&queue_name={queue}", True),
        ("min_attempts=1&queue_name={queue}", False),
    ],
)
async def test_filters(
    person: httpx.AsyncClient, outbound: Outbound, filter: str, fits: bool
) -> None:
    id = await outbound.submit(scheduled_at="2035-01-01T00:00:00Z")
    query = filter.format(queue=outbound.marker, to=quote(outbound.to("take")))
    page = await person.get(f"/outbound/messages?{query}")
    assert (f'href="/outbound/{id}"' in page.text) is fits
    await outbound.tell(id, "cancel")


async def test_older_messages_are_a_page_further(
    person: httpx.AsyncClient, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.bridge.pages_outbound_list.PAGE", 2)
    at = "2035-01-01T00:00:00Z"
    ids = [await outbound.submit(scheduled_at=at, campaign_id=outbound.marker) for _ in range(3)]
    first = await person.get("/outbound/messages", params={"campaign_id": outbound.marker})
    [older] = re.findall(r'class="button next" href="([^"]*)"', first.text)
    second = await person.get(unescape(older))
    for id, page in zip(ids, (second, first, first), strict=True):
        assert f'href="/outbound/{id}"' in page.text
    assert f'href="/outbound/{ids[0]}"' not in first.text
    [live] = re.findall(r'hx-get="(/outbound/messages/rows[^"]*)"', second.text)
    again = await person.get(unescape(live))
    assert f'href="/outbound/{ids[0]}"' in again.text
    assert f'href="/outbound/{ids[1]}"' not in again.text
    for id in ids:
        await outbound.tell(id, "cancel")


async def test_a_cursor_that_is_none_is_said(person: httpx.AsyncClient) -> None:
    page = await person.get("/outbound/messages?cursor=nonsense")
    assert page.status_code == 422
    assert notice_of(page).startswith("cursor: this is no cursor of ours")


async def test_one_message_from_suspension_to_cancellation(
    person: httpx.AsyncClient, outbound: Outbound
) -> None:
    id = await outbound.submit("defer-always")
    await outbound.reached(id, "deferred")
    page = await person.get(f"/outbound/{id}")
    assert buttons(page) == ["retry", "suspend", "cancel"]
    assert "451 4.3.2 try later" in page.text
    assert "Next attempt" in page.text
    answer = await press(person, id, offer="suspend", reason="a look first")
    assert answer.headers["location"] == f"/outbound/{id}"
    await outbound.reached(id, "suspended")
    page = await person.get(f"/outbound/{id}")
    assert notice_of(page) == "The message is to be suspended."
    assert buttons(page) == ["resume", "retry", "cancel"]
    assert "a look first" in page.text
    await press(person, id, offer="resume")
    await outbound.reached(id, "deferred")
    await press(person, id, offer="retry")
    await outbound.reached(id, "deferred", num_attempts=2)
    await press(person, id, offer="cancel")
    await outbound.ended(id)
    assert buttons(await person.get(f"/outbound/{id}")) == []
    await press(person, id, offer="retry")
    late = await person.get(f"/outbound/{id}")
    assert notice_of(late) == "The message is cancelled; nothing changes that any more."


async def test_what_may_have_been_sent_is_asked_about(
    person: httpx.AsyncClient, outbound: Outbound, outbound_house: House
) -> None:
    id = await outbound.submit("drop-after-dot")
    await outbound.reached(id, "suspended")
    page = await person.get(f"/outbound/{id}")
    assert "may have been sent" in page.text
    assert buttons(page) == ["retry", "cancel"]
    asked = await press(person, id, offer="retry", reason=HOSTILE)
    assert "Send it again?" in asked.text
    assert "<script>alert" not in asked.text
    assert len(await outbound.events(id)) == 2
    await press(person, id, offer="retry", sure="true")
    await outbound.reached(id, "delivered")
    assert len(outbound_house.sink.mails[outbound.to("drop-after-dot")]) == 2


async def test_no_form_counts_without_its_token_or_for_others(
    person: httpx.AsyncClient, owner: httpx.AsyncClient, outbound: Outbound
) -> None:
    id = await outbound.submit(scheduled_at="2035-01-01T00:00:00Z")
    for forged in ({}, {"csrf": "0" * 64}):
        answer = await person.post(f"/outbound/{id}", data={"offer": "cancel", **forged})
        assert answer.status_code == 403
    [own, *_] = re.findall(r'name="csrf" value="([0-9a-f]+)"', (await owner.get("/")).text)
    theirs = await owner.post(f"/outbound/{id}", data={"offer": "cancel", "csrf": own})
    assert theirs.status_code == 403
    assert await outbound.events(id) == ["submitted"]
    await press(person, id, offer="cancel")
    await outbound.ended(id)


async def test_what_others_wrote_stays_text(
    person: httpx.AsyncClient, outbound: Outbound, outbound_house: House
) -> None:
    mark, plain = outbound.marker, HOSTILE.replace("\u202e", "")
    id = await outbound.submit(
        headers={"Subject": plain, "From": f'"{plain}" <news@company.com>'.replace('""', '"')},
        queue_name=f"{mark}{plain}",
        campaign_id=f"{mark}{plain}"[:100],
        tenant_id=plain,
        tags=[plain],
        scheduled_at="2035-01-01T00:00:00Z",
    )
    await outbound.tell(id, "suspend", reason=HOSTILE)
    await outbound.reached(id, "suspended")
    await answered(outbound_house, id, HOSTILE)
    await outbound.http.put(
        f"/queue/queues/{quote(f'{mark}{plain}', safe='')}",
        json={"state": "suspended", "reason": HOSTILE},
    )
    campaign = quote(f"{mark}{plain}"[:100], safe="")
    for path in (
        f"/outbound?campaign={campaign}",
        f"/outbound/now?campaign={campaign}",
        f"/outbound/messages?campaign_id={campaign}",
        f"/outbound/messages/rows?campaign_id={campaign}",
        f"/outbound/{id}",
        f"/outbound/{id}/state",
        f"/outbound/messages?queue_name={quote(HOSTILE)}",
        f"/outbound/messages?recipient={quote(HOSTILE)}",
        f"/outbound/messages?tags={quote(HOSTILE)}",
        f"/outbound/domains/{quote(HOSTILE.replace('/', ''))}",
        f"/outbound?campaign={quote(HOSTILE)}",
    ):
        page = await person.get(path)
        assert page.status_code == 200, path
        assert "<img" not in page.text, path
        assert "<script>" not in page.text, path
        assert "style=" not in page.text, path
        if "/now" not in path:
            assert "alert(1)" in unescape(page.text), path
        assert "script-src 'self';" in page.headers["content-security-policy"], path
    one = (await person.get(f"/outbound/{id}")).text
    assert "550" in one
    assert unescape(one).count("alert(1)") >= 8
    await outbound.tell(id, "cancel")


async def answered(house: House, id: UUID, words: str) -> None:
    """A server said it."""
    response = {"code": 550, "message": words, "timestamp": "2026-01-01T00:00:00Z"}
    detail = {"attempt": 1, "response": response}
    values = {"id": str(id), "response": json.dumps(response), "detail": json.dumps(detail)}
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(_ANSWERED, values)
        await connection.execute(_TOLD, values)


_ANSWERED = text("""
    UPDATE message_queue SET smtp_response = CAST(:response AS jsonb), last_bounce_reason = NULL
    WHERE id = CAST(:id AS uuid)
""")
_TOLD = text("""
    INSERT INTO events (owner, message_id, step, type, detail)
    VALUES ('outbound', :id, 99, 'message.deferred', CAST(:detail AS jsonb))
""")


@pytest.mark.parametrize(
    "path",
    [
        "/outbound?period=year",
        "/outbound/17",
        f"/outbound/{UUID(int=17)}",
        "/outbound?campaign=%00",
        "/outbound/operations/17",
        f"/outbound/operations/{UUID(int=17)}",
        "/outbound/operations?cursor=nonsense",
        "/outbound/domains?cursor=nonsense",
        "/outbound/domains/%00",
        "/outbound/suspensions?cursor=nonsense",
    ],
)
async def test_what_is_not_there_is_a_page_that_says_so(
    person: httpx.AsyncClient, path: str
) -> None:
    page = await person.get(path)
    assert page.status_code in (404, 422)
    assert "<h1" in page.text or "<p" in page.text


async def test_the_stream_tells_of_messages_and_of_the_rate(
    person: httpx.AsyncClient, outbound: Outbound
) -> None:
    async with person.stream("GET", "/outbound/stream") as stream:
        lines = stream.aiter_lines()
        seen = [await anext(lines) for _ in range(4)]
        assert "event: outbound" in seen
        await outbound.submit()
        async for line in lines:
            if line.startswith("data: ") and "delivered per second" in line and "<b>0<" not in line:
                break


async def test_the_stream_of_one_message_is_silent_about_others(
    person: httpx.AsyncClient, outbound: Outbound
) -> None:
    id = await outbound.submit(scheduled_at="2035-01-01T00:00:00Z")
    async with person.stream("GET", f"/outbound/stream?message={id}") as stream:
        events = (line async for line in stream.aiter_lines() if line.startswith("event: "))
        assert await anext(events) == "event: outbound"
        other = await outbound.submit()
        await outbound.reached(other, "delivered")
        await outbound.tell(id, "cancel")
        assert await anext(events) == "event: outbound"
        assert (await outbound.item(id)).status is S.CANCELLED


def test_the_rate_is_that_of_the_last_seconds() -> None:
    def delivered(count: int) -> list[MailEvent]:
        known: Any = {"owner": "outbound", "message_id": "x", "type": "message.delivered"}
        return [MailEvent(id=n, **known) for n in range(count)]

    rate = Rate(0.0)
    assert rate.after(delivered(5), BURST_SECONDS) == 5
    assert rate.after(delivered(15), 2.0) == 10
    assert rate.after([], 10.0) == 2
    assert rate.after([], 30.0) == 0


def test_what_is_rare_can_be_seen_on_the_bar() -> None:
    found = shares({S.READY: 1, S.DELIVERED: 1_000_000, S.BOUNCED: 0})
    assert [one.status for one in found] == [S.READY, S.DELIVERED]
    assert found[0].width > 0.7
    assert abs(sum(one.width for one in found) - 100) < 0.01
    assert shares({}) == []
