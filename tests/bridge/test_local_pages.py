"""The phone and the outbox of the local stack."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from page_world import TOKEN, World, app_of, browser

from mailroom.bridge.auth import owner_token
from mailroom.local.bubbles import bubbles
from mailroom.local.outbox import Outbox
from mailroom.local.pages import router
from mailroom.local.phone import Phone, PhoneText, SendText
from mailroom.models.owner import Owner

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"
PROMPT = 'John: "Meet?"\nDraft: "Yes."\n1=Send 2=Edit 3=Ignore {code}'
NUMBERS = {"owner": "+12025550123"}
SECRET = "whsec_bWFpbHJvb20tdGVzdHMtd2ViaG9vay1rZXk="


class Webhook:
    """The other end of the signed webhook."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.answer = httpx.Response(200, json={"outcome": "accepted", "text": "It is sent."})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(json.loads(request.content)["body"])
        return self.answer


@pytest.fixture
def webhook() -> Webhook:
    return Webhook()


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return Phone(tmp_path / "phone.jsonl", NUMBERS, "http://hook.test/", SECRET)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


@pytest.fixture
async def app(phone: Phone, outbox: Outbox, webhook: Webhook) -> AsyncIterator[FastAPI]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(webhook)) as http:
        yield app_of(World(), router(phone, outbox, http))


@pytest.fixture
async def person(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as client:
        await client.get("/login", params={"token": TOKEN})
        page = (await client.get("/")).text
        client.headers["X-CSRF-Token"] = re.findall(r'"X-CSRF-Token": "(\w+)"', page)[0]
        yield client


async def test_the_other_pages_lead_to_them(person: httpx.AsyncClient):
    page = (await person.get("/")).text
    assert 'href="/phone"' in page
    assert 'href="/outbox"' in page
    async with browser(app_of(World())) as elsewhere:
        await elsewhere.get("/login", params={"token": TOKEN})
        assert 'href="/phone"' not in (await elsewhere.get("/")).text


async def test_strangers_see_neither(app: FastAPI):
    async with browser(app) as stranger:
        for path in ("/phone", "/outbox"):
            answer = await stranger.get(path)
            assert answer.headers["location"] == f"/login?next=%2F{path[1:]}"


async def test_a_text_is_a_bubble_with_the_link_to_its_draft(
    phone: Phone, person: httpx.AsyncClient
):
    body = f"{HOSTILE} http://evil.test/x http://127.0.0.1:8003/r/abc.d-e_f"
    await phone.take(SendText(to="+12025550123", body=body))
    page = (await person.get("/phone")).text
    assert "&lt;script&gt;" in page
    assert "<img" not in page
    assert 'href="/r/abc.d-e_f"' in page
    assert 'href="http://evil.test' not in page


async def test_an_answer_goes_through_the_webhook_and_its_sentence_is_shown(
    phone: Phone, webhook: Webhook, person: httpx.AsyncClient
):
    answer = await person.post("/phone", data={"body": "1"}, headers={"HX-Request": "true"})
    assert webhook.heard == ["1"]
    assert "It is sent." in answer.text
    assert [text.body for text in phone.texts] == ["1"]


async def test_it_works_without_javascript(webhook: Webhook, person: httpx.AsyncClient):
    answer = await person.post("/phone", data={"body": "2 warmer"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/phone?owner=owner")
    assert "It is sent." in (await person.get("/phone")).text
    assert 'value="2 K7M4 "' in (await person.get("/phone?say=2+K7M4+")).text


TWO = {"ada": "+12025550111", "bob": "+12025550122"}


async def test_each_owner_has_a_phone_and_speaks_as_themselves(tmp_path: Path):
    heard: list[dict[str, str]] = []

    def hook(request: httpx.Request) -> httpx.Response:
        heard.append(json.loads(request.content))
        return httpx.Response(200, json={})

    phone = Phone(tmp_path / "phone.jsonl", TWO, "http://hook.test/", SECRET)
    await phone.take(SendText(to=TWO["ada"], body="for Ada"))
    await phone.take(SendText(to=TWO["bob"], body="for Bob"))
    async with httpx.AsyncClient(transport=httpx.MockTransport(hook)) as http:
        await phone.answer(http, "bob", "1")
    assert [(text["from"], text["body"]) for text in heard] == [(TWO["bob"], "1")]
    again = Phone(tmp_path / "phone.jsonl", TWO, "http://hook.test/", SECRET)
    assert [text.body for text in again.of("ada")] == ["for Ada"]
    assert [text.body for text in again.of("bob")] == ["for Bob", "1"]


async def test_the_operator_chooses_a_phone_and_an_owner_has_their_own(
    tmp_path: Path, outbox: Outbox, webhook: Webhook
):
    people = {one: Owner(id=one, name=one.title(), phone=number) for one, number in TWO.items()}
    phone = Phone(tmp_path / "phone.jsonl", TWO, "http://hook.test/", SECRET)
    await phone.take(SendText(to=TWO["ada"], body="for Ada"))
    async with httpx.AsyncClient(transport=httpx.MockTransport(webhook)) as http:
        app = app_of(World(), router(phone, outbox, http))
        app.state.context = replace(app.state.context, owners=people)
        async with browser(app) as operator, browser(app) as bob:
            await operator.get("/login", params={"token": TOKEN})
            assert "for Ada" in (await operator.get("/phone")).text
            page = (await operator.get("/phone?owner=bob")).text
            assert "for Ada" not in page
            assert 'href="/phone?owner=ada"' in page
            assert TWO["bob"] in page
            await bob.get("/login", params={"token": owner_token(app.state.context, "bob")})
            assert TWO["bob"] in (await bob.get("/phone")).text
            assert (await bob.get("/phone?owner=ada")).status_code == 404


async def test_a_refusal_of_the_webhook_is_shown(webhook: Webhook, person: httpx.AsyncClient):
    webhook.answer = httpx.Response(429, json={"detail": "Too many texts."})
    answer = await person.post("/phone", data={"body": "1"}, headers={"HX-Request": "true"})
    assert '<span class="bad">Too many texts.</span>' in answer.text


async def test_a_webhook_that_is_away_is_said(webhook: Webhook, person: httpx.AsyncClient):
    webhook.answer = httpx.Response(502, text="not JSON")
    answer = await person.post("/phone", data={"body": "1"}, headers={"HX-Request": "true"})
    assert answer.status_code == 503
    assert "The webhook did not answer" in answer.text


async def test_another_site_can_not_answer(webhook: Webhook, person: httpx.AsyncClient):
    del person.headers["X-CSRF-Token"]
    assert (await person.post("/phone", data={"body": "1"})).status_code == 403
    assert webhook.heard == []


async def test_mail_that_left_is_text_with_its_thread(outbox: Outbox, person: httpx.AsyncClient):
    outbox.keep(
        f"From: me@mailroom.test\r\nTo: john@example.com\r\nSubject: Re: {HOSTILE}\r\n"
        "Message-ID: <r@mailroom.test>\r\nIn-Reply-To: <a@example.com>\r\n"
        f"References: <z@example.com> <a@example.com>\r\n\r\n{HOSTILE}\r\n".encode()
    )
    outbox.keep(b"Subject: the newer one\r\n\r\n")
    page = (await person.get("/outbox")).text
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;z@example.com&gt; &lt;a@example.com&gt;" in page
    assert page.index("the newer one") < page.index("john@example.com")


async def test_streams_tell_of_each_text_and_end_with_the_server(
    app: FastAPI, phone: Phone, person: httpx.AsyncClient
):
    reading = asyncio.create_task(person.get("/phone/stream"))
    await asyncio.sleep(0.1)
    await phone.take(SendText(to="+12025550123", body="one"))
    await asyncio.sleep(0.6)
    app.state.stopping.set()
    answer = await asyncio.wait_for(reading, 1)
    assert re.findall(r"^event: (\w+)$", answer.text, re.MULTILINE) == ["texts", "texts"]


def asking(*bodies: str) -> list[str | None]:
    """The codes under the bubbles; a body that begins with a digit is the owner's."""
    texts = [
        PhoneText(
            id=str(number),
            to=None if body[0].isdigit() and "=" not in body else "+12025550123",
            body=body,
            sent_at="2026-01-01T00:00:00Z",  # type: ignore[arg-type]
        )
        for number, body in enumerate(bodies)
    ]
    return [bubble.asks for bubble in bubbles(texts)]


def test_a_prompt_asks_until_it_is_answered():
    first, second = PROMPT.format(code="K7M4"), PROMPT.format(code="P4F5")
    assert asking(first) == ["K7M4"]
    assert asking(first, "1") == [None, None]
    assert asking(first, second, "1") == ["K7M4", "P4F5", None]
    assert asking(first, second, "1 k7m4") == [None, "P4F5", None]
    assert asking(first, second, "2 P4F5 warmer") == ["K7M4", None, None]
    assert asking(first, "maybe") == ["K7M4", None]


def test_a_reminder_and_the_last_of_several_texts_ask():
    reminder = "Still waiting: John\n1=Send 2=Edit 3=Ignore K7M4"
    assert asking(PROMPT.format(code="K7M4"), reminder) == [None, "K7M4"]
    assert asking('Draft: "x"\n1=Send 3=Ignore K7M4 [3/3]') == ["K7M4"]
    assert asking("May have been sent: 1=Send again 3=Leave K7M4") == ["K7M4"]
    assert asking('"1=Send 3=Ignore K7M4" is what he wrote') == [None]
