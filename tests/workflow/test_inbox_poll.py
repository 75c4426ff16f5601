"""Mail from an Email Monitor: taken once, refused one by one, and reported back."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from fastapi import Response
from fastapi.responses import HTMLResponse, StreamingResponse
from house import House, bridge_on
from monitor import Monitor, email, monitor_running
from sqlalchemy import text
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError
from world import eventually
from world import mail as raw_mail

from mailroom.adapters.email_monitor import EmailMonitor
from mailroom.adapters.http import http_client
from mailroom.bridge.kept_schedules import keep_schedules
from mailroom.models.email_reply import OwnersWord, Verdict
from mailroom.models.names import INBOX_POLL, MAIL_TASK_QUEUE, email_reply_id
from mailroom.models.poll import Polled
from mailroom.models.states import MailState
from mailroom.ports import Transient
from workflows.inbox_poll import InboxPollWorkflow

SOON = timedelta(seconds=20)


@pytest.fixture
async def monitor(dev_house: House) -> AsyncIterator[Monitor]:
    """One that other tests' mails don't come from."""
    async with monitor_running() as running:
        yield running
    async with dev_house.adapters.engines.write.connect() as connection:
        await connection.execute(text("DELETE FROM monitored_emails"))


@asynccontextmanager
async def polled_house(house: House, monitor: Monitor) -> AsyncIterator[House]:
    settings = house.settings.model_copy(update={"email_monitor_url": monitor.url})
    polling = replace(house, settings=settings)
    async with polling.at_work():
        yield polling


async def poll(house: House) -> Polled:
    return await house.client.execute_workflow(
        InboxPollWorkflow.run, id=f"poll-{uuid4()}", task_queue=MAIL_TASK_QUEUE
    )


def workflow_of(house: House, message_id: str) -> str:
    [owner] = house.adapters.owners
    return email_reply_id(owner, message_id)


async def state_of(house: House, message_id: str) -> MailState | None:
    row = await house.context.views.by_workflow(workflow_of(house, message_id))
    return row.current_state if row else None


async def test_a_pending_mail_is_drafted_and_the_monitor_is_told_each_step(
    dev_house: House, monitor: Monitor, marker: str
) -> None:
    monitor.emails = [email(marker)]
    message_id = email(marker)["message_id"]
    async with polled_house(dev_house, monitor) as house:
        assert await poll(house) == Polled(new=1, reported=1)
        assert monitor.statuses == {message_id: ["orchestrating"]}
        await house.gateway.wait_for(marker)
        await poll(house)
        assert monitor.statuses == {message_id: ["orchestrating"]}, "nothing changed"
        workflow_id = workflow_of(house, message_id)
        outcome = await house.context.flows.decide(workflow_id, OwnersWord(text="1"), SOON)
        assert outcome.verdict is Verdict.ACCEPTED
        await house.client.get_workflow_handle(workflow_id).result()
        assert (await poll(house)).reported == 1
        await poll(house)
    assert monitor.statuses == {message_id: ["orchestrating", "sent"]}


async def test_an_ignored_mail_is_reported_as_ignored(
    dev_house: House, monitor: Monitor, marker: str
) -> None:
    monitor.emails = [email(marker, **{"from": "noreply@example.com"})]
    message_id = email(marker)["message_id"]
    async with polled_house(dev_house, monitor) as house:
        await poll(house)

        async def is_ignored() -> bool:
            return await state_of(house, message_id) is MailState.USER_IGNORED

        await eventually(is_ignored)
        await poll(house)
    assert monitor.statuses[message_id][-1] == "ignored"


async def test_a_bare_list_and_raw_bytes(dev_house: House, monitor: Monitor, marker: str) -> None:
    raw = raw_mail(sender=f"{marker}@example.com", subject=marker, message_id=f"<{marker}@raw>")
    monitor.bare = True
    monitor.emails = [{"message_id": "17", "raw": base64.b64encode(raw).decode()}]
    async with polled_house(dev_house, monitor) as house:
        assert (await poll(house)).new == 1
        [body] = await house.gateway.wait_for(marker)
        assert marker in body
        assert await state_of(house, f"<{marker}@raw>") is not None
    assert monitor.statuses == {"17": ["orchestrating"]}, "under the monitor's own name for it"


async def test_a_mail_that_stays_pending_is_taken_once(
    dev_house: House, monitor: Monitor, marker: str
) -> None:
    monitor.forgetful = True
    monitor.emails = [email(marker), email(marker)]
    async with polled_house(dev_house, monitor) as house:
        first = await poll(house)
        assert (first.new, first.known) == (1, 1)
        assert await poll(house) == Polled(known=2)
        await house.gateway.wait_for(marker)
        assert await poll(house) == Polled(known=2)
    assert len(dev_house.gateway.about(marker)) == 1


async def test_a_mail_that_came_another_way_is_reported_too(
    dev_house: House, monitor: Monitor, marker: str
) -> None:
    monitor.emails = [email(marker)]
    message_id = email(marker)["message_id"]
    async with polled_house(dev_house, monitor) as house:
        await house.receive(raw_mail(subject=marker, message_id=message_id))
        assert await poll(house) == Polled(known=1, reported=1)
    assert monitor.statuses == {message_id: ["orchestrating"]}


async def test_bad_items_stop_nobody_else(dev_house: House, monitor: Monitor, marker: str) -> None:
    bad = [None, 7, {}, email(marker, 3, raw="%%%"), {"message_id": ["x"]}, [[]]]
    monitor.bare, monitor.forgetful = True, True
    monitor.emails = [bad[0], email(marker, 1), *bad[1:], email(marker, 2)]
    async with polled_house(dev_house, monitor) as house:
        assert await poll(house) == Polled(new=2, refused=len(bad), reported=2)
        await house.gateway.wait_for(marker, 2)


async def test_an_answer_that_breaks_off_loses_nothing(
    dev_house: House, monitor: Monitor, marker: str
) -> None:
    whole = Monitor(emails=[email(marker, 1), email(marker, 2)])
    cut = httpx.Response(200, json={"emails": whole.emails}).content[:-30]
    monitor.answers = [Response(cut, media_type="application/json")]
    monitor.emails = whole.emails
    async with polled_house(dev_house, monitor) as house:
        assert (await poll(house)).new == 1
        assert (await poll(house)).new == 1


async def test_500_then_well_is_one_poll(dev_house: House, monitor: Monitor, marker: str) -> None:
    monitor.answers = [Response("down", 500)]
    monitor.emails = [email(marker)]
    async with polled_house(dev_house, monitor) as house:
        assert (await poll(house)).new == 1
    assert monitor.polls == 2


@pytest.mark.parametrize(
    ("answer", "problem", "tries"),
    [
        (HTMLResponse("<html>Please log in</html>"), "no JSON", 3),
        (Response('{"error": "no emails here"}'), 'without "emails"', 3),
        (Response('"emails"'), 'without "emails"', 3),
        (Response("", 502), "answered 502", 3),
        (Response("secret text", 401), "answered 401", 1),
        (Response("", 302, {"location": "/login"}), "answered 302", 1),
    ],
)
async def test_an_answer_that_is_none_is_said(
    dev_house: House, monitor: Monitor, answer: Response, problem: str, tries: int
) -> None:
    monitor.answers = [answer] * 3
    async with polled_house(dev_house, monitor) as house:
        with pytest.raises(WorkflowFailureError) as failed:
            await poll(house)
    sentence = str(failed.value.cause.__cause__)
    assert problem in sentence
    assert "secret" not in sentence
    assert monitor.polls == tries


@pytest.mark.parametrize("hostile", [b"[" * 100_000, b"1" * 5_000], ids=["nested", "number"])
async def test_of_a_hostile_answer_what_stands_before_is_taken(
    monitor: Monitor, hostile: bytes
) -> None:
    monitor.answers = [Response(b'{"emails": [{"message_id": "<1@x>"}, ' + hostile)]
    async with httpx.AsyncClient() as http:
        source = EmailMonitor(http, monitor.url)
        async with source.pending() as found:
            assert list(found) == [{"message_id": "<1@x>"}]


async def test_a_monitor_that_never_finishes_is_not_waited_for(monitor: Monitor) -> None:
    given_up = asyncio.Event()

    async def unfinished() -> AsyncIterator[bytes]:
        yield b'{"emails": ['
        await given_up.wait()

    monitor.answers = [StreamingResponse(unfinished())]
    async with http_client() as http:
        with pytest.raises(Transient, match="did not finish"):
            async with EmailMonitor(http, monitor.url, answer_seconds=0.5).pending():
                pass
        given_up.set()


@pytest.mark.parametrize("missing", [404, 405])
async def test_a_monitor_without_statuses_is_asked_once_a_poll(
    dev_house: House, monitor: Monitor, marker: str, missing: int
) -> None:
    monitor.status_code, monitor.forgetful = missing, True
    monitor.emails = [email(marker, number) for number in range(5)]
    async with polled_house(dev_house, monitor) as house:
        assert await poll(house) == Polled(new=5)
        assert len(monitor.asked) == 1
        await poll(house)
        assert len({message_id for message_id, _ in monitor.asked}) == 2, "another one is tried"
        monitor.status_code = 200
        assert (await poll(house)).reported == 5


async def test_a_status_that_is_refused_or_not_taken_now(
    dev_house: House, monitor: Monitor, marker: str
) -> None:
    monitor.emails = [email(marker)]
    monitor.status_code, monitor.forgetful = 500, True
    async with polled_house(dev_house, monitor) as house:
        assert await poll(house) == Polled(new=1)
        monitor.status_code = 422
        assert (await poll(house)).reported == 1
        monitor.status_code = 200
        assert (await poll(house)).reported == 0, "it refused this one for good"


async def test_many_mails(dev_house: House, monitor: Monitor, marker: str) -> None:
    monitor.emails = [
        email(marker, number, **{"from": f"noreply+{marker}@example.com"}) for number in range(700)
    ]
    async with polled_house(dev_house, monitor) as house:
        assert (await poll(house)).new == 700
    assert not monitor.emails, "the monitor was told of each"
    assert all(told.count("orchestrating") <= 1 for told in monitor.statuses.values())


async def test_health_says_when_the_monitor_answered_last(
    dev_house: House, monitor: Monitor
) -> None:
    before = datetime.now(UTC)
    async with polled_house(dev_house, monitor) as house, bridge_on(house.context) as http:
        await poll(house)
        health = (await http.get("/health")).json()
        last = datetime.fromisoformat(health["last_poll"])
        assert before <= last <= datetime.now(UTC)


# --- the Schedule


@asynccontextmanager
async def scheduled(house: House, monitor: Monitor, seconds: int) -> AsyncIterator[House]:
    """A worker as `mailroom worker` starts it."""
    settings = house.settings.model_copy(
        update={"email_monitor_url": monitor.url, "poll_interval": seconds}
    )
    await keep_schedules(house.client, settings)
    async with replace(house, settings=settings).at_work():
        yield house


@pytest.fixture
async def no_schedule(dev_house: House) -> AsyncIterator[None]:
    yield
    await keep_schedules(dev_house.client, dev_house.settings)

    async def none_runs() -> bool:
        # One that began as its worker ended takes the next test's mail.
        running = [one async for one in dev_house.client.list_workflows(_POLLS)]
        for one in running:
            await dev_house.client.get_workflow_handle(one.id, run_id=one.run_id).terminate()
        return not running

    await eventually(none_runs)


@pytest.mark.usefixtures("no_schedule")
async def test_the_schedule_polls_and_stops_when_it_is_toggled(
    dev_house: House, monitor: Monitor, marker: str
) -> None:
    schedule = dev_house.client.get_schedule_handle(INBOX_POLL)

    async def polled_again() -> bool:
        return monitor.polls > seen

    async with scheduled(dev_house, monitor, 1):
        monitor.emails = [email(marker)]
        await dev_house.gateway.wait_for(marker)
        seen = monitor.polls
        await eventually(polled_again)
        # What `temporal schedule toggle --pause` does.
        await schedule.pause(note="maintenance")
    async with scheduled(dev_house, monitor, 2):
        found = (await schedule.describe()).schedule
        assert (found.state.paused, found.state.note) == (True, "maintenance")
        [interval] = found.spec.intervals
        assert interval.every == timedelta(seconds=2), "the new interval is taken all the same"
        await schedule.unpause()
        seen = monitor.polls
        await eventually(polled_again)


@pytest.mark.usefixtures("no_schedule")
async def test_the_schedule_goes_with_its_setting(dev_house: House, monitor: Monitor) -> None:
    schedule = dev_house.client.get_schedule_handle(INBOX_POLL)
    async with scheduled(dev_house, monitor, 3600):
        found = await schedule.describe()
        assert found.schedule.policy.overlap.name == "SKIP"
        assert found.schedule.policy.catchup_window == timedelta(seconds=10)
    await keep_schedules(dev_house.client, dev_house.settings)
    with pytest.raises(RPCError, match="not found"):
        await schedule.describe()
    await keep_schedules(dev_house.client, dev_house.settings)


async def test_reports_about_an_outbound_message_are_nobodys_mail(
    dev_house: House, monitor: Monitor, marker: str
) -> None:
    about = uuid4()
    async with dev_house.adapters.engines.write.connect() as connection:
        await connection.execute(_OUTBOUND, {"id": about, "marker": marker})
    raws = [bounce_of(marker, action) for action in ("delayed", "failed")]
    monitor.emails = [
        {"message_id": f"{marker}-{n}", "raw": base64.b64encode(raw).decode()}
        for n, raw in enumerate(raws)
    ]
    async with polled_house(dev_house, monitor) as house:
        assert await poll(house) == Polled(new=2, reported=2)
    assert monitor.statuses == {f"{marker}-0": ["ignored"], f"{marker}-1": ["ignored"]}
    async with dev_house.adapters.engines.read.connect() as connection:
        found = text("SELECT status FROM message_queue WHERE id = :id")
        assert await connection.scalar(found, {"id": about}) == "bounced"


_POLLS = "WorkflowType = 'InboxPollWorkflow' AND ExecutionStatus = 'Running'"
_OUTBOUND = text("""
    INSERT INTO message_queue (id, message_id, queue_name, recipient, sender, domain, status,
                               size_bytes)
    VALUES (:id, '<' || :marker || '@x.y>', 'x', 'kate@x.example', 'a@b.example', 'x.example',
            'delivered', 1)
""")


def bounce_of(marker: str, action: str) -> bytes:
    return f"""\
From: MAILER-DAEMON@x.example
To: owner@mailroom.test
Message-ID: <{action}-{marker}@x.example>
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: message/delivery-status

Final-Recipient: rfc822; kate@x.example
Action: {action}
Status: 5.1.1

--B
Content-Type: text/rfc822-headers

Message-ID: <{marker}@x.y>

--B--
""".encode()
