"""A browser, and a person in front of it."""

import os
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import aiosmtplib
import pytest
from people import NewPerson, Person, Post
from playwright.async_api import Browser, async_playwright, expect
from stack.process import Stack, stack_in

from mailroom.local.browser import HOW_TO_INSTALL, chromium

# Letters to off/* don't wait, so that they are dead at once.
CONFIG = """
[agents]
addresses = ["mayor/", "rig/boss", "night/worker"]
groups = { staff = ["mayor/", "rig/boss"] }

[[agents.mailboxes]]
address = "off/*"
offline_queue = { enabled = false }

[[agents.rules]]
name = "night shift"
match = { to = "rig/*", subject = "alarm" }
redirect = "night/worker"
copy = ["mayor/"]
priority = "urgent"
"""
# As long for what a page says as for what it does.
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)
ARGUMENTS = ["--no-sandbox", "--disable-background-networking"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: drives a real browser")


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    folder = tmp_path_factory.mktemp("browser")
    (folder / "mailroom.toml").write_text(CONFIG)
    async with stack_in(folder) as running:
        yield running


@pytest.fixture(scope="session")
async def engine() -> AsyncIterator[Browser]:
    found = chromium()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"No browser: {HOW_TO_INSTALL}.")
        pytest.skip(f"No browser: {HOW_TO_INSTALL}.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
async def new_person(stack: Stack, engine: Browser) -> AsyncIterator[NewPerson]:
    """`await new_person(width=360)`; keywords are those of a Playwright context."""
    people: list[Person] = []

    async def make(width: int = 1200, **known: Any) -> Person:
        size: Any = {"width": width, "height": 740}
        context = await engine.new_context(viewport=size, locale="en-GB", **known)
        context.set_default_timeout(PATIENCE_MS)
        people.append(Person(stack, context))
        return people[-1]

    yield make
    for person in people:
        await person.context.close()
        assert person.complaints == []


@pytest.fixture
async def person(new_person: NewPerson) -> Person:
    return await new_person()


@pytest.fixture
def post(stack: Stack) -> Post:
    """`await post("Lunch", "Are you free?")` mails the owner; returns the subject, made unique."""

    async def send(
        subject: str, text: str = "Can we meet tomorrow?", sender: str = "John <john@example.com>"
    ) -> str:
        message = EmailMessage()
        message["From"], message["To"] = sender, "you@mailroom.test"
        message["Subject"] = subject = f"{subject} {uuid4().hex[:8]}"
        message["Message-ID"] = f"<{uuid4().hex}@example.com>"
        message.set_content(text)
        await aiosmtplib.send(message, hostname=stack.smtp_host, port=stack.smtp_port)
        return subject

    return send
