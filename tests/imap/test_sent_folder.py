"""Answers that the owner gives with another mail program: the draft is superseded, they are told,
and nothing is sent."""

import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from house import OWNER
from mailbox_world import Post, Watched, free_port
from world import eventually, mail

import worker
from mailroom.adapters.imap import ImapSource
from mailroom.adapters.postgres.views import WorkflowState
from mailroom.local import dovecot as dovecots
from mailroom.local.dovecot import Dovecot
from mailroom.models.email_reply import OwnersWord
from mailroom.models.names import email_reply_id
from mailroom.models.reply import REPLY, reply_message_id
from mailroom.models.states import MailState
from mailroom.ports import NoFolder

SENT = "/sent"
SOON = timedelta(seconds=30)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
IN_CZECH = "Odeslaná pošta"
IN_UTF7 = "Odeslan&AOE- po&AWE-ta"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What IDLE does not tell of is asked for every half second, not every minute."""
    monkeypatch.setattr(worker, "ImapSource", partial(ImapSource, wait_seconds=0.5))


@pytest.fixture
async def at_work(watched: Watched) -> AsyncIterator[Watched]:
    async with watched.at_work():
        await watched.looked_into()
        yield watched


def asked(marker: str) -> bytes:
    return mail(
        sender=f"{marker}@example.com", subject=f"Meeting {marker}", message_id=question(marker)
    )


def question(marker: str) -> str:
    return f"<{marker}@example.com>"


def answer(marker: str, message_id: str | None = None, subject: str = "") -> bytes:
    return mail(
        sender=OWNER,
        subject=subject or f"Re: Meeting {marker}",
        message_id=message_id or f"<own-{marker}@phone.example>",
        In_Reply_To=question(marker),
        References=question(marker),
    )


async def state_of(watched: Watched, marker: str, *states: MailState) -> WorkflowState:
    """The row of the question, once it is in one of these states."""
    views, workflow_id = watched.house.context.views, email_reply_id("owner", question(marker))
    found: list[WorkflowState] = []

    async def is_there() -> bool:
        found[:] = [row for row in [await views.by_workflow(workflow_id)] if row]
        return bool(found) and found[0].current_state in states

    await eventually(is_there)
    return found[0]


async def test_an_answer_given_elsewhere_supersedes_the_draft(
    at_work: Watched, marker: str
) -> None:
    await at_work.post.append(asked(marker))
    await at_work.texted(marker)
    await state_of(at_work, marker, MailState.AWAITING_USER)
    await at_work.post.append(answer(marker), folder="Sent")
    row = await state_of(at_work, marker, MailState.USER_IGNORED)
    assert row.reason == "superseded"
    texts = await at_work.house.gateway.wait_for(marker, count=2)
    assert "answered" in texts[1]
    assert at_work.house.sink.mails[f"{marker}@example.com"] == []
    # The answer itself is nobody's question.
    mine = email_reply_id("owner", f"<own-{marker}@phone.example>")
    assert await at_work.house.context.views.by_workflow(mine) is None


async def test_what_mailroom_sent_itself_supersedes_nothing(at_work: Watched, marker: str) -> None:
    """Gmail puts what its SMTP server sends into the Sent folder."""
    await at_work.post.append(asked(marker))
    await state_of(at_work, marker, MailState.AWAITING_USER)
    ours = reply_message_id(email_reply_id("owner", question(marker)), REPLY, "mailroom.test")
    passed_on = answer(marker, f"<fwd-{marker}@x.example>", subject=f"Fwd: {marker}")
    await at_work.post.append(answer(marker, ours), passed_on, folder="Sent")
    await at_work.until(lambda row: row.last_uid == 2, part=SENT)
    flows, workflow_id = at_work.house.context.flows, email_reply_id("owner", question(marker))
    outcome = await flows.decide(workflow_id, OwnersWord(text="1"), SOON)
    assert outcome.verdict == "accepted"
    await at_work.house.sink.wait_for(f"{marker}@example.com")


async def test_what_was_answered_during_an_outage_is_not_texted(
    watched: Watched, marker: str
) -> None:
    async with watched.at_work():
        await watched.looked_into()
    await watched.post.append(asked(marker), mail(subject=f"Open {marker}"))
    await watched.post.append(answer(marker), folder="Sent")
    async with watched.at_work():
        await watched.texted(f"Open {marker}")
        row = await state_of(watched, marker, MailState.USER_IGNORED)
    assert row.reason == "You answered it yourself before it was drafted."
    assert watched.house.gateway.about(f"Meeting {marker}") == []


async def test_answers_from_before_the_watch_began_are_left_alone(
    watched: Watched, marker: str
) -> None:
    old = datetime.now(UTC) - timedelta(hours=2)
    await watched.post.append(answer(marker), at=old, folder="Sent")
    async with watched.at_work():
        await watched.looked_into()
        await watched.post.append(asked(marker))
        await watched.texted(marker)
        await watched.until(lambda row: row.last_uid == 1, part=SENT)
        row = await state_of(watched, marker, MailState.AWAITING_USER)
    assert row.reason is None


async def test_an_answer_counts_once_also_when_uids_change(
    watched: Watched, dovecot: Dovecot, marker: str
) -> None:
    async with watched.at_work():
        await watched.looked_into()
        await watched.post.append(asked(marker))
        await state_of(watched, marker, MailState.AWAITING_USER)
        await watched.post.append(answer(marker), folder="Sent")
        await state_of(watched, marker, MailState.USER_IGNORED)
        before = await watched.until(lambda row: row.last_uid == 1, part=SENT)
        await dovecot.stop()
        dovecot.forget_uids(f"{watched.post.user}/.Sent")
        await dovecot.start()
        await watched.until(lambda row: row.uidvalidity != before.uidvalidity, part=SENT)
        await watched.post.append(mail(subject=f"Last {marker}"))
        await watched.texted(f"Last {marker}")
    assert len(watched.house.gateway.about(f"Meeting {marker}")) == 2


async def test_a_folder_that_is_not_there_is_shown_and_does_not_stop_the_inbox(
    watched: Watched, marker: str
) -> None:
    watched.set(imap_sent_folder=IN_CZECH)
    async with watched.at_work():
        row = await watched.until(lambda row: row.problem is not None, part=SENT)
        assert IN_CZECH in row.problem
        assert "IMAP_SENT_FOLDER" in row.problem
        await watched.post.append(asked(marker))
        await watched.texted(marker)
        await watched.post.create(IN_UTF7)
        await watched.until(lambda row: row.problem is None, part=SENT)
        await watched.post.append(answer(marker), folder=IN_UTF7)
        await state_of(watched, marker, MailState.USER_IGNORED)
    assert (await watched.row()).problem is None


async def test_one_connection_reads_both(at_work: Watched, marker: str) -> None:
    """And one activity."""
    await at_work.post.append(asked(marker))
    await at_work.texted(marker)
    described = await at_work.workflow.describe()
    assert len(described.raw_description.pending_activities) == 1
    threads = [one for one in threading.enumerate() if one.name.startswith("imap")]
    assert len(threads) == 1


async def test_only_headers_are_read_of_what_was_sent(post: Post) -> None:
    await post.append(mail(subject="Mine", text="x" * 100_000), folder="Sent")
    await post.append(mail(subject="Theirs"))
    async with ImapSource(post.mailbox, post.trusting).open() as session:
        folder = await session.sent_folder()
        assert folder is not None
        assert (folder.name, folder.last_uid) == ("Sent", 1)
        [one] = [one async for one in session.sent_mails(folder, 0, LONG_AGO)]
        # Back in the INBOX.
        [theirs] = [one async for one in session.mails(0, LONG_AGO, 1_000_000)]
    assert one.raw is not None
    assert b"Subject: Mine" in one.raw
    assert len(one.raw) < 1_000
    assert b"Theirs" in (theirs.raw or b"")


async def test_a_server_that_says_no_folder_is_read_by_name(
    post: Post, dovecot_binary: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dovecots.running(post.dovecot.binary, free_port(), dovecots.WITHOUT_SENT) as server:
        server.set_password(post.user, post.password)
        plain = Post(server, post.user, post.password)
        async with ImapSource(plain.mailbox, plain.trusting).open() as session:
            assert await session.sent_folder() is None
        named = plain.mailbox.model_copy(update={"sent_folder": "Outgoing"})
        async with ImapSource(named, plain.trusting).open() as session:
            with pytest.raises(NoFolder, match="Outgoing"):
                await session.sent_folder()
            await plain.create("Outgoing")
            folder = await session.sent_folder()
            assert folder is not None
