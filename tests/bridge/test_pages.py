"""The pages over HTTP: who gets in, what is shown, what a button does."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage
from html import unescape
from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from itsdangerous import TimestampSigner
from page_world import NOW, OWNER, TOKEN, World, an_entry, app_of, browser

from mailroom.adapters.links import LINK_LIFE_SECONDS
from mailroom.bridge.attachments import content_disposition
from mailroom.bridge.auth import COOKIE
from mailroom.bridge.flows import NotRunning
from mailroom.bridge.pages_login import WRONG_PER_MINUTE, safe_next
from mailroom.models.email_reply import Outcome, Verdict
from mailroom.models.names import REASON_SEND_UNKNOWN
from mailroom.models.states import MailState, Stage

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}</textarea></title>"
HOSTILE_MAIL = (
    f'From: "{HOSTILE.replace(chr(34), "")}" <evil@example.com>\r\n'
    f"Reply-To: {HOSTILE.split('>')[1]} <back@example.com>\r\n"
    f"To: {HOSTILE.split('>')[1]} <owner@mailroom.test>\r\n"
    f"Cc: {HOSTILE.split('>')[1]} <cc@example.com>\r\n"
    f"Subject: {HOSTILE}\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    f"--b\r\n\r\n{HOSTILE}\r\n\r\nOn Monday, he wrote:\r\n> {HOSTILE}\r\n"
    "--b\r\nContent-Disposition: attachment; "
    'filename="<script>alert(1)</script>.pdf"\r\n\r\nx\r\n--b--\r\n'
).encode()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def app(world: World) -> FastAPI:
    return app_of(world)


@pytest.fixture
async def person(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as client:
        await client.get("/login", params={"token": TOKEN})
        yield client


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as client:
        yield client


async def form_of(person: httpx.AsyncClient, path: str) -> dict[str, str]:
    """The hidden fields of the page's last form."""
    page = (await person.get(path)).text
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in fields}


class Tags(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def assert_harmless(page: str) -> None:
    for tag, attributes in Tags(page).tags:
        assert tag not in ("img", "style", "iframe", "object", "base"), tag
        assert tag != "script" or (attributes["src"] or "").startswith("/static/")
        assert not [name for name in attributes if name.startswith(("on", "style"))], attributes
        assert not (attributes.get("href") or "").startswith(("javascript:", "data:"))


class TestLogin:
    async def test_a_page_asks_to_log_in_and_leads_back(self, stranger: httpx.AsyncClient):
        asked = await stranger.get("/mails/" + "0" * 32)
        assert asked.status_code == 303
        form = await stranger.get(asked.headers["location"])
        answer = await stranger.post(
            "/login", data={"token": f" {TOKEN}\n", "next": form.url.params["next"]}
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/mails/" + "0" * 32)
        assert (await stranger.get("/")).status_code == 200

    async def test_the_link_of_the_terminal_keeps_no_token_in_the_address(
        self, stranger: httpx.AsyncClient
    ):
        answer = await stranger.get("/login", params={"token": TOKEN})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/" in cookie
        assert "Secure" not in cookie

    async def test_the_link_taken_again_leaves_the_forms_of_other_tabs_good(
        self, person: httpx.AsyncClient, world: World
    ):
        mail = world.add()
        form = await form_of(person, f"/mails/{mail}")
        again = await person.get("/login", params={"token": TOKEN})
        assert "set-cookie" not in again.headers
        await person.post(f"/mails/{mail}", data=form | {"offer": "send"})
        assert len(world.words) == 1

    async def test_behind_https_the_cookie_is_for_https_only(self, world: World):
        async with browser(app_of(world, https=True)) as client:
            answer = await client.get("/login", params={"token": TOKEN})
        assert "Secure" in answer.headers["set-cookie"]

    @pytest.mark.parametrize("token", ["wrong", "", "ümläut", "\0"])
    async def test_a_wrong_token_is_said_in_a_sentence(
        self, stranger: httpx.AsyncClient, token: str
    ):
        for answer in (
            await stranger.post("/login", data={"token": token}),
            await stranger.get("/login", params={"token": token}),
        ):
            assert answer.status_code == 401
            assert "This token is not the one" in answer.text
            assert COOKIE not in answer.headers.get("set-cookie", "")

    async def test_guessing_is_slowed_down(self, stranger: httpx.AsyncClient):
        for _ in range(WRONG_PER_MINUTE):
            await stranger.post("/login", data={"token": "guess"})
        answer = await stranger.post("/login", data={"token": TOKEN})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")

    async def test_a_forged_cookie_is_no_session(self, stranger: httpx.AsyncClient):
        stranger.cookies.set(COOKIE, "Im93bmVyIg.aaaaaa.forged")
        assert (await stranger.get("/")).headers["location"] == "/login"

    async def test_logging_out_takes_the_form_of_the_page(self, person: httpx.AsyncClient):
        assert (await person.post("/logout")).status_code == 403
        out = await person.post("/logout", data=await form_of(person, "/"))
        assert (out.status_code, out.headers["location"]) == (303, "/login")
        assert (await person.get("/")).status_code == 303

    async def test_a_part_of_a_page_leads_the_whole_page_to_the_login(
        self, stranger: httpx.AsyncClient
    ):
        answer = await stranger.get("/mails/rows", headers={"HX-Request": "true"})
        assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")

    async def test_programs_still_get_problem_details(self, stranger: httpx.AsyncClient):
        for path in ("/workflow/status", "/events/stream"):
            answer = await stranger.get(path)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize(
        "elsewhere",
        [
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil.example",
            "///evil.example",
            " //evil.example",
            "evil.example",
            "",
        ],
    )
    async def test_logging_in_leads_nowhere_else(self, stranger: httpx.AsyncClient, elsewhere: str):
        answer = await stranger.get("/login", params={"token": TOKEN, "next": elsewhere})
        assert answer.headers["location"] == "/"
        answer = await stranger.post("/login", data={"token": TOKEN, "next": elsewhere})
        assert answer.headers["location"] == "/"

    def test_addresses_of_ours_are_kept(self):
        for path in ("/", "/phone", "/?state=failed&before=7", "/mails/0a?x=//b"):
            assert safe_next(path) == path


class TestHeaders:
    async def test_every_page_binds_the_browser(self, world: World, person: httpx.AsyncClient):
        mail = world.add()
        paths = ["/", "/mails", f"/mails/{mail}", world.link(), "/r/forged", "/mails/x", "/login"]
        for path in paths:
            headers = (await person.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"

    async def test_nothing_on_a_page_needs_a_looser_policy(
        self, world: World, person: httpx.AsyncClient
    ):
        mail = world.add()
        for path in ("/", f"/mails/{mail}", world.link(), "/login"):
            page = (await person.get(path)).text
            assert_harmless(page)
            assert not re.findall(r"(?:src|href)=\"(?!/|#|http://temporal\.test)", page)

    async def test_static_files_last_because_their_address_changes(self, person: httpx.AsyncClient):
        page = (await person.get("/")).text
        styles = re.findall(r'href="(/static/mailroom.css\?v=\w+)"', page)
        answer = await person.get(styles[0])
        assert "immutable" in answer.headers["cache-control"]

    async def test_a_form_has_a_length(self, stranger: httpx.AsyncClient):
        long = await stranger.post("/login", data={"token": "x" * 70_000})
        assert long.status_code == 413

        async def endless() -> AsyncIterator[bytes]:
            yield b"token=x"

        assert (await stranger.post("/login", content=endless())).status_code == 413


class TestList:
    async def test_rows_say_who_what_and_how_it_stands(
        self, world: World, person: httpx.AsyncClient
    ):
        mail = world.add()
        page = (await person.get("/")).text
        for text in ("John Doe", "john@example.com", "Meeting tomorrow", "waits for you", "K7M4"):
            assert text in page
        assert "Hi John, That time works." in page
        assert f'href="/mails/{mail}"' in page

    async def test_filters(self, world: World, person: httpx.AsyncClient):
        for state in (MailState.AWAITING_USER, MailState.FAILED, MailState.REPLY_SENT):
            world.add(current_state=state, email_subject=f"It is {state}")
        for shown, subject in (
            ("waiting", "It is awaiting_user"),
            ("failed", "It is failed"),
            ("done", "It is reply_sent"),
        ):
            page = (await person.get("/", params={"state": shown})).text
            assert re.findall(r"It is \w+", page) == [subject]

    async def test_older_ones_come_by_cursor_and_none_twice(
        self, world: World, person: httpx.AsyncClient
    ):
        for number in range(120):
            world.add(email_subject=f"Subject {number}.")
        seen, path = [], "/?state=all"
        while path:
            page = (await person.get(path)).text
            seen += re.findall(r"Subject (\d+)\.", page)
            found = re.search(r'class="older" href="[^"]*" hx-get="([^"]*)"', page)
            path = unescape(found[1]) if found else ""
        assert seen == [str(number) for number in reversed(range(120))]

    async def test_a_refreshed_part_shows_what_came_but_not_what_was_below(
        self, world: World, person: httpx.AsyncClient
    ):
        for number in range(60):
            world.add(email_subject=f"Subject {number}.")
        page = (await person.get("/")).text
        path = unescape(re.findall(r'hx-get="(/mails/rows[^"]*)"', page)[0])
        world.add(email_subject="Subject new.")
        rows = (await person.get(path)).text
        assert re.findall(r"Subject (\w+)\.", rows) == ["new", *map(str, range(59, 9, -1))]

    async def test_other_owners_mail_is_not_there(self, world: World, person: httpx.AsyncClient):
        mail = world.add(owner="somebody-else", email_subject="Not yours")
        assert "Not yours" not in (await person.get("/")).text
        answer = await person.get(f"/mails/{mail}")
        assert answer.status_code == 404
        assert "There is no such mail." in answer.text


class TestMail:
    async def test_what_is_shown(self, world: World, person: httpx.AsyncClient):
        mail = world.add(
            b"From: John <john@example.com>\r\nReply-To: office@example.com\r\n\r\n"
            b"The newest words.\r\n\r\nOn Mon, 1 Jan 2026, you wrote:\r\n> Older words\r\n",
            draft_note="template meeting",
        )
        world.lines = [
            an_entry("pending"),
            an_entry("user_edit_requested", via="sms", instructions="warmer"),
        ]
        page = (await person.get(f"/mails/{mail}")).text
        newest, _, whole = page.partition("<details>")
        assert "The newest words." in newest
        assert "Older words" not in newest
        assert "Older words" in whole
        assert "<bdi>office@example.com</bdi>" in page
        for text in ("template meeting", "K7M4", "Draft 1", "The mail arrived."):
            assert text in page
        assert "You asked for a change by text message." in page

    async def test_a_reply_that_is_sent_later_can_be_cancelled(
        self, world: World, person: httpx.AsyncClient
    ):
        mail = world.add(current_state=MailState.USER_APPROVED, send_at=NOW)
        world.lines = [an_entry("user_approved", via="sms", until=NOW.isoformat())]
        page = (await person.get(f"/mails/{mail}")).text
        for text in ("sent later", "01 Mar 2026, 12:00 UTC", "Cancel", "Send now"):
            assert text in page
        assert "Stop waiting" not in page
        assert "by text message. It is to be sent 01 Mar 2026, 12:00 UTC." in page

    async def test_a_mail_that_was_put_off(self, world: World, person: httpx.AsyncClient):
        mail = world.add(snoozed_until=NOW)
        world.lines = [an_entry("awaiting_user", until=NOW.isoformat())]
        page = (await person.get(f"/mails/{mail}")).text
        assert "put off" in page
        assert "You put it off until 01 Mar 2026, 12:00 UTC." in page

    async def test_a_deleted_mail_still_has_its_page(self, world: World, person: httpx.AsyncClient):
        mail = world.add()
        world.blobs.clear()
        assert "The mail has been deleted." in (await person.get(f"/mails/{mail}")).text

    async def test_a_mail_without_its_text_says_why(self, world: World, person: httpx.AsyncClient):
        done = {"processed_at": NOW, "bodies_removed_at": NOW + timedelta(days=90, hours=3)}
        mail = world.add(current_state=MailState.REPLY_SENT, ai_reply_text=None, **done)
        world.become(blob="")
        page = (await person.get(f"/mails/{mail}")).text
        assert page.count("Removed 90 days after the mail was done with") == 2
        assert "No draft yet" not in page
        mail = world.add(
            current_state=MailState.USER_IGNORED,
            ai_reply_text=None,
            revision=None,
            reason="a list",
            **done,
        )
        page = (await person.get(f"/mails/{mail}")).text
        assert "No reply: a list." in page

    @pytest.mark.parametrize("path", ["/mails/x", "/mails/" + "0" * 31, "/mails/" + "0" * 32])
    async def test_no_such_mail(self, person: httpx.AsyncClient, path: str):
        assert (await person.get(path)).status_code in (404, 422)


class TestButtons:
    async def test_send_says_1_of_the_revision_that_was_shown(
        self, world: World, person: httpx.AsyncClient
    ):
        mail = world.add(revision=4)
        form = await form_of(person, f"/mails/{mail}")
        answer = await person.post(f"/mails/{mail}", data=form | {"offer": "send"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/mails/{mail}")
        assert [(word.text, word.revision, word.via) for word in world.words] == [("1", 4, "page")]

    async def test_the_sentence_is_shown_once(self, world: World, person: httpx.AsyncClient):
        mail = world.add()
        form = await form_of(person, f"/mails/{mail}")
        await person.post(f"/mails/{mail}", data=form | {"offer": "ignore"})
        assert "The reply is on its way." in (await person.get(f"/mails/{mail}")).text
        assert "The reply is on its way." not in (await person.get(f"/mails/{mail}")).text

    async def test_edit_carries_the_instructions(self, world: World, person: httpx.AsyncClient):
        mail = world.add()
        form = await form_of(person, f"/mails/{mail}")
        how = {"offer": "edit", "how": "warmer,\r\nand shorter"}
        await person.post(f"/mails/{mail}", data=form | how)
        assert world.words[0].text == "2 warmer,\nand shorter"

    async def test_too_long_an_edit_is_said_so(self, world: World, person: httpx.AsyncClient):
        mail = world.add()
        form = await form_of(person, f"/mails/{mail}")
        answer = await person.post(
            f"/mails/{mail}",
            data=form | {"offer": "edit", "how": "x" * 2_000},
            headers={"HX-Request": "true"},
        )
        assert "At most" in answer.text
        assert world.words == []

    async def test_a_refusal_is_a_sentence_and_leaves_the_buttons(
        self, world: World, person: httpx.AsyncClient
    ):
        world.outcome = Outcome(
            verdict=Verdict.REFUSED,
            state=MailState.AWAITING_USER,
            revision=2,
            text="That answers an older draft.",
        )
        mail = world.add()
        form = await form_of(person, f"/mails/{mail}")
        answer = await person.post(
            f"/mails/{mail}", data=form | {"offer": "send"}, headers={"HX-Request": "true"}
        )
        assert "That answers an older draft." in answer.text
        assert 'id="send"' in answer.text
        assert 'hx-swap-oob="innerHTML"' in answer.text

    async def test_a_closed_mail_is_answered_for_by_its_row(
        self, world: World, person: httpx.AsyncClient
    ):
        mail = world.add()
        form = await form_of(person, f"/mails/{mail}")
        world.outcome = NotRunning()
        world.become(current_state=MailState.REPLY_SENT)
        answer = await person.post(
            f"/mails/{mail}", data=form | {"offer": "send"}, headers={"HX-Request": "true"}
        )
        assert "This mail is closed already: reply sent." in answer.text

    async def test_a_button_pressed_twice_is_one_word_and_two_buttons_are_two(
        self, world: World, person: httpx.AsyncClient
    ):
        mail = world.add()
        form = await form_of(person, f"/mails/{mail}")
        for said in (
            {"offer": "send"},
            {"offer": "send"},
            {"offer": "ignore"},
            {"offer": "edit", "how": "warmer"},
            {"offer": "edit", "how": "shorter"},
        ):
            await person.post(f"/mails/{mail}", data=form | said)
        ids = [word.id for word in world.words]
        assert ids[0] == ids[1]
        assert len(set(ids)) == 4
        fresh = await form_of(person, f"/mails/{mail}")
        assert fresh["nonce"] != form["nonce"]

    async def test_retry_and_the_end_of_the_wait(self, world: World, person: httpx.AsyncClient):
        mail = world.add()
        form = await form_of(person, f"/mails/{mail}")
        await person.post(f"/mails/{mail}", data=form | {"offer": "expire"})
        world.become(current_state=MailState.FAILED, failed_stage=Stage.REPLY)
        await person.post(f"/mails/{mail}", data=form | {"offer": "retry"})
        assert world.signals == ["expire", "retry"]

    async def test_what_may_have_been_sent_is_asked_about(
        self, world: World, person: httpx.AsyncClient
    ):
        mail = world.add(
            current_state=MailState.FAILED,
            failed_stage=Stage.REPLY,
            reason=REASON_SEND_UNKNOWN,
            error_message="lost after the final dot",
        )
        page = (await person.get(f"/mails/{mail}")).text
        assert re.findall(r'<button id="(\w+)"[^>]*>([^<]*)<', page) == [
            ("send", "Send again"),
            ("ignore", "Leave it"),
        ]
        assert "may have been sent" in page

    async def test_after_an_accepted_word_the_old_buttons_are_gone(
        self, world: World, person: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("mailroom.bridge.pages_mail.STEP_SECONDS", 0.05)
        monkeypatch.setattr(world, "happened", lambda _: None)
        mail = world.add()
        form = await form_of(person, f"/mails/{mail}")
        answer = await person.post(
            f"/mails/{mail}", data=form | {"offer": "send"}, headers={"HX-Request": "true"}
        )
        assert "<button" not in answer.text

    @pytest.mark.parametrize("csrf", [None, "", "0" * 64, "ü"])
    @pytest.mark.parametrize("htmx", [True, False])
    async def test_without_the_sessions_csrf_token_nothing_happens(
        self, world: World, person: httpx.AsyncClient, csrf: str | None, htmx: bool
    ):
        mail = world.add()
        form = await form_of(person, f"/mails/{mail}") | {"offer": "send", "csrf": csrf or ""}
        headers = {"HX-Request": "true"} if htmx else {}
        answer = await person.post(f"/mails/{mail}", data=form, headers=headers)
        assert answer.status_code == 403
        assert "This page is out of date" in answer.text
        assert world.words == []

    async def test_htmx_sends_the_token_as_a_header(self, world: World, person: httpx.AsyncClient):
        mail = world.add()
        page = (await person.get(f"/mails/{mail}")).text
        token = re.findall(r'"X-CSRF-Token": "(\w+)"', page)[0]
        headers = {"HX-Request": "true", "X-CSRF-Token": token}
        await person.post(f"/mails/{mail}", data={"offer": "send"}, headers=headers)
        assert len(world.words) == 1

    async def test_nobody_decides_without_a_session(
        self, world: World, stranger: httpx.AsyncClient
    ):
        mail = world.add()
        answer = await stranger.post(f"/mails/{mail}", data={"offer": "send"})
        assert answer.headers["location"] == "/login"
        assert world.words == []


class TestHostileMail:
    async def test_all_of_it_is_text(self, world: World, person: httpx.AsyncClient):
        mail = world.add(
            HOSTILE_MAIL,
            email_subject=HOSTILE,
            email_from=f"{HOSTILE} <evil@example.com>",
            ai_reply_text=HOSTILE,
            draft_note=HOSTILE,
            code=HOSTILE,
            reason=HOSTILE,
            error_message=HOSTILE,
            current_state=MailState.FAILED,
            failed_stage=Stage.SMS,
        )
        world.lines = [
            an_entry("user_edit_requested", via=HOSTILE, instructions=HOSTILE),
            an_entry("ai_generated", code=HOSTILE, source=HOSTILE),
            an_entry("failed", error=HOSTILE, stage="reply"),
            an_entry("reply_sent", response=HOSTILE),
            an_entry(HOSTILE),
        ]
        for path in ("/", "/mails/rows", f"/mails/{mail}", f"/mails/{mail}/state", world.link()):
            page = (await person.get(path)).text
            assert "alert(1)" in page, path
            assert_harmless(page)
            assert "{{7*7}}" in page, path

    async def test_a_search_for_trouble_in_the_address(self, person: httpx.AsyncClient):
        for path in (
            f"/?state={HOSTILE}",
            f"/mails/{HOSTILE}",
            f"/r/{HOSTILE}",
            f"/login?next={HOSTILE}",
        ):
            page = (await person.get(path, follow_redirects=True)).text
            assert_harmless(page)


class TestLink:
    async def test_it_shows_draft_and_mail_to_whoever_has_it(
        self, world: World, stranger: httpx.AsyncClient
    ):
        world.add(b"From: john@example.com\r\n\r\nCan we meet?")
        answer = await stranger.get(world.link())
        assert answer.status_code == 200
        assert "That time works." in answer.text
        assert "Can we meet?" in answer.text
        assert "<form" not in answer.text
        assert "<script" not in answer.text
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "noindex" in answer.headers["x-robots-tag"]
        assert answer.headers["cache-control"] == "no-store"

    async def test_it_shows_the_draft_it_was_made_for(
        self, world: World, stranger: httpx.AsyncClient
    ):
        world.add()
        link = world.link(revision=1)
        world.become(revision=2, ai_reply_text="The newer draft")
        page = (await stranger.get(link)).text
        assert "That time works." in page
        assert "The newer draft" not in page
        assert "There is a newer draft than this one." in page

    async def test_a_forged_one_is_not_known(self, world: World, stranger: httpx.AsyncClient):
        world.add()
        link = world.link()
        for forged in (link[:-2] + "xx", "/r/x", "/r/a.b.c", link.replace("/r/", "/r/x")):
            answer = await stranger.get(forged)
            assert answer.status_code == 404
            assert "This link is not one of ours, or it is older than a week." in answer.text
            assert answer.headers["referrer-policy"] == "no-referrer"

    async def test_after_a_week_it_shows_nothing(
        self, world: World, stranger: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ):
        world.add()
        then = TimestampSigner.get_timestamp
        with monkeypatch.context() as past:
            past.setattr(
                TimestampSigner,
                "get_timestamp",
                lambda signer: then(signer) - LINK_LIFE_SECONDS - 2,
            )
            link = world.link()
        answer = await stranger.get(link)
        assert answer.status_code == 404
        assert "That time works." not in answer.text

    async def test_what_was_deleted_is_gone(self, world: World, stranger: httpx.AsyncClient):
        world.add()
        link = world.link()
        world.blobs.clear()
        assert (await stranger.get(link)).status_code == 410
        world.rows.clear()
        assert (await stranger.get(link)).status_code == 410


class TestStream:
    async def stream(
        self, app: FastAPI, person: httpx.AsyncClient, path: str, what: object
    ) -> list[str]:
        """Names of the events while `what` happens, until the server stops."""
        reading = asyncio.create_task(person.get(path))
        await asyncio.sleep(0.1)
        for step in what:  # type: ignore[attr-defined]
            step()
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
        app.state.stopping.set()
        answer = await asyncio.wait_for(reading, 1)
        assert answer.headers["content-type"].startswith("text/event-stream")
        return re.findall(r"^event: (\w+)$", answer.text, re.MULTILINE)

    async def test_the_list_hears_of_its_owners_mail_in_bursts(
        self, world: World, app: FastAPI, person: httpx.AsyncClient
    ):
        world.add()
        steps = [lambda: world.publish(OWNER.id, "<1@example.com>")] * 6
        seen = await self.stream(app, person, "/events/stream", steps)
        # At once, for the first step, and for the five that came meanwhile.
        assert seen.count("mails") in (2, 3)
        assert seen.count("counts") == 1

    async def test_a_mails_page_hears_of_that_mail_only(
        self, world: World, app: FastAPI, person: httpx.AsyncClient
    ):
        mail = world.add()
        steps = [
            lambda: world.publish(OWNER.id, "<2@example.com>"),
            lambda: world.publish("somebody-else", "<1@example.com>"),
        ]
        assert await self.stream(app, person, f"/events/stream?mail={mail}", steps) == ["mail"]

    async def test_other_owners_are_not_heard_of(
        self, world: World, app: FastAPI, person: httpx.AsyncClient
    ):
        steps = [lambda: world.publish("somebody-else", "<1@example.com>")]
        assert (await self.stream(app, person, "/events/stream", steps)).count("mails") == 1

    async def test_nobody_is_left_behind(
        self, world: World, app: FastAPI, person: httpx.AsyncClient
    ):
        await self.stream(app, person, "/events/stream", [])
        assert world.queues == set()


# Attachments

NAMES = ("report.pdf", 'Grüße \u202e"x".exe', "../../index.html")


def with_files(*names: str) -> bytes:
    message = EmailMessage()
    message["From"] = "john@example.com"
    message.set_content("See attached.")
    for name in names:
        message.add_attachment(f"of {name}".encode(), "text", "html", filename=name)
    return message.as_bytes()


class TestAttachments:
    async def test_each_is_kept_as_a_harmless_file(self, person: httpx.AsyncClient, world: World):
        mail = world.add(with_files(*NAMES))
        page = (await person.get(f"/mails/{mail}")).text
        for number, kept in enumerate(("report.pdf", "Grüße _x_.exe", "index.html"), 1):
            assert kept in page
            assert f'href="/mails/{mail}/attachments/{number}"' in page
            file = await person.get(f"/mails/{mail}/attachments/{number}")
            assert file.status_code == 200
            assert file.content == f"of {NAMES[number - 1]}".encode()
            assert file.headers["content-type"] == "application/octet-stream"
            assert file.headers["x-content-type-options"] == "nosniff"
            assert file.headers["cache-control"] == "no-store"
            assert "sandbox" in file.headers["content-security-policy"]
            disposition = file.headers["content-disposition"]
            assert disposition.startswith('attachment; filename="')
            assert disposition.endswith(f"; filename*=UTF-8''{quote(kept)}")

    async def test_old_programs_get_a_plain_name(self):
        said = content_disposition('Grüße "1" 100%.pdf')
        plain = 'attachment; filename="Gr__e _1_ 100_.pdf"; '
        assert said == plain + "filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%221%22%20100%25.pdf"

    @pytest.mark.parametrize("number", ["4", "20", "0", "-1", "21", "x", "%2e%2e%2f1"])
    async def test_what_is_not_there_is_no_file(
        self, person: httpx.AsyncClient, world: World, number: str
    ):
        mail = world.add(with_files(*NAMES))
        answer = await person.get(f"/mails/{mail}/attachments/{number}")
        assert answer.status_code in (404, 422)
        assert "content-disposition" not in answer.headers

    async def test_a_deleted_mail_has_none(self, person: httpx.AsyncClient, world: World):
        mail = world.add(with_files(*NAMES))
        world.blobs.clear()
        assert (await person.get(f"/mails/{mail}/attachments/1")).status_code == 410
        assert (await person.get(f"/mails/{mail}")).status_code == 200

    async def test_only_who_may_see_the_mail_gets_them(
        self, person: httpx.AsyncClient, stranger: httpx.AsyncClient, world: World
    ):
        mail = world.add(with_files(*NAMES))
        other = world.add(with_files(*NAMES), owner="somebody-else")
        assert (await stranger.get(f"/mails/{mail}/attachments/1")).status_code == 303
        assert (await person.get(f"/mails/{other}/attachments/1")).status_code == 404
        api = "/workflow/%3C2@example.com%3E/attachments/1"
        assert (await stranger.get(api)).status_code == 401
        assert (await person.get(api)).status_code == 404

    async def test_a_link_in_a_text_shows_names_and_gives_no_file(
        self, stranger: httpx.AsyncClient, world: World
    ):
        world.add(with_files(*NAMES))
        page = (await stranger.get(world.link())).text
        assert "report.pdf" in page
        assert "/attachments/" not in page

    async def test_boxes_say_what_goes_with_the_reply(
        self, person: httpx.AsyncClient, world: World
    ):
        mail = world.add(with_files(*NAMES))
        form = await form_of(person, f"/mails/{mail}")
        boxes = [
            attributes["value"]
            for tag, attributes in Tags((await person.get(f"/mails/{mail}")).text).tags
            if tag == "input" and attributes.get("name") == "attach"
        ]
        assert boxes == ["report.pdf", "Grüße _x_.exe", "index.html"]
        chosen = {"offer": "send", "attach": [boxes[0], boxes[2]]}
        await person.post(f"/mails/{mail}", data=form | chosen)
        await person.post(f"/mails/{mail}", data=form | {"offer": "ignore", "attach": boxes})
        await person.post(f"/mails/{mail}", data=form | {"offer": "send"})
        first, ignored, plain = world.words
        assert (first.text, first.attach) == ("1", ("report.pdf", "index.html"))
        assert (ignored.text, ignored.attach, plain.attach) == ("3", (), ())
        assert len({word.id for word in world.words}) == 3

    async def test_an_approved_reply_offers_no_boxes(self, person: httpx.AsyncClient, world: World):
        mail = world.add(with_files(*NAMES))
        for known in (
            {"current_state": MailState.USER_APPROVED, "send_at": NOW},
            {"current_state": MailState.FAILED, "reason": REASON_SEND_UNKNOWN},
            {"current_state": MailState.REPLY_SENT},
        ):
            world.become(send_at=None, reason=None)
            world.become(**known)
            assert 'name="attach"' not in (await person.get(f"/mails/{mail}")).text
        world.lines = [an_entry("user_approved", via="sms", attached="report.pdf")]
        page = (await person.get(f"/mails/{mail}")).text
        assert "You approved the draft by text message. Attached to it:" in page
