"""An operator among many messages: finds, counts, suspends, moves, watches, exports."""

from uuid import uuid4

import pytest
from people import NewPerson, Person
from playwright.async_api import Page, expect
from stack.process import Stack

pytestmark = pytest.mark.browser

LATER = "2035-01-01T00:00:00Z"
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LOOKS = 20
# When an event of a row came, and when the row said so.
WATCH = """
id => new Promise(done => {
  const row = () => document.getElementById(`row-${id}`)?.querySelector('.pill')?.textContent;
  const before = row();
  const seen = new MutationObserver(() => {
    if (row() !== before) { seen.disconnect(); done(Date.now()); }
  });
  seen.observe(document.getElementById('rows'), {childList: true, subtree: true});
})
"""


@pytest.fixture
def campaign() -> str:
    return f"winter-{uuid4().hex[:8]}"


async def submit(stack: Stack, campaign: str, number: int, **more: str) -> list[str]:
    domain = more.pop("domain", "example.com")
    items = [
        {
            "sender": "news@example.org",
            "recipient": f"{campaign}-{n}@{domain}",
            "headers": {"Subject": f"News no. {n}"},
            "text": "Hello",
            "campaign_id": campaign,
            "scheduled_at": LATER,
            **more,
        }
        for n in range(number)
    ]
    answer = await stack.client.post("/queue/messages", json={"items": items})
    accepted: list[str] = answer.raise_for_status().json()["accepted"]
    return accepted


async def filtered(page: Page, campaign: str) -> None:
    await page.get_by_label("Campaign").fill(campaign)
    await page.get_by_role("button", name="Filter").first.click()
    await expect(page.get_by_label("Campaign")).to_have_value(campaign)


async def test_a_campaign_is_found_moved_and_exported(
    person: Person, stack: Stack, campaign: str
) -> None:
    await submit(stack, campaign, 60)
    page = await person.open("/outbound")
    await page.get_by_role("link", name="Messages", exact=True).click()
    await filtered(page, campaign)
    await expect(page.locator(".counts")).to_have_text("60 messages match")
    await expect(page.locator(".rows tbody tr")).to_have_count(50)
    await page.locator("#by-recipient").click()
    await expect(page.locator("[aria-sort=ascending]")).to_contain_text("Recipient")
    await page.get_by_role("link", name="Next page").click()
    await expect(page.locator(".rows tbody tr")).to_have_count(10)
    await page.get_by_label("Which").select_option("all")
    await page.get_by_label("What", exact=True).select_option("rebind")
    await expect(page.get_by_label("New priority")).to_be_hidden()
    await page.get_by_label("To the queue").fill(f"slow-{campaign}")
    await page.get_by_label("Reason").fill("they were slow")
    await page.get_by_role("button", name="Count first").click()
    await expect(page.locator("h1")).to_have_text("Rebind 60 messages?")
    await expect(page.locator(".sample li")).to_have_count(10)
    await page.get_by_role("button", name="Rebind 60 messages").click()
    # What has ended says so without a reload.
    await expect(page.locator("#state")).to_have_text("completed", timeout=30_000)
    await expect(page.locator("#progress-words")).to_have_text("60 messages were moved.")
    await page.locator(".quiet a", has_text=f"slow-{campaign}").click()
    await expect(page.locator(".counts")).to_have_text("60 messages match")
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="CSV").click()
    download = await downloading.value
    lines = (await download.path()).read_text().splitlines()
    assert len(lines) == 61
    assert all(f"slow-{campaign}" in line for line in lines[1:])
    await page.goto(f"{stack.url}/outbound/operations")
    await expect(page.locator(".trail tbody tr").first).to_contain_text("they were slow")


async def test_a_domain_is_suspended_for_an_hour(
    person: Person, stack: Stack, campaign: str
) -> None:
    domain = f"{campaign}.example"
    [id] = await submit(stack, campaign, 1, domain=domain)
    page = await person.open(f"/outbound/{id}")
    await page.get_by_role("link", name=domain, exact=True).first.click()
    await expect(page.locator("h1")).to_have_text(domain)
    await page.get_by_label("For").select_option("1 hour")
    await page.get_by_label("Reason").fill("they move house")
    await page.get_by_role("button", name="Suspend").click()
    await expect(page.locator("#notice")).to_have_text(f"Mail to {domain} is suspended.")
    await expect(page.locator(".held")).to_contain_text("they move house")
    await page.goto(f"{stack.url}/outbound/suspensions")
    row = page.locator(".holds tr", has_text=domain)
    await expect(row).to_contain_text("they move house")
    await row.get_by_role("button", name="Release").click()
    await expect(page.locator("#notice")).to_have_text(f"The domain {domain} goes on.")
    await expect(row).to_have_count(0)


async def test_chosen_rows_stay_chosen_while_others_change(
    person: Person, stack: Stack, campaign: str
) -> None:
    first, second, third = await submit(stack, campaign, 3)
    page = await person.open(f"/outbound/messages?campaign_id={campaign}")
    await page.locator(f"#pick-{first}").check()
    await stack.client.post(f"/queue/messages/{second}/suspend", json={})
    await expect(page.locator(f"#row-{second} .pill")).to_have_text("suspended")
    await expect(page.locator(f"#pick-{first}")).to_be_checked()
    choose_all = page.get_by_label("Choose all on this page")
    await choose_all.check()
    await expect(page.locator(f"#pick-{third}")).to_be_checked()
    await stack.client.post(f"/queue/messages/{third}/suspend", json={})
    await expect(page.locator(f"#row-{third} .pill")).to_have_text("suspended")
    await expect(choose_all).to_be_checked()
    await page.locator(f"#pick-{third}").uncheck()
    await expect(choose_all).not_to_be_checked()
    await page.locator(f"#pick-{third}").check()
    await choose_all.uncheck()
    await page.locator(f"#pick-{first}").check()
    await page.get_by_label("What", exact=True).select_option("purge")
    await page.get_by_role("button", name="Count first").click()
    await expect(page.locator("main")).to_contain_text("This can't be undone")
    await page.get_by_role("button", name="Purge 1 message").click()
    await expect(page.locator("#state")).to_have_text("completed", timeout=30_000)
    await page.goto(f"{stack.url}/outbound/messages?campaign_id={campaign}")
    await expect(page.locator(".counts")).to_have_text("2 messages match")
    await expect(page.locator(f"#row-{first}")).to_have_count(0)


async def test_a_changed_row_is_on_an_open_list_within_a_second(
    person: Person, stack: Stack, campaign: str
) -> None:
    ids = await submit(stack, campaign, LOOKS)
    page = await person.open(f"/outbound/messages?campaign_id={campaign}")
    await expect(page.locator(".rows tbody tr")).to_have_count(LOOKS)
    waits = []
    for id in ids:
        seen = await page.evaluate_handle(f"id => ({{shown: ({WATCH})(id)}})", id)
        await stack.client.post(f"/queue/messages/{id}/suspend", json={})
        shown = await seen.evaluate("seen => seen.shown")
        changed = await changed_at(stack, id)
        waits.append(shown / 1000 - changed)
    waits.sort()
    assert waits[int(0.95 * LOOKS) - 1] < 1, waits


async def changed_at(stack: Stack, id: str) -> float:
    """When the store had it: one clock, since all of it is one machine."""
    async with await stack.database() as connection:
        found = await connection.execute(
            "SELECT extract(epoch FROM at) FROM events"
            " WHERE message_id = %s AND type = 'message.suspended'",
            (id,),
        )
        [at] = await found.fetchone() or [0]
    return float(at)


async def test_the_overview_draws_what_happens(person: Person, stack: Stack, campaign: str) -> None:
    page = await person.open(f"/outbound?campaign={campaign}")
    await expect(page.locator(".chart canvas")).to_have_count(1)
    await submit(stack, campaign, 3)
    await expect(page.locator(".figures")).to_contain_text("3 submitted", timeout=15_000)
    await expect(page.locator(".depths a")).to_have_text(["example.com"])
    await page.get_by_text("As a table").click()
    await expect(page.locator("#chart-table tbody tr")).to_have_count(60)
    await page.get_by_role("link", name="day", exact=True).click()
    await expect(page.locator(".figures")).to_contain_text("In the last day: 3 submitted")


async def test_it_fits_on_a_phone_and_works_without_javascript(
    new_person: NewPerson, stack: Stack, campaign: str
) -> None:
    [id, *_] = await submit(stack, campaign, 2, queue_name="unbroken" * 30)
    person = await new_person(width=390, java_script_enabled=False)
    page = await person.open(f"/outbound/messages?campaign_id={campaign}")
    await page.locator(f"#pick-{id}").check()
    await page.get_by_label("What", exact=True).select_option("cancel")
    await page.get_by_role("button", name="Count first").click()
    await expect(page.locator("h1")).to_have_text("Cancel 1 message?")
    await page.get_by_role("button", name="Cancel 1 message").click()
    operation = page.url.removeprefix(stack.url)
    phone = await new_person(width=390)
    for path in (
        "/outbound",
        f"/outbound/messages?campaign_id={campaign}&tags=",
        f"/outbound/messages?campaign_id={campaign}&min_attempts=0",
        f"/outbound/{id}",
        operation,
        "/outbound/operations",
        "/outbound/domains",
        "/outbound/domains/example.com",
        "/outbound/suspensions",
    ):
        page = await phone.open(path)
        assert await page.evaluate(TOO_WIDE) <= 0, path
        await page.close()
