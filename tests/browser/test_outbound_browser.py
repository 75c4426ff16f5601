"""The pages of outbound mail as the operator uses them: a real stack, a real browser."""

from uuid import uuid4

import pytest
from people import NewPerson, Person
from playwright.async_api import expect
from stack.process import Stack

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>" + "unbroken" * 40
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LATER = "2035-01-01T00:00:00Z"


async def submit(stack: Stack, campaign: str, number: int = 1, **more: str) -> list[str]:
    items = [
        {
            "sender": "news@example.org",
            "recipient": f"{campaign}-{n}@example.com",
            "headers": {"Subject": more.pop("subject", f"News no. {n}")},
            "text": "Hello",
            "campaign_id": campaign,
            **more,
        }
        for n in range(number)
    ]
    answer = await stack.client.post("/queue/messages", json={"items": items})
    accepted: list[str] = answer.raise_for_status().json()["accepted"]
    return accepted


@pytest.fixture
def campaign() -> str:
    return f"autumn-{uuid4().hex[:8]}"


async def test_a_campaign_is_watched_as_it_runs(
    person: Person, stack: Stack, campaign: str
) -> None:
    [later] = await submit(stack, campaign, scheduled_at=LATER)
    page = await person.open(f"/outbound?campaign={campaign}")
    legend = page.locator(".legend")
    await expect(legend).to_have_text("1 scheduled")
    await submit(stack, campaign, 20)
    await expect(legend.locator(".delivered")).to_have_text("20 delivered")
    await expect(page.locator(".shares rect")).to_have_count(2)
    await expect(page.locator(".rate b")).not_to_have_text("0")
    await legend.get_by_text("scheduled").click()
    await expect(page.locator(".rows tbody tr")).to_have_count(1)
    await page.locator(f"#message-{later}").click()
    await expect(page.locator("#state")).to_have_text("scheduled")
    await page.get_by_label("Reason").fill("a look first")
    await page.get_by_role("button", name="Suspend").click()
    await expect(page.locator("#notice")).to_have_text("The message is to be suspended.")
    await expect(page.locator("#state")).to_have_text("suspended")
    await expect(page.locator("#timeline")).to_contain_text("a look first")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator("#state")).to_have_text("cancelled")
    await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


async def test_everything_fits_on_a_phone(
    new_person: NewPerson, stack: Stack, campaign: str
) -> None:
    queue = f"{campaign}-{HOSTILE}"[:255]
    [id] = await submit(stack, campaign, subject=HOSTILE, queue_name=queue, scheduled_at=LATER)
    person = await new_person(width=390)
    for path in (f"/outbound/messages?campaign_id={campaign}", f"/outbound/{id}"):
        page = await person.open(path)
        await expect(page.locator("main")).to_contain_text("<img src=x onerror=alert(1)>")
        assert await page.evaluate(TOO_WIDE) <= 0, path
    await stack.client.post(f"/queue/messages/{id}/cancel")


async def test_it_works_without_javascript(
    new_person: NewPerson, stack: Stack, campaign: str
) -> None:
    [id] = await submit(stack, campaign, scheduled_at=LATER)
    person = await new_person(java_script_enabled=False)
    page = await person.open(f"/outbound/messages?campaign_id={campaign}")
    await page.get_by_label("Status", exact=True).select_option("scheduled")
    await page.get_by_role("button", name="Filter").first.click()
    await page.locator(f"#message-{id}").click()
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator("#notice")).to_have_text("The message is to be cancelled.")
