"""Leaving a campaign with a browser that runs no script."""

from base64 import b64decode
from email import message_from_bytes
from uuid import uuid4

import pytest
from people import NewPerson
from playwright.async_api import expect
from stack.process import Stack
from world import eventually

pytestmark = pytest.mark.browser


async def link_in_outbox(stack: Stack, subject: str) -> str:
    found: list[str] = []

    async def is_there() -> bool:
        mails = (await stack.client.get("/dev/outbox")).json()
        found.extend(mail["raw"] for mail in mails if mail["subject"] == subject)
        return bool(found)

    await eventually(is_there)
    return str(message_from_bytes(b64decode(found[0]))["List-Unsubscribe"]).strip("<>")


async def test_a_campaign_is_left_on_a_phone_without_script(stack: Stack, new_person: NewPerson):
    subject, recipient = f"Spring {uuid4().hex[:8]}", f"{uuid4().hex[:8]}@example.com"
    message = {
        "sender": "news@company.com",
        "recipient": recipient,
        "headers": {"From": "Company News <news@company.com>", "Subject": subject},
        "text": "Hello",
        "campaign_id": "spring",
    }
    answer = await stack.client.post("/queue/messages", json=message)
    assert answer.status_code == 202, answer.text

    person = await new_person(width=360, java_script_enabled=False)
    page = await person.context.new_page()
    page.on("console", person.note)
    await page.goto(await link_in_outbox(stack, subject))
    await expect(page.get_by_text("Company News <news@company.com>")).to_be_visible()
    listed = "/queue/suppressions"
    found = await stack.client.get(listed, params={"search": recipient})
    assert found.json()["items"] == []

    await page.get_by_role("button", name="Unsubscribe").click()
    await expect(page.get_by_role("heading")).to_have_text("Unsubscribed")
    [item] = (await stack.client.get(listed, params={"search": recipient})).json()["items"]
    assert item["reason"] == "unsubscribe"
    await page.reload()
    await expect(page.get_by_role("heading")).to_have_text("Unsubscribed")
