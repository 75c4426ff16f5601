"""Temporal or PostgreSQL is away for a while, under load: what comes in is kept, people are told
since when and how much, and it goes on by itself, each once."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime

import httpx

from mailroom.models.names import email_reply_id
from stack.mailbox import Mailbox, id_of, letter, started
from stack.process import Stack, until

MAILS = 30
BEFORE = "before@example.com"


@contextmanager
def hanging(pid: int) -> Iterator[None]:
    """A process that is there and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def away(stack: Stack) -> AsyncIterator[None]:
    """PostgreSQL is killed and can't be started again meanwhile."""
    settings = stack.data_dir / "postgres" / "postgresql.conf"
    aside = settings.rename(settings.with_suffix(".aside"))
    os.kill(await stack.pid_of("postgres"), signal.SIGKILL)
    try:
        yield
    finally:
        aside.rename(settings)


def is_away(response: httpx.Response) -> bool:
    kind = response.headers["content-type"]
    return response.status_code == 503 and kind == "application/problem+json"


async def command(stack: Stack, *words: str) -> dict[str, object]:
    """What `mailroom ... -o json` prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailroom.cli.main", *words, "-o", "json"),
        cwd=stack.data_dir,
        env=stack._environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    printed: dict[str, object] = json.loads(output)
    return printed


async def test_what_comes_while_temporal_hangs_goes_on_once(mailbox: Mailbox) -> None:
    stack = mailbox.stack
    await mailbox.receive(BEFORE)
    await mailbox.at_rest(BEFORE)
    senders = [f"{number}@hanging.example" for number in range(MAILS)]
    with hanging(await stack.pid_of("temporal")):
        health = await stack.client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "degraded")
        begun = time.monotonic()
        answers = await asyncio.gather(*(stack.send(letter(one), one) for one in senders))
        assert all(answer.startswith("2.0.0 Accepted, kept as ") for answer in answers)
        posted = await stack.client.post("/emails", content=letter("posted@hanging.example"))
        assert (posted.status_code, posted.json()["spooled"]) == (202, True)
        texted = await mailbox.phone.say("3")
        assert texted["outcome"] == "kept"
        assert time.monotonic() - begun < 10, "somebody waited for Temporal"
        await people_are_told(stack, MAILS + 2)
    senders.append("posted@hanging.example")
    await asyncio.gather(*(stack.reach(id_of(one), "awaiting_user") for one in senders))
    await stack.reach(id_of(BEFORE), "user_ignored")
    await mailbox.gateway.wait_for("The mail is left unanswered.")
    assert await started(stack, senders) == set(senders)
    assert sorted(path.name for path in (stack.data_dir / "spool").glob("*/*.json")) == []


async def people_are_told(stack: Stack, count: int) -> None:
    health = (await stack.client.get("/health")).json()
    assert health["spooled"] == count
    assert health["since"]
    sentence = f"{count} messages are kept and will go on"
    page = await stack.client.get("/")
    assert sentence in page.text
    status = await command(stack, "spool", "status")
    assert status["open"] is False
    assert datetime.fromisoformat(str(status["since"])) == datetime.fromisoformat(health["since"])
    refused = await stack.client.post("/spool/drain")
    assert is_away(refused)


async def test_what_comes_while_postgresql_is_away_goes_on_once(mailbox: Mailbox) -> None:
    """Our own store being away is no failure that the owner has to mend."""
    stack = mailbox.stack
    await mailbox.receive(BEFORE)
    await mailbox.at_rest(BEFORE)
    async with away(stack):
        # Blob store and Temporal alone make a mail durable.
        await mailbox.receive("started@example.com")
        assert (await stack.client.get("/health")).status_code == 503
        for response in (
            await stack.client.get("/workflow/pending"),
            await stack.client.get(f"/workflow/{id_of(BEFORE)}"),
            await stack.decide(id_of(BEFORE), "1"),
        ):
            assert is_away(response), response.text
        await mailbox.receive("kept@example.com")
        assert (await mailbox.phone.say("3"))["outcome"] == "kept"
        assert "mailroom_way_open 0.0" in (await stack.client.get("/metrics")).text
        await until_all_tries_are_used_up(stack, "started@example.com")
    await stack.reach(id_of(BEFORE), "user_ignored")
    for sender in ("started@example.com", "kept@example.com"):
        await stack.reach(id_of(sender), "awaiting_user")
        await mailbox.approve(sender)
        await mailbox.sink.wait_for(sender)
    assert (await stack.client.get("/health")).json().keys() == SEED


async def until_all_tries_are_used_up(stack: Stack, sender: str) -> None:
    workflow_id = email_reply_id("owner", id_of(sender))
    workflow = (await stack.temporal()).get_workflow_handle(workflow_id)

    async def look() -> bool:
        return (await workflow.query("status"))["state"] == "failed"

    await until(look, "the end of all tries")


SEED = {"status", "service", "workflows", "last_poll"}
