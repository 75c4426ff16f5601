"""A mailbox that is watched, whatever happens to server, password, UIDs and worker."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from mailbox_world import Watched
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment
from world import eventually, mail

import worker
from activities import taking, watch_mailbox
from mailroom.bridge import intake
from mailroom.local.dovecot import Dovecot
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.mailbox import MailboxWatch
from mailroom.models.mailbox import Watched as Ended
from mailroom.models.names import email_reply_id
from mailroom.models.states import MailState


async def test_new_mail_is_texted_at_once_and_not_marked_as_read(
    watched: Watched, marker: str, raw_mail: bytes
) -> None:
    async with watched.at_work():
        await watched.looked_into()
        begun = time.monotonic()
        await watched.post.append(raw_mail)
        assert len(await watched.texted(marker)) == 1
        seconds = time.monotonic() - begun
        print(f"from APPEND to text: {seconds:.2f} s")
        # A minute later without IDLE; the rest is room for a busy machine.
        assert seconds < 10
        assert await watched.post.seen() == [False]


async def test_mail_is_marked_as_read_where_that_is_wanted(
    watched: Watched, marker: str, raw_mail: bytes
) -> None:
    watched.set(imap_mark_seen=True)
    async with watched.at_work():
        await watched.looked_into()
        await watched.post.append(raw_mail)
        await watched.texted(marker)
        await watched.until(lambda row: row.last_uid == 1)
        assert await watched.post.seen() == [True]


async def test_a_server_that_restarts_is_connected_again(
    watched: Watched, dovecot: Dovecot, marker: str, raw_mail: bytes
) -> None:
    async with watched.at_work():
        await watched.looked_into()
        await dovecot.stop()
        row = await watched.until(lambda row: row.problem is not None)
        assert "localhost" in row.problem
        assert row.problem_since is not None
        await dovecot.start()
        await watched.post.append(raw_mail)
        assert len(await watched.texted(marker)) == 1
        row = await watched.until(lambda row: row.problem is None)
        assert row.problem_since is None


async def test_a_password_that_changed_is_shown_and_tried_until_it_is_right(
    watched: Watched,
    dovecot: Dovecot,
    marker: str,
    raw_mail: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch_mailbox, "LOGIN_PAUSE", timedelta(seconds=0.5))
    async with watched.at_work():
        await watched.looked_into()
        dovecot.set_password(watched.post.user, "another")
        await dovecot.stop()
        await dovecot.start()
        refused = await watched.until(lambda row: "refused the login" in (row.problem or ""))
        assert watched.post.password not in refused.problem
        dovecot.set_password(watched.post.user, watched.post.password)
        await watched.until(lambda row: row.problem is None)
        await watched.post.append(raw_mail)
        assert len(await watched.texted(marker)) == 1


async def test_no_password_is_in_any_history(watched: Watched) -> None:
    async with watched.at_work():
        await watched.looked_into()
        history = await watched.workflow.fetch_history()
    assert watched.post.user not in history.to_json()
    assert watched.post.password not in history.to_json().replace("keyword", "")


async def test_other_uids_do_not_make_old_mail_new(
    watched: Watched, dovecot: Dovecot, marker: str, raw_mail: bytes
) -> None:
    async with watched.at_work():
        await watched.looked_into()
        await watched.post.append(raw_mail)
        await watched.texted(marker)
        before = await watched.until(lambda row: row.last_uid == 1)
        await dovecot.stop()
        dovecot.forget_uids(watched.post.user)
        await dovecot.start()
        await watched.post.append(mail(subject=f"Another {marker}", name="Jo"))
        after = await watched.until(lambda row: row.last_uid == 2)
        assert after.uidvalidity != before.uidvalidity
        await watched.texted(f"Another {marker}")
    assert len(watched.house.gateway.about(f"Meeting {marker}")) == 1


async def test_what_temporal_has_forgotten_is_not_answered_again(
    watched: Watched, dovecot: Dovecot, marker: str
) -> None:
    """A workflow's ID dedupes only as long as Temporal keeps the workflow."""
    now = datetime.now(UTC)
    watched.set(imap_answer_since=now - timedelta(days=3))
    raw = mail(subject=f"Meeting {marker}", message_id=f"<{marker}@example.com>")
    await watched.post.append(raw, at=now - timedelta(hours=20))
    async with watched.at_work():
        await watched.texted(marker)
        await watched.until(lambda row: row.last_uid == 1)
        await forgotten(watched, email_reply_id("owner", f"<{marker}@example.com>"))
        await dovecot.stop()
        dovecot.forget_uids(watched.post.user)
        await dovecot.start()
        await watched.post.append(mail(subject=f"Another {marker}"))
        await watched.texted(f"Another {marker}")
    assert len(watched.house.gateway.about(f"Meeting {marker}")) == 1


async def forgotten(watched: Watched, workflow_id: str) -> None:
    client = watched.house.client
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        )
    )

    async def is_gone() -> bool:
        try:
            await client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    await eventually(is_gone)


async def test_old_mail_is_not_answered_at_first_sight(watched: Watched, marker: str) -> None:
    now = datetime.now(UTC)
    await watched.post.append(mail(subject=f"Old {marker}"), at=now - timedelta(hours=3))
    async with watched.at_work():
        await watched.looked_into()
        await watched.post.append(mail(subject=f"New {marker}"))
        assert len(await watched.texted(f"New {marker}")) == 1
    assert watched.house.gateway.about(f"Old {marker}") == []


async def test_old_mail_is_answered_as_far_back_as_it_is_wanted(
    watched: Watched, marker: str
) -> None:
    now = datetime.now(UTC)
    watched.set(imap_answer_since=now - timedelta(days=2))
    await watched.post.append(mail(subject=f"Older {marker}"), at=now - timedelta(days=2, hours=1))
    await watched.post.append(mail(subject=f"Newer {marker}"), at=now - timedelta(days=1))
    async with watched.at_work():
        assert len(await watched.texted(f"Newer {marker}")) == 1
    assert watched.house.gateway.about(f"Older {marker}") == []


async def test_a_hundred_mails_that_came_while_nobody_was_at_work_are_taken_once(
    watched: Watched, marker: str
) -> None:
    async with watched.at_work():
        await watched.looked_into()
        await watched.post.append(mail(subject=f"First {marker}"))
        await watched.texted(f"First {marker}")
        await watched.until(lambda row: row.last_uid == 1)
    subjects = [f"n{n:03} {marker}" for n in range(100)]
    await watched.post.append(*(mail(subject=subject) for subject in subjects))
    async with watched.at_work():
        await watched.until(lambda row: row.last_uid == 101, seconds=120)
        await watched.house.gateway.wait_for(marker, count=101, seconds=120)
    counts = {subject: len(watched.house.gateway.about(subject)) for subject in subjects}
    assert counts == dict.fromkeys(subjects, 1)
    assert len(watched.house.gateway.about(f"First {marker}")) == 1
    assert not any(await watched.post.seen())


async def test_a_worker_that_stops_leaves_the_mailbox_to_the_next(
    watched: Watched, marker: str, raw_mail: bytes
) -> None:
    """At once: nobody waits for heartbeats to fail."""
    async with watched.at_work():
        await watched.looked_into()
    begun = time.monotonic()
    async with watched.at_work():
        await watched.post.append(raw_mail)
        await watched.texted(marker)
        assert time.monotonic() - begun < 20


async def test_mail_waits_in_a_mailbox_that_is_paused(
    watched: Watched, marker: str, raw_mail: bytes
) -> None:
    async with watched.at_work():
        await watched.looked_into()
        await watched.workflow.signal("pause")
        await eventually(watched.not_watched)
        assert (await watched.workflow.query("status"))["paused"] is True
        await watched.post.append(raw_mail)
        assert (await watched.row()).last_uid is None
        await watched.workflow.signal("resume")
        assert len(await watched.texted(marker)) == 1
        assert (await watched.workflow.query("status"))["paused"] is False


async def test_a_mail_without_a_message_id_is_taken_once(
    watched: Watched, dovecot: Dovecot, marker: str
) -> None:
    raw = mail(subject=f"Nameless {marker}")
    assert b"message-id" not in raw.lower()
    async with watched.at_work():
        await watched.looked_into()
        await watched.post.append(raw, raw)
        await watched.post.append(mail(subject=f"Last {marker}"))
        await watched.texted(f"Last {marker}")
    assert len(watched.house.gateway.about(f"Nameless {marker}")) == 1


async def test_a_mail_that_is_too_large_does_not_hold_up_the_next(
    watched: Watched, marker: str
) -> None:
    large = mail(subject=f"Large {marker}") + b"0123456789abcdef" * 62 * 32_768
    assert len(large) > 30 * 1024 * 1024
    async with watched.at_work():
        await watched.looked_into()
        await watched.post.append(large, mail(subject=f"Small {marker}"))
        assert len(await watched.texted(f"Small {marker}")) == 1
        await watched.until(lambda row: row.last_uid == 2)
        rows = await watched.house.context.views.page(["owner"], limit=10)
    assert watched.house.gateway.about(f"Large {marker}") == []
    [row] = [row for row in rows if row.email_subject == f"Large {marker}"]
    assert row.current_state is MailState.USER_IGNORED
    assert "MAILROOM_MAX_MESSAGE_BYTES" in (row.reason or "")


async def test_a_mail_that_cannot_be_read_is_shown_and_does_not_hold_up_the_next(
    watched: Watched, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No bytes are known that the parser stumbles over, so it is made to."""
    monkeypatch.setattr(intake, "read_mail", stumbling := stumbles_over(marker))
    monkeypatch.setattr(taking, "read_mail", stumbling)
    async with watched.at_work():
        await watched.looked_into()
        broken = mail(subject="Broken", text=f"poison {marker}")
        await watched.post.append(broken, mail(subject=f"Next {marker}"))
        assert len(await watched.texted(f"Next {marker}")) == 1
        row = await watched.until(lambda row: row.last_uid == 2)
        assert row.problem is None
        rows = await watched.house.context.views.page(["owner"], limit=10)
    reasons = [row.reason or "" for row in rows if row.email_subject == "(unreadable)"]
    assert reasons == ["It can't be read (RecursionError), and stays in the mailbox."]


def stumbles_over(marker: str) -> Callable[[bytes], IncomingMail]:
    def reading(raw: bytes) -> IncomingMail:
        if f"poison {marker}".encode() in raw:
            raise RecursionError
        return read_mail(raw)

    return reading


async def test_a_mailbox_that_nobody_is_configured_for_any_more_is_let_go(
    watched: Watched,
) -> None:
    settings = watched.house.settings.model_copy(update={"imap_host": None})
    activity = worker._watching(watched.house.adapters, settings)
    env = ActivityEnvironment()
    env.info = replace(env.info, attempt=watch_mailbox.TRIES_TO_FIND, workflow_id="mailbox/old")
    watch = MailboxWatch(owner="owner", name="imap")
    assert await env.run(activity.watch_mailbox, watch) is Ended.GONE


async def test_health_says_when_a_mailbox_was_last_looked_into(watched: Watched) -> None:
    async with watched.at_work():
        await watched.looked_into()
        last = await watched.house.context.statistics.last_poll()
    assert last is not None
    assert datetime.now(UTC) - last < timedelta(minutes=1)
