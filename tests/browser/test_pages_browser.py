"""The pages as a person uses them: a real stack, a real browser."""

import asyncio
import re
from contextlib import suppress

import pytest
from people import NewPerson, Person, Post
from playwright.async_api import Error, Page, Route, expect
from stack.process import Stack, until

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>"
REFRESH = 'htmx.trigger(document.querySelector("[hx-trigger^=\'sse:mail\']"), "sse:mail")'
LONG = "unbroken" * 40


async def open_mail(page: Page, subject: str) -> None:
    await page.locator("a.mail", has_text=subject).click()
    await expect(page.locator("h1")).to_have_text(subject)


async def code_of(page: Page, subject: str) -> str:
    row = page.locator("a.mail", has_text=subject)
    await expect(row.locator(".pill")).to_have_text("waits for you")
    return await row.locator(".code").inner_text()


async def test_a_mail_is_answered_on_the_page(person: Person, post: Post):
    page = await person.open()
    assert "token" not in page.url
    subject = await post("Meeting tomorrow", "Can we meet tomorrow at 2pm?")
    row = page.locator("a.mail", has_text=subject)
    await expect(row.locator(".pill")).to_have_text("waits for you")
    await open_mail(page, subject)
    await expect(page.locator(".letter")).to_contain_text("Can we meet tomorrow at 2pm?")
    await expect(page.locator(".to")).to_contain_text("john@example.com")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator("#notice")).to_have_text("The reply is on its way.")
    await expect(page.locator("#state")).to_have_text("sent")
    await expect(page.locator("#timeline")).to_contain_text("You approved the draft on the page.")
    await expect(page.get_by_role("button", name="Send")).to_have_count(0)
    await page.get_by_role("link", name="outbox", exact=True).click()
    left = page.locator("article", has_text=f"Re: {subject}")
    await expect(left).to_contain_text("@example.com>")
    await left.get_by_text("The thread").click()
    await expect(left.get_by_text("References")).to_be_visible()
    # Another mail leaves: what somebody reads stays open.
    async with page.expect_response("**/outbox/mails"):
        await page.evaluate("void htmx.ajax('GET', '/outbox/mails', {target: '.outbox'})")
    await expect(left.get_by_text("References")).to_be_visible()


async def test_an_edit_makes_a_new_draft_and_the_old_page_decides_nothing(
    person: Person, new_person: NewPerson, post: Post
):
    subject = await post("Lunch on Friday")
    page = await person.open()
    await open_mail(page, subject)
    await expect(page.locator("#state")).to_have_text("waits for you")
    # A page that nothing refreshes.
    still = await new_person(java_script_enabled=False)
    old = await still.open(page.url.removeprefix(person.stack.url))
    await page.get_by_label("Change the draft").fill("warmer")
    await page.get_by_role("button", name="Edit").click()
    await expect(page.locator("#draft")).to_contain_text("Draft 2")
    await expect(page.get_by_label("Change the draft")).to_have_value("")
    await old.get_by_role("button", name="Send", exact=True).click()
    await expect(old.locator("#notice")).to_contain_text("older draft")
    await expect(page.locator("#state")).to_have_text("waits for you")


async def test_what_is_being_typed_survives_a_refresh(person: Person, post: Post, stack: Stack):
    subject = await post("Dinner")
    page = await person.open()
    await open_mail(page, subject)
    await page.get_by_label("Change the draft").press_sequentially("warm")
    async with page.expect_response(re.compile("/state$")):
        await page.evaluate(REFRESH)
    await expect(page.locator(".htmx-request, .htmx-settling")).to_have_count(0)
    await page.keyboard.type("er")
    await expect(page.get_by_label("Change the draft")).to_have_value("warmer")


async def test_a_click_during_a_refresh_counts(person: Person, post: Post):
    subject = await post("Breakfast")
    page = await person.open()
    await open_mail(page, subject)
    await expect(page.locator("#state")).to_have_text("waits for you")
    asked, clicked = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        asked.set()
        await clicked.wait()
        with suppress(Error):
            await route.continue_()

    await page.route("**/state", late)
    await page.evaluate(REFRESH)
    await asyncio.wait_for(asked.wait(), 15)
    await page.get_by_role("button", name="Send", exact=True).click()
    clicked.set()
    await expect(page.locator("#notice")).to_have_text("The reply is on its way.")
    await expect(page.locator("#state")).to_have_text("sent")


async def test_the_phone_answers_and_the_list_follows(person: Person, post: Post):
    phone = await person.open("/phone")
    mails = await person.open("/")
    subject = await post("Coffee")
    await expect(phone.locator("#texts")).to_contain_text(subject)
    code = await code_of(mails, subject)
    await phone.get_by_role("link", name=f"2 {code}").click()
    field = phone.get_by_label("Your answer")
    await expect(field).to_be_focused()
    await phone.keyboard.type("shorter")
    await expect(field).to_have_value(f"2 {code} shorter")
    await phone.keyboard.press("Enter")
    await expect(phone.locator("#notice")).to_have_text("The draft is being changed.")
    await expect(mails.locator("a.mail", has_text=subject).locator(".code")).not_to_have_text(code)
    code = await code_of(mails, subject)
    await phone.get_by_role("button", name=f"1 {code}").click()
    await expect(phone.locator("#notice")).to_have_text("The reply is on its way.")
    await expect(mails.locator("a.mail", has_text=subject).locator(".pill")).to_have_text("sent")
    await expect(phone.get_by_role("button", name=f"1 {code}")).to_have_count(0)


async def test_it_works_without_javascript(new_person: NewPerson, post: Post, stack: Stack):
    subject = await post("By hand")
    person = await new_person(java_script_enabled=False)
    page = await person.context.new_page()
    await page.goto(f"{stack.url}/?state=waiting")
    await page.get_by_label("Token").fill(stack.token)
    await page.get_by_role("button", name="Log in").click()
    await expect(page).to_have_url(f"{stack.url}/?state=waiting")

    async def listed() -> bool:
        """Such a page shows news when it is loaded again."""
        await page.reload()
        return await page.locator("a.mail", has_text=subject).count() == 1

    await until(listed, "the mail on the page")
    await open_mail(page, subject)
    await page.get_by_role("button", name="Ignore").click()
    await expect(page.locator("#notice")).to_have_text("The mail is left unanswered.")
    await expect(page.locator("#state")).to_have_text("ignored")
    await page.goto(f"{stack.url}/phone")
    await page.get_by_label("Your answer").fill("what?")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator("#texts .mine").last).to_contain_text("what?")
    await expect(page.locator("#notice")).not_to_be_empty()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Token")).to_be_visible()


@pytest.mark.parametrize("width", [360, 1200])
async def test_hostile_and_endless_mail_does_nothing_and_fits(
    new_person: NewPerson, post: Post, width: int
):
    person = await new_person(width)
    subject = await post(f"{HOSTILE} {LONG}", f"{HOSTILE}\n{LONG}\nhttps://e.example/{LONG}")
    page = await person.open()
    await open_mail(page, subject)
    await expect(page.locator("#state")).to_have_text("waits for you")
    mail = page.url
    for path in (mail, "/", "/phone", "/outbox", "/r/forged"):
        await page.goto(path if path == mail else f"{person.stack.url}{path}")
        assert await page.locator("img").count() == 0
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(overflow) <= 0, path
    # The link that shows nothing is a 404 by design.
    person.complaints[:] = [text for text in person.complaints if "404" not in text]


async def test_a_tab_that_nobody_sees_gives_its_stream_back(person: Person, post: Post):
    page = await person.open()
    await page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.away})")
    look_away = (
        "away => {window.away = away; document.dispatchEvent(new Event('visibilitychange'))}"
    )
    async with page.expect_event("requestfailed", lambda request: "stream" in request.url):
        await page.evaluate(look_away, True)
    subject = await post("Unseen")
    async with page.expect_response(re.compile("/mails/rows")):
        await page.evaluate(look_away, False)
    await expect(page.locator("a.mail", has_text=subject)).to_be_visible()


async def test_a_session_that_ended_leads_to_the_login(person: Person, post: Post):
    subject = await post("Too late")
    page = await person.open()
    await open_mail(page, subject)
    # A refresh would lead to the login as well.
    await page.route("**/state", lambda route: route.fulfill(status=204))
    await person.context.clear_cookies()
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.get_by_label("Token")).to_be_visible()
    person.complaints[:] = [text for text in person.complaints if "401" not in text]
