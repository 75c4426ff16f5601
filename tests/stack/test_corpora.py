"""Every message of the corpora, through the whole stack: in by SMTP or by HTTP, drafted, texted,
approved, and out again. None crashes anything, none is stuck, none is lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiosmtplib
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus

from mailroom.models.mail import read_mail
from stack.process import WAIT_SECONDS, Stack, stack_in, until

OWNER = "owner@mailroom.test"
CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora"
FILES = sorted(one for one in CORPORA.rglob("*") if one.is_file())
RESTING = {"awaiting_user", "user_ignored", "failed", "reply_sent"}

pytestmark = pytest.mark.skipif(not FILES, reason="there is no ../shared/corpora")

Deliver = Callable[[Stack, bytes], Awaitable[str | None]]


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """One of its own, so that its mails can be counted."""
    async with stack_in(tmp_path / "stack") as running:
        yield running


async def by_smtp(stack: Stack, raw: bytes) -> str | None:
    async with aiosmtplib.SMTP(
        hostname=stack.smtp_host, port=stack.smtp_port, timeout=WAIT_SECONDS
    ) as smtp:
        await smtp.ehlo()
        await smtp.mail("stranger@example.com", options=["SMTPUTF8", "BODY=8BITMIME"])
        try:
            await smtp.rcpt(named_in(raw), encoding="utf-8")
        except aiosmtplib.SMTPRecipientRefused:  # no address that SMTP could carry
            await smtp.rcpt(OWNER)
        _, answer = await smtp.data(raw)
    return answer.removeprefix("2.0.0 Accepted as ")


async def by_http(stack: Stack, raw: bytes) -> str | None:
    """As `mailroom email import` does."""
    response = await stack.client.post("/emails", content=raw, params={"recipient": named_in(raw)})
    if not raw:
        assert response.status_code == 422, response.text
        return None
    assert response.status_code == 202, response.text
    return str(response.json()["workflow_id"])


def named_in(raw: bytes) -> str:
    """The owner is whom the mail names, so that triage has nothing against it."""
    return next((named.address for named in read_mail(raw).to), OWNER)


@pytest.mark.parametrize(
    "deliver",
    [
        by_smtp,
        by_http,
    ],
)
async def test_every_message_goes_all_the_way(stack: Stack, deliver: Deliver) -> None:
    taken = await in_parallel([deliver(stack, file.read_bytes()) for file in FILES])
    workflows = {workflow for workflow in taken if workflow}
    rows = await all_at_rest(stack, len(workflows))
    assert {row["workflow_id"] for row in rows} == workflows
    listed = {row["message_id"] for row in rows}
    assert len(listed) == len(rows)
    assert named_messages() <= listed
    waiting = [row for row in rows if row["current_state"] == "awaiting_user"]
    for response in await in_parallel(
        [stack.decide(str(row["message_id"]), "1") for row in waiting]
    ):
        assert response.status_code == 200, response.text
    rows = await all_at_rest(stack, len(workflows), but="awaiting_user")
    states = Counter(str(row["current_state"]) for row in rows)
    print(f"{len(FILES)} files, {len(rows)} mails: {dict(states)}")
    assert states["reply_sent"] > len(rows) / 2
    failed = [row for row in rows if row["current_state"] == "failed"]
    assert all(row["error_message"] for row in failed), failed
    assert len((await stack.client.get("/dev/outbox")).json()) == states["reply_sent"]
    await check_histories(await stack.temporal(), workflows)


def named_messages() -> set[str]:
    mails = [read_mail(file.read_bytes()) for file in FILES]
    return {mail.message_id for mail in mails if not mail.message_id_derived}


async def in_parallel(work: list[Awaitable[object]]) -> list:
    room = asyncio.Semaphore(10)

    async def one(piece: Awaitable[object]) -> object:
        async with room:
            return await piece

    return await asyncio.gather(*map(one, work))


async def all_at_rest(stack: Stack, count: int, but: str = "") -> list[dict[str, object]]:
    """All rows, once there are so many and each is where only its owner moves it on."""

    async def look() -> bool:
        rows[:] = await all_rows(stack)
        moving = [row for row in rows if row["current_state"] not in RESTING - {but}]
        seen[:] = [(row["message_id"], row["current_state"]) for row in moving]
        return len(rows) == count and not moving

    rows: list[dict[str, object]] = []
    seen: list[object] = []
    try:
        await until(look, "rest")
    except AssertionError:
        raise AssertionError(f"{len(rows)} of {count} mails; on their way: {seen}") from None
    return rows


async def all_rows(stack: Stack) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    page: dict[str, object] = {"limit": 200}
    while True:
        found = (await stack.client.get("/workflow", params=page)).json()
        rows += found["items"]
        if not found["next_cursor"]:
            return rows
        page["cursor"] = found["next_cursor"]


async def check_histories(temporal: Client, workflows: set[str]) -> None:
    """No workflow has failed, and none of their tasks ever did."""
    fine = (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED)
    for workflow_id in workflows:
        workflow = temporal.get_workflow_handle(workflow_id)
        assert (await workflow.describe()).status in fine
        events = [event.event_type async for event in workflow.fetch_history_events()]
        assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in events
