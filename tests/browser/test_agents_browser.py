"""The pages of agent mail as the overseer uses them: a real stack, a real browser."""

from uuid import uuid4

import pytest
from agent_people import Agent, agent_on
from people import NewPerson, Person
from playwright.async_api import Locator, Page, expect
from stack.process import Stack

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>"
# Turned around by U+202E, and without a place to break a line.
ENDLESS = f"\u202e{HOSTILE}\u05e9\u05dc\u05d5\u05dd"
SUBJECT = ENDLESS + "unbroken" * ((500 - len(ENDLESS)) // 8)
BODY = f"{HOSTILE}\n\u202eturned\n{'unbroken' * 300}"
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
async def worker(stack: Stack) -> Agent:
    return await agent_on(stack)


@pytest.fixture
async def lost(stack: Stack) -> Agent:
    """Letters to whom are dead."""
    return await agent_on(stack, "off")


def box_of(agent: Agent) -> str:
    return f"/agents/box?address={agent.address}"


def dead_of(agent: Agent) -> str:
    return f"/agents/dead?to={agent.address}"


def row_of(page: Page, subject: str) -> Locator:
    return page.locator("li", has=page.locator("a.mail", has_text=subject))


async def write(page: Page, subject: str, body: str = "Come, please.", **more: str) -> None:
    """Fills in and sends the form of a mailbox."""
    await page.get_by_text("Write a letter").click()
    await page.get_by_label("Subject").fill(subject)
    await page.get_by_label("Text", exact=True).fill(body)
    for label, value in more.items():
        await page.get_by_label(label.capitalize()).select_option(value)
    await page.get_by_role("button", name="Send").click()


async def test_a_mailbox_comes_online(person: Person, worker: Agent):
    page = await person.open(f"/agents?find={worker.address}")
    row = page.get_by_role("row", name=worker.address)
    await expect(row.get_by_text("offline")).to_be_visible()
    await worker.come()
    await expect(row.get_by_text("online", exact=True)).to_be_visible()
    await worker.come()
    await expect(row.get_by_text("online, 2 sessions")).to_be_visible()
    await worker.go()
    await expect(row.get_by_text("offline")).to_be_visible()
    await worker.gets("Anybody there?")
    await expect(row.get_by_role("cell").nth(1)).to_have_text("1")
    # By the way that people take.
    await page.goto(f"{person.stack.url}/")
    await page.get_by_role("link", name="Agents", exact=True).click()
    await page.get_by_role("link", name=worker.address).click()
    await expect(page.locator("h1")).to_have_text(worker.address)
    await expect(page.locator("a.mail", has_text="Anybody there?")).to_be_visible()


async def test_processing_is_switched_off_and_on(person: Person, worker: Agent):
    page = await person.open("/agents")
    switch = page.get_by_role("switch", name="Processing")
    await expect(switch).to_be_checked()
    await worker.come()
    await switch.click()
    try:
        await expect(page.get_by_text("Processing is switched off")).to_be_visible()
        await expect(switch).not_to_be_checked()
        assert await worker.status_of(await worker.gets("Later")) == "queued"
    finally:
        await switch.click()
    await expect(page.locator("#notice")).to_have_text("Letters go on.")
    assert await worker.take() == ["Later"]


async def test_a_letter_is_written_and_its_story_followed(person: Person, worker: Agent):
    page = await person.open(box_of(worker))
    await expect(page.get_by_text("Nothing is unread.")).to_be_visible()
    await write(page, "The bridge is closed", "Take the ferry.\nAt nine.", priority="urgent")
    await expect(page.locator("#notice")).to_have_text(f"The letter waits for {worker.address}.")
    row = page.locator("a.mail", has_text="The bridge is closed")
    await expect(row).to_contain_text("urgent")
    await row.click()
    await expect(page.locator(".letter .text")).to_have_text("Take the ferry.\nAt nine.")
    lines = page.locator("#timeline li")
    await expect(lines).to_contain_text(["overseer sent it.", "It waits in the inbox."])
    # Somebody comes and takes it; the page says so by itself.
    session = await worker.come()
    assert await worker.take() == ["The bridge is closed"]
    await expect(page.locator("#state")).to_have_text("delivered")
    await expect(lines.last).to_contain_text(f"It was delivered to a session ({session}).")
    await expect(page.locator("#facts")).to_contain_text(session)
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("#notice")).to_have_text("The letter is acknowledged.")
    await expect(page.locator("#state")).to_have_text("acknowledged")
    await expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    await expect(page.locator("#timeline")).to_contain_text("It was acknowledged.")


async def test_a_pinned_letter_stays_on_top(person: Person, worker: Agent):
    first, second = await worker.gets("First"), await worker.gets("Second", priority="low")
    page = await person.open(f"/agents/letters/{second}")
    await page.get_by_role("button", name="Pin").click()
    await expect(page.get_by_role("button", name="Unpin")).to_be_visible()
    await page.goto(f"{person.stack.url}{box_of(worker)}")
    rows = page.locator("a.mail")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("Second")
    await expect(rows.first).to_contain_text("pinned")
    await rows.first.click()
    await page.get_by_role("button", name="Unpin").click()
    await page.get_by_role("link", name=f"← {worker.address}").click()
    await expect(rows.first).to_have_id(f"letter-{first}")


async def test_an_answer_joins_the_thread(person: Person, worker: Agent):
    other = await agent_on(person.stack)
    letter = await worker.gets("Who has the key?", **{"from": other.address})
    page = await person.open(f"/agents/letters/{letter}")
    await page.get_by_role("link", name=f"Answer {other.address}").click()
    await expect(page.get_by_label("Subject")).to_have_value("Re: Who has the key?")
    await page.get_by_label("Text", exact=True).fill("I do.")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("#notice")).to_have_text(f"The letter waits for {other.address}.")
    await page.locator("a.mail", has_text="Re: Who has the key?").click()
    thread = page.locator("#thread a.mail")
    await expect(thread).to_contain_text(["Who has the key?", "I do."])
    await page.goto(f"{person.stack.url}{box_of(worker)}&show=received")
    await expect(page.locator("a.mail")).to_contain_text(["Who has the key?"])
    await page.goto(f"{person.stack.url}{box_of(other)}")
    await page.get_by_role("link", name="Sent").click()
    await expect(page.locator("a.mail")).to_contain_text([f"to {worker.address}"])


async def test_what_is_being_written_survives_news(person: Person, worker: Agent):
    page = await person.open(box_of(worker))
    await page.get_by_text("Write a letter").click()
    await page.get_by_label("Text", exact=True).press_sequentially("Half a sen")
    await worker.gets("In between")
    await expect(page.locator("a.mail", has_text="In between")).to_be_visible()
    await page.keyboard.type("tence.")
    await expect(page.get_by_label("Text", exact=True)).to_have_value("Half a sentence.")


async def test_a_letter_that_nobody_can_get_says_who_may_be_meant(person: Person, worker: Agent):
    page = await person.open(box_of(worker))
    await page.get_by_text("Write a letter").click()
    await page.get_by_label("To", exact=True).fill(f"{worker.address}x")
    await page.get_by_label("Text", exact=True).fill("Long thoughts.")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("#notice")).to_contain_text(f"did you mean {worker.address}")
    await expect(page.get_by_label("Text", exact=True)).to_have_value("Long thoughts.")
    # The browser says that a page came with status 422.
    person.complaints[:] = [text for text in person.complaints if "422" not in text]


async def test_one_dead_letter_is_replayed_and_others_are_given_up(person: Person, lost: Agent):
    letters = {name: await lost.gets(name) for name in ("One", "Two", "Three")}
    page = await person.open(dead_of(lost))
    await expect(page.locator("a.mail")).to_have_count(3)
    await expect(page.locator("a.mail").first).to_contain_text("Nobody is online")
    await lost.come()
    await row_of(page, "Two").get_by_role("checkbox").check()
    await page.get_by_role("button", name="Replay chosen…").click()
    await expect(page.locator("h1")).to_have_text("Replay 1 letter?")
    await page.get_by_role("button", name="Replay 1 letter").click()
    await expect(page.locator("#notice")).to_have_text("1 letter is tried again.")
    assert await lost.take() == ["Two"]
    await expect(page.locator("a.mail")).to_have_count(2)
    for name in ("One", "Three"):
        await row_of(page, name).get_by_role("checkbox").check()
    await page.get_by_role("button", name="Discard chosen…").click()
    await expect(page.locator(".asked li")).to_contain_text(["One", "Three"])
    await page.get_by_role("button", name="Discard 2 letters").click()
    await expect(page.locator("#notice")).to_have_text("2 letters are given up.")
    await expect(page.get_by_text("No dead letter matches.")).to_be_visible()
    await page.goto(f"{person.stack.url}/agents/letters/{letters['One']}")
    await expect(page.locator("#state")).to_have_text("discarded")
    await expect(page.locator("#timeline")).to_contain_text("It was given up: Discarded by")
    await page.goto(f"{person.stack.url}/agents/letters/{letters['Two']}")
    await expect(page.locator("#timeline")).to_contain_text("It is tried again")
    await expect(page.locator("#state")).to_have_text("delivered")


async def test_all_that_match_are_given_up_once_their_count_is_agreed(
    person: Person, stack: Stack, lost: Agent
):
    word = uuid4().hex
    kept = await lost.gets("Something else")
    for number in (1, 2):
        await lost.gets(f"{word} {number}", priority="high")
    page = await person.open("/agents/dead")
    await page.get_by_label("To").fill(lost.address)
    await page.get_by_label("Priority").select_option("high")
    await page.get_by_label("Words").fill(word)
    await page.get_by_role("button", name="Filter").click()
    await expect(page.locator(".counts")).to_have_text("2 letters match")
    await page.get_by_role("button", name="Discard all…").click()
    await expect(page.locator("h1")).to_have_text("Discard 2 letters?")
    await expect(page.locator("main")).to_contain_text(f"to {lost.address} of priority high")
    third = await lost.gets(f"{word} 3", priority="high")
    await page.get_by_role("button", name="Discard 2 letters").click()
    await expect(page.get_by_role("alert")).to_contain_text("more of them")
    await page.get_by_role("button", name="Discard 3 letters").click()
    await expect(page.locator("#notice")).to_have_text("3 letters are given up.")
    await expect(page.get_by_text("No dead letter matches.")).to_be_visible()
    assert await lost.status_of(third) == "discarded"
    assert await lost.status_of(kept) == "dead_letter"
    person.complaints[:] = [text for text in person.complaints if "409" not in text]


async def test_what_is_ticked_stays_while_letters_die(person: Person, lost: Agent):
    await lost.gets("Ticked")
    page = await person.open(dead_of(lost))
    refresh = "**/agents/dead/letters?**"
    async with page.expect_response(refresh):
        await page.reload()
    box = row_of(page, "Ticked").get_by_role("checkbox")
    await box.check()
    async with page.expect_response(refresh) as answer:
        await lost.gets("Another")
    assert "Another" in await (await answer.value).text()
    await expect(page.locator(".htmx-request, .htmx-settling")).to_have_count(0)
    await expect(box).to_be_checked()
    await expect(page.locator("a.mail")).to_have_count(1)
    await box.uncheck()
    await lost.gets("A third")
    await expect(page.locator("a.mail")).to_have_count(3)


async def test_rules_are_tried_and_nothing_is_sent(person: Person, worker: Agent):
    page = await person.open("/agents/rules")
    rule = page.get_by_role("row", name="night shift")
    await expect(rule).to_contain_text("subject has “alarm”")
    await expect(rule).to_contain_text("redirect to night/worker")
    await page.get_by_label("To").fill(worker.address)
    await page.get_by_label("Subject").fill("Fire ALARM")
    await page.get_by_role("button", name="Try").click()
    result = page.locator("#result")
    await expect(result).to_contain_text("rule 1 (night shift): redirected to night/worker")
    await expect(result).to_contain_text("night/worker gets it: urgent, interrupting.")
    await expect(result).to_contain_text("mayor/ gets it: urgent")
    await page.get_by_label("Subject").fill("Lunch")
    await page.get_by_role("button", name="Try").click()
    await expect(result).to_contain_text("No rule is about such a letter.")
    await expect(result).to_contain_text(f"{worker.address} gets it: normal, without interrupting.")
    await page.get_by_label("To").fill("@staff")
    await page.get_by_role("button", name="Try").click()
    await expect(result.locator("b")).to_have_text(["mayor/", "rig/boss"])
    await page.goto(f"{person.stack.url}{box_of(worker)}&show=received")
    await expect(page.get_by_text("It has got nothing.")).to_be_visible()


async def test_it_works_without_javascript(new_person: NewPerson, stack: Stack, lost: Agent):
    person = await new_person(java_script_enabled=False)
    page = await person.open(box_of(lost))
    await write(page, "By hand")
    await expect(page.locator("#notice")).to_contain_text("was not delivered: Nobody is online")
    await page.get_by_role("link", name="Received").click()
    await page.locator("a.mail", has_text="By hand").click()
    await expect(page.locator("#timeline")).to_contain_text("It became a dead letter")
    await lost.come()
    await page.get_by_role("button", name="Replay").click()
    await expect(page.locator("#notice")).to_have_text("The letter is tried again.")
    assert await lost.take() == ["By hand"]
    await page.reload()
    await expect(page.locator("#state")).to_have_text("delivered")
    await lost.go()
    await lost.gets("Lost for good")
    await page.goto(f"{stack.url}{dead_of(lost)}")
    await page.get_by_role("checkbox").check()
    await page.get_by_role("button", name="Discard chosen…").click()
    await page.get_by_role("button", name="Discard 1 letter").click()
    await expect(page.locator("#notice")).to_have_text("1 letter is given up.")
    await page.get_by_role("link", name="Rules").click()
    await page.get_by_label("To").fill("mayor/")
    await page.get_by_role("button", name="Try").click()
    await expect(page.locator("#result")).to_contain_text("mayor/ gets it")
    await page.get_by_role("link", name="Mailboxes").click()
    await page.get_by_role("switch", name="Processing").click()
    await expect(page.locator("#notice")).to_have_text("Letters are taken, and wait.")
    await page.get_by_role("switch", name="Processing").click()
    await expect(page.locator("#notice")).to_have_text("Letters go on.")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1200, "light")])
async def test_hostile_and_endless_letters_do_nothing_and_fit(
    new_person: NewPerson, stack: Stack, worker: Agent, lost: Agent, width: int, scheme: str
):
    person = await new_person(width, color_scheme=scheme)
    deep = await agent_on(stack, "/".join(["unbroken" * 3] * 7))
    waits = await worker.gets(SUBJECT, BODY, **{"from": deep.address})
    await deep.gets(SUBJECT, BODY, reply_to=waits)
    dead = await lost.gets(SUBJECT, BODY, **{"from": deep.address})
    page = await person.open(f"/agents/letters/{waits}")
    await expect(page.locator("h1")).to_have_text(SUBJECT)
    await expect(page.locator(".letter .text")).to_have_text(BODY)
    for path in (
        f"/agents/letters/{waits}",
        f"/agents/letters/{dead}",
        f"/agents?find={deep.address}",
        "/agents",
        box_of(worker),
        f"{box_of(deep)}&reply_to={waits}",
        f"{box_of(deep)}&show=sent",
        dead_of(lost),
        f"{dead_of(lost)}&search=unbroken",
        f"/agents/rules?to={deep.address}&from={deep.address}&subject={'unbroken' * 60}",
    ):
        await page.goto(f"{person.stack.url}{path}")
        assert await page.locator("main img, main script").count() == 0
        assert await page.evaluate(TOO_WIDE) <= 0, path
    await page.goto(f"{person.stack.url}{dead_of(lost)}")
    await page.get_by_role("button", name="Discard all…").click()
    await expect(page.locator(".asked")).to_contain_text(HOSTILE)
    assert await page.evaluate(TOO_WIDE) <= 0
