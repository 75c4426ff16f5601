"""The pages of agent mail without a browser: whose they are, what a form must have, other
people's words as text."""

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from house import TOKEN, House, bridge_on
from markupsafe import escape
from world import eventually

from mailroom.bridge.auth import owner_token
from mailroom.bridge.pages_agents import BURST_SECONDS
from mailroom.models.agent_mail import INLINE_BYTES

OVERSEER = {"Authorization": f"Bearer {TOKEN}"}
HOSTILE = (
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}</textarea></title>\u202e"
)
NO_LETTER = "0" * 32
PAGES = (
    "/agents",
    "/agents/mailboxes",
    "/agents/stream",
    "/agents/box?address=overseer",
    "/agents/box/letters?address=overseer",
    f"/agents/letters/{NO_LETTER}",
    f"/agents/letters/{NO_LETTER}/state",
    "/agents/dead",
    "/agents/dead/letters",
    "/agents/rules",
)
FORMS = {
    "/agents/processing": {"enabled": "false"},
    "/agents/box": {"address": "overseer", "to": "overseer", "subject": "forged"},
    f"/agents/letters/{NO_LETTER}": {"offer": "discard"},
    "/agents/dead/ask": {"order": "discard", "scope": "all"},
    "/agents/dead": {"order": "discard", "scope": "all", "count": "1000000"},
}


@pytest.fixture(scope="module")
async def office(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """A bridge of its own: who logs in to it has a cookie for each request that follows."""
    async with bridge_on(house.context) as http:
        yield http


@pytest.fixture
async def person(office: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The overseer's browser."""
    async with httpx.AsyncClient(base_url=office.base_url, timeout=60) as browser:
        await browser.get("/login", params={"token": TOKEN})
        yield browser


@pytest.fixture
async def owner(house: House, office: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of somebody who has mail here, and is no operator."""
    [one, *_] = house.context.owners
    async with httpx.AsyncClient(base_url=office.base_url, timeout=60) as browser:
        await browser.get("/login", params={"token": owner_token(house.context, one)})
        yield browser


@pytest.fixture
async def to(house: House, marker: str) -> str:
    """The address of an agent that is known and offline."""
    address = f"{marker}/worker"
    await house.context.known_agents.remember([address])
    return address


async def letter(http: httpx.AsyncClient, to: str, **more: Any) -> str:
    """The ID of a letter that is listed."""
    new = {"to": to, "subject": "Work", "body": "Please.", **more}
    answer = await http.post("/mail", params={"wait": 30}, json=new, headers=OVERSEER)
    return str(answer.raise_for_status().json()["id"])


async def dead(house: House, http: httpx.AsyncClient, to: str, **more: Any) -> str:
    found = await letter(http, to, **more)
    await house.context.letter_flows.tell_letter(found, "bury", f"Nobody took {HOSTILE}.")

    async def buried() -> bool:
        return await house.context.letters.state(found) == "dead_letter"

    await eventually(buried)
    return found


async def csrf_of(person: httpx.AsyncClient) -> str:
    [csrf, *_] = re.findall(r'name="csrf" value="([0-9a-f]+)"', (await person.get("/agents")).text)
    return csrf


async def press(person: httpx.AsyncClient, path: str, **form: Any) -> httpx.Response:
    return await person.post(path, data={"csrf": await csrf_of(person), **form})


def notice_of(response: httpx.Response) -> str:
    [said] = re.findall(r'<p id="notice"[^>]*>(.*?)</p>', response.text, re.DOTALL)
    return unescape(re.sub(r"<[^>]*>", "", said)).strip()


@pytest.mark.parametrize("path", PAGES)
async def test_only_the_operator_sees_them(
    owner: httpx.AsyncClient, office: httpx.AsyncClient, path: str
) -> None:
    answer = await owner.get(path)
    assert answer.status_code == 403
    assert "operator" in answer.text
    stranger = await office.get(path)
    assert stranger.status_code == 303
    assert unquote(stranger.headers["location"]) == f"/login?next={path}"


async def test_only_the_operator_finds_the_way_to_them(
    owner: httpx.AsyncClient, person: httpx.AsyncClient
) -> None:
    assert 'href="/agents"' not in (await owner.get("/")).text
    assert 'href="/agents"' in (await person.get("/")).text


@pytest.mark.parametrize("path", FORMS)
async def test_no_form_counts_without_its_token_or_for_others(
    person: httpx.AsyncClient, owner: httpx.AsyncClient, house: House, path: str
) -> None:
    found = await dead(house, person, "overseer", subject="Stays dead")
    path = path.replace(NO_LETTER, found)
    form = FORMS.get(path, {"offer": "discard"})
    for forged in ({}, {"csrf": "0" * 64}):
        assert (await person.post(path, data=form | forged)).status_code == 403
    # An owner has a token of their own, and may not do it either.
    [own, *_] = re.findall(r'name="csrf" value="([0-9a-f]+)"', (await owner.get("/")).text)
    theirs = await owner.post(path, data=form | {"csrf": own})
    assert theirs.status_code == 403
    assert "operator" in theirs.text
    assert await house.context.letters.state(found) == "dead_letter"
    assert await house.context.letters.enabled()
    everything = (await person.get("/mail", params={"search": "forged"}, headers=OVERSEER)).json()
    assert everything["items"] == []


async def test_what_others_wrote_stays_text(
    person: httpx.AsyncClient, house: House, to: str
) -> None:
    subject = (HOSTILE * 9)[:500]
    waits = await letter(person, to, subject=subject, body=HOSTILE)
    lost = await dead(house, person, to, subject=subject, body=HOSTILE)
    pages = (
        f"/agents/letters/{waits}",
        f"/agents/letters/{lost}",
        f"/agents/letters/{lost}/state",
        f"/agents/box?address={to}&subject={HOSTILE}",
        f"/agents/box?address={to}&show=received",
        f"/agents/dead?to={to}",
        f"/agents/dead?search={HOSTILE}",
        f"/agents/dead?to={HOSTILE}",
        f"/agents?find={HOSTILE}",
        f"/agents/rules?to={to}&subject={HOSTILE}",
        f"/agents/rules?to={HOSTILE}",
        f"/agents/box?address={HOSTILE}",
        f"/agents/letters/{HOSTILE.replace('/', '')}",
    )
    for path in pages:
        page = await person.get(path)
        assert "<img" not in page.text, path
        assert "<script>" not in page.text, path
        assert "style=" not in page.text, path
        assert "alert(1)" in unescape(page.text), path
        assert "script-src 'self';" in page.headers["content-security-policy"], path
        assert page.headers["cache-control"] == "no-store", path
    asked = await press(person, "/agents/dead/ask", order="discard", scope="all", search=HOSTILE)
    assert "<script>" not in asked.text
    refused = await press(person, "/agents/box", address=to, to=HOSTILE, body=HOSTILE)
    assert refused.status_code == 422
    assert "<script>" not in refused.text
    assert f">\n{escape(HOSTILE)}</textarea>" in refused.text
    assert f'value="{escape(HOSTILE)}" maxlength="200"' in refused.text


async def test_a_long_letter_is_shown_whole(person: httpx.AsyncClient, to: str) -> None:
    """Its body is not in the database."""
    body = "é" * INLINE_BYTES + "the end"
    found = await letter(person, to, body=body)
    assert body in (await person.get(f"/agents/letters/{found}")).text
    assert body not in (await person.get(f"/agents/box?address={to}")).text


async def test_a_form_that_is_sent_twice_is_one_letter(person: httpx.AsyncClient, to: str) -> None:
    form = {"address": to, "to": to, "body": "Once\r\nonly.", "nonce": "a-rendering"}
    for _ in range(2):
        answer = await press(person, "/agents/box", **form)
        assert answer.headers["location"] == f"/agents/box?address={to}"
    await press(person, "/agents/box", **form | {"body": "Another"})
    found = await person.get("/mail", params={"to": to}, headers=OVERSEER)
    bodies = [item["body"] for item in found.json()["items"]]
    assert bodies == ["Another", "Once\nonly."]


async def test_a_letter_that_is_refused_is_not_lost(person: httpx.AsyncClient, to: str) -> None:
    for wrong, why in (
        ({"to": f"{to}s"}, f"did you mean {to}"),  # or who else is known by now
        ({"to": "@nobody"}, "Nobody is known as @nobody."),
        ({"to": "no address"}, "is no address"),
        ({"reply_to": NO_LETTER}, f"There is no letter {NO_LETTER} to reply to."),
    ):
        form = {"address": to, "to": to, "body": "Long thoughts.", "priority": "high"}
        answer = await press(person, "/agents/box", **form | wrong)
        assert answer.status_code == 422
        assert why in notice_of(answer)
        assert "Long thoughts.</textarea>" in answer.text
        assert '<option value="high" selected>' in answer.text
    large = await press(person, "/agents/box", **form | {"body": "x" * 70_000})
    assert large.status_code == 413
    assert "65,536 bytes" in large.text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"/agents/letters/{NO_LETTER}", 404, "There is no letter"),
        ("/agents/letters/abc", 422, "too short"),
        ("/agents/box?address=never/seen", 404, "Nobody is known as never/seen"),
        ("/agents/box?address=@staff", 404, "is no address"),
        ("/agents/box", 422, "can't be used"),
        ("/agents/box?address=overseer&cursor=forged", 422, "cursor"),
        ("/agents/box?address=overseer&show=sent&cursor=-1", 422, "no place in a list"),
        ("/agents/box?address=overseer&show=sent&cursor=²", 422, "no place in a list"),
        ("/agents/box?address=overseer&show=sent&cursor=" + "9" * 30, 422, "no place in a list"),
        ("/agents/dead?priority=immediate", 422, "can't be used"),
        ("/agents/dead?cursor=0", 422, "can't be used"),
        ("/agents/dead?search=%00", 200, "No dead letter matches."),
        ("/agents/dead?to=no%20address", 422, "is no address"),
        ("/agents/rules?to=never/seen", 422, "Nobody is known as never/seen"),
        ("/agents/rules?to=overseer&from=no%20address", 422, "is no address"),
        ("/agents?find=" + "x" * 201, 422, "can't be used"),
    ],
)
async def test_what_can_not_be_shown_is_a_sentence(
    person: httpx.AsyncClient, path: str, status: int, said: str
) -> None:
    answer = await person.get(path)
    assert answer.status_code == status
    assert said in unescape(answer.text)
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_button_of_an_old_page_is_answered(
    person: httpx.AsyncClient, house: House, to: str
) -> None:
    found = await dead(house, person, to)
    path = f"/agents/letters/{found}"
    assert 'value="ack"' not in (await person.get(path)).text
    answer = await press(person, path, offer="discard")
    assert notice_of(await person.get(path)) == "The letter is given up."
    for offer, why in (
        ("replay", "Only a dead letter can be replayed; this one is discarded."),
        ("discard", "It is over already: this letter is discarded."),
        ("ack", "This letter is discarded; it can't be acknowledged."),
        ("pin", "This letter is discarded; it can't be pinned."),
    ):
        answer = await press(person, path, offer=offer)
        assert answer.headers["location"] == path
        assert notice_of(await person.get(path)) == why
    assert 'class="buttons"' not in (await person.get(path)).text
    assert (await press(person, path, offer="explode")).status_code == 422


async def test_a_letter_to_the_overseer_can_be_marked_as_read(
    person: httpx.AsyncClient, to: str
) -> None:
    mine = await letter(person, "overseer", **{"from": to})
    theirs = await letter(person, to)
    assert 'value="read"' not in (await person.get(f"/agents/letters/{theirs}")).text
    assert 'value="read"' in (await person.get(f"/agents/letters/{mine}")).text
    # To look at it was not to read it.
    assert 'value="read"' in (await person.get(f"/agents/letters/{mine}/state")).text
    await press(person, f"/agents/letters/{mine}", offer="read")
    page = (await person.get(f"/agents/letters/{mine}")).text
    assert 'value="read"' not in page
    assert "It was taken from the inbox." in page


async def test_orders_that_are_about_nothing_do_nothing(
    person: httpx.AsyncClient, house: House, to: str
) -> None:
    found = await dead(house, person, to)
    asked = await press(person, "/agents/dead/ask", order="discard", scope="chosen", to=to)
    assert asked.status_code == 303
    page = await person.get(asked.headers["location"])
    assert notice_of(page) == "Choose a letter first."
    assert f'value="{found}"' in page.text
    await press(person, f"/agents/letters/{found}", offer="discard")
    for path, count in (("/agents/dead/ask", {}), ("/agents/dead", {"count": 1})):
        for which in ({"scope": "chosen", "letter": found}, {"scope": "all", "to": to}):
            gone = await press(person, path, order="replay", **which, **count)
            page = await person.get(gone.headers["location"])
            assert notice_of(page) == "No dead letter is among them any more."


async def test_more_letters_than_were_agreed_to_are_asked_about_again(
    person: httpx.AsyncClient, house: House, to: str
) -> None:
    form = {"order": "discard", "scope": "all", "to": to}
    first = await dead(house, person, to)
    asked = await press(person, "/agents/dead/ask", **form)
    assert "Discard 1 letter?" in asked.text
    assert await house.context.letters.state(first) == "dead_letter"
    second = await dead(house, person, to)
    again = await press(person, "/agents/dead", **form, count=1)
    assert again.status_code == 409
    assert "Discard 2 letters?" in again.text
    for found in (first, second):
        assert await house.context.letters.state(found) == "dead_letter"
    done = await press(person, "/agents/dead", **form, count=2)
    assert notice_of(await person.get(done.headers["location"])) == "2 letters are given up."


async def test_lists_go_on_where_they_ended(person: httpx.AsyncClient, to: str) -> None:
    found = [await letter(person, to, subject=f"Number {n}") for n in range(51)]
    for show in ("inbox", "received"):
        page, seen = f"/agents/box?address={to}&show={show}", list[str]()
        while page:
            text = (await person.get(page)).text
            seen += re.findall(r'id="letter-(\w+)"', text)
            page = unescape("".join(re.findall(r'class="older" href="([^"]+)"', text)))
        assert len(seen) == 51
        assert sorted(seen) == sorted(found)


async def test_a_page_hears_of_its_letter_alone(person: httpx.AsyncClient, to: str) -> None:
    mine, other = await letter(person, to), await letter(person, to)
    path = "/agents/stream"
    async with person.stream("GET", path, params={"letter": mine}) as stream:
        events = (line async for line in stream.aiter_lines() if line.startswith("event:"))
        assert await anext(events) == "event: agents"  # for what it may have missed
        await press(person, f"/agents/letters/{other}", offer="ack")
        await press(person, f"/agents/letters/{mine}", offer="ack")
        assert await anext(events) == "event: agents"
        assert "It was acknowledged." in (await person.get(f"/agents/letters/{mine}/state")).text
    assert BURST_SECONDS >= 1  # a page of mailboxes is dear


async def test_a_search_among_mailboxes(person: httpx.AsyncClient, to: str, marker: str) -> None:
    await letter(person, to)
    page = (await person.get("/agents", params={"find": f" {marker.upper()}"})).text
    assert f'href="/agents/box?address={to}"' in page
    assert "<b>1</b> letter waits" in " ".join(page.split())
    assert page.count('<th scope="row">') == 1
    assert "No address has" in (await person.get("/agents", params={"find": marker[::-1]})).text
