"""The nine scenarios of seed 003, on real servers; days pass by skipping time."""

from datetime import timedelta

import pytest
from house import House
from temporalio.client import WorkflowFailureError
from world import eventually, mail, words_of

from mailroom.models.arrival import Accepted
from mailroom.models.email_reply import OwnersWord, ReplyOutcome, Verdict
from mailroom.models.states import MailState, Stage
from workflows.email_reply import EmailReplyWorkflow

SOON = timedelta(seconds=20)


async def say(house: House, accepted: Accepted, text: str, **more: object) -> str:
    word = OwnersWord.model_validate({"text": text, "via": "test", **more})
    outcome = await house.context.flows.decide(accepted.workflow_id, word, SOON)
    return outcome.verdict


async def outcome_of(house: House, accepted: Accepted) -> ReplyOutcome:
    handle = house.client.get_workflow_handle_for(EmailReplyWorkflow.run, accepted.workflow_id)
    return await handle.result()


async def states_of(house: House, accepted: Accepted) -> list[str]:
    row = await house.row(accepted)
    return [line.type for line in await house.context.views.timeline(row.owner, row.message_id)]


async def is_listed(house: House, accepted: Accepted) -> bool:
    """Mails are shown as pending a moment after they were accepted, many at once."""
    return "pending" in await states_of(house, accepted)


async def test_1_happy_path(house: House, marker: str) -> None:
    raw = mail(
        sender=f"{marker}@example.com",
        subject=f"Meeting {marker}",
        message_id=f"<{marker}@example.com>",
        References="<first@example.com>",
    )
    accepted = await house.receive(raw)
    [text] = await house.gateway.wait_for(marker)
    assert "1=Send 2=Edit 3=Ignore" in text
    assert await say(house, accepted, "1") == Verdict.ACCEPTED
    reply = await house.sink.wait_for(f"{marker}@example.com")
    assert reply["In-Reply-To"] == f"<{marker}@example.com>"
    assert reply["References"] == f"<first@example.com> <{marker}@example.com>"
    assert reply["Subject"] == f"Re: Meeting {marker}"
    assert reply["From"] == "owner@mailroom.test"
    outcome = await outcome_of(house, accepted)
    assert outcome.state is MailState.REPLY_SENT
    assert outcome.reply_message_id == reply["Message-ID"]
    row = await house.row(accepted)
    assert row.current_state is MailState.REPLY_SENT
    assert row.user_command == "approve"
    await eventually(lambda: is_listed(house, accepted))
    assert await states_of(house, accepted) == [
        "pending",
        "ai_generating",
        "ai_generated",
        "sms_sending",
        "sms_sent",
        "awaiting_user",
        "user_approved",
        "reply_sent",
    ]


async def test_2_single_edit(house: House, marker: str, raw_mail: bytes) -> None:
    accepted = await house.receive(raw_mail)
    await house.gateway.wait_for(marker)
    first = (await house.row(accepted)).ai_reply_text
    await say(house, accepted, "2 decline")
    texts = await house.gateway.wait_for(marker, 2)
    row = await house.row(accepted)
    assert row.ai_reply_text != first
    assert row.code is not None
    assert row.code in texts[1]
    await say(house, accepted, "1")
    reply = await house.sink.wait_for(f"{marker}@example.com")
    assert words_of(reply).split() == (row.ai_reply_text or "").split()
    row = await house.row(accepted)
    assert row.edit_iteration == 1
    assert row.user_edit_instructions == "decline"


async def test_3_several_edits(house: House, marker: str, raw_mail: bytes) -> None:
    accepted = await house.receive(raw_mail)
    await house.gateway.wait_for(marker)
    for count, how in enumerate(("decline", "warmer", "say: See you on Monday."), 2):
        await say(house, accepted, f"2 {how}")
        await house.gateway.wait_for(marker, count)
    await say(house, accepted, "1")
    reply = await house.sink.wait_for(f"{marker}@example.com")
    assert "See you on Monday." in words_of(reply)
    assert (await house.row(accepted)).revision == 4


async def test_4_ignore(house: House, marker: str, raw_mail: bytes) -> None:
    accepted = await house.receive(raw_mail)
    await house.gateway.wait_for(marker)
    await say(house, accepted, "3")
    outcome = await outcome_of(house, accepted)
    assert (outcome.state, outcome.reason) == (MailState.USER_IGNORED, "by owner")
    assert house.sink.mails[f"{marker}@example.com"] == []


async def test_5_edit_then_ignore(house: House, marker: str, raw_mail: bytes) -> None:
    accepted = await house.receive(raw_mail)
    await house.gateway.wait_for(marker)
    await say(house, accepted, "2 shorter")
    await house.gateway.wait_for(marker, 2)
    await say(house, accepted, "3")
    assert (await outcome_of(house, accepted)).state is MailState.USER_IGNORED
    assert house.sink.mails[f"{marker}@example.com"] == []


async def test_6_reminder_after_a_day_and_the_end_after_two(
    house: House, marker: str, raw_mail: bytes
) -> None:
    accepted = await house.receive(raw_mail)
    await house.gateway.wait_for(marker)
    await house.skip(hours=23)
    assert len(house.gateway.about(marker)) == 1
    await house.skip(hours=2)
    reminder = (await house.gateway.wait_for(marker, 2))[1]
    assert (await house.row(accepted)).code in reminder  # type: ignore[operator]
    await house.skip(hours=22)
    assert (await house.row(accepted)).current_state is MailState.AWAITING_USER
    await house.skip(hours=2)
    assert len(await house.gateway.wait_for(marker, 3)) == 3
    outcome = await outcome_of(house, accepted)
    assert (outcome.state, outcome.reason) == (MailState.TIMEOUT, "no answer")


async def test_6_an_edit_starts_the_wait_anew(house: House, marker: str, raw_mail: bytes) -> None:
    accepted = await house.receive(raw_mail)
    await house.gateway.wait_for(marker)
    await house.skip(hours=47)
    await say(house, accepted, "2 shorter")
    await house.gateway.wait_for(marker, 3)
    await house.skip(hours=23)
    assert (await house.row(accepted)).current_state is MailState.AWAITING_USER
    assert len(house.gateway.about(marker)) == 3
    await say(house, accepted, "3")


async def test_7_sms_failure_is_told_by_mail_and_mended(house: House, marker: str) -> None:
    raw = mail(sender=f"{marker}@example.com", subject=f"gw-refuse {marker}")
    accepted = await house.receive(raw)
    notice = await house.sink.wait_about("owner@mailroom.test", marker)
    assert "sms failed" in notice["Subject"]
    row = await house.reached(accepted, MailState.FAILED)
    assert row.failed_stage is Stage.SMS
    assert "400" in (row.error_message or "")
    # The draft is there all the same: an answer on the page needs no text.
    assert await say(house, accepted, "1") == Verdict.ACCEPTED
    await house.sink.wait_for(f"{marker}@example.com")


async def test_7_smtp_refusal_fails_at_once_and_is_texted(house: House, marker: str) -> None:
    raw = mail(sender=f"refuse+{marker}@example.com", name=marker)
    accepted = await house.receive(raw)
    await house.gateway.wait_for(marker)
    await say(house, accepted, "1")
    texts = await house.gateway.wait_for(marker, 2)
    sender = f"{marker} <refuse+{marker}@example.com>"
    assert texts[-1] == f"⚠️ Failed to send reply to {sender}. Check logs."
    row = await house.row(accepted)
    assert (row.current_state, row.failed_stage) == (MailState.FAILED, Stage.REPLY)
    assert house.sink.tries[f"refuse+{marker}@example.com"] == 1
    assert await say(house, accepted, "3") == Verdict.ACCEPTED


async def test_8_transient_failures_are_tried_again(house: House, marker: str) -> None:
    sender = f"defer-twice+{marker}@example.com"
    accepted = await house.receive(mail(sender=sender, subject=f"gw-fail-2 {marker}"))
    await house.skip(seconds=20)
    await house.gateway.wait_for(marker)
    await say(house, accepted, "1")
    await house.skip(seconds=60)
    await house.sink.wait_for(sender)
    assert (await outcome_of(house, accepted)).state is MailState.REPLY_SENT
    assert len(house.sink.mails[sender]) == 1
    assert house.sink.tries[sender] == 3


async def test_8_retry_goes_on_from_the_failed_stage(house: House, marker: str) -> None:
    sender = f"defer-always+{marker}@example.com"
    accepted = await house.receive(mail(sender=sender, subject=f"Hello {marker}"))
    await house.gateway.wait_for(marker)
    await say(house, accepted, "1")
    await house.skip(minutes=2)
    assert (await house.row(accepted)).current_state is MailState.FAILED
    tries = house.sink.tries[sender]
    assert tries == house.settings.max_retry_attempts
    await house.context.flows.retry(accepted.workflow_id)
    await house.skip(minutes=2)
    assert house.sink.tries[sender] == 2 * tries
    row = await house.row(accepted)
    assert (row.current_state, row.retry_count) == (MailState.FAILED, 1)
    await house.skip(days=8)
    outcome = await outcome_of(house, accepted)
    assert outcome.state is MailState.FAILED
    assert "7 days" in (outcome.reason or "")


async def test_9_the_eleventh_edit_is_refused(house: House, marker: str, raw_mail: bytes) -> None:
    accepted = await house.receive(raw_mail)
    await house.gateway.wait_for(marker)
    for edit in range(10):
        assert await say(house, accepted, f"2 say: number {edit}") == Verdict.ACCEPTED
        await house.gateway.wait_for(marker, edit + 2)
    assert await say(house, accepted, "2 say: number 11") == Verdict.REFUSED
    assert await say(house, accepted, "1") == Verdict.ACCEPTED
    reply = await house.sink.wait_for(f"{marker}@example.com")
    assert "number 9" in words_of(reply)


async def test_what_must_not_be_answered_ends_ignored(house: House, marker: str) -> None:
    raw = mail(
        sender=f"{marker}@example.com", subject=f"Auto {marker}", Auto_Submitted="auto-replied"
    )
    accepted = await house.receive(raw)
    outcome = await outcome_of(house, accepted)
    assert outcome.state is MailState.USER_IGNORED
    assert "auto-replied" in (outcome.reason or "")
    assert house.gateway.about(marker) == []


async def test_the_same_mail_twice_is_one_workflow(house: House, marker: str) -> None:
    raw = mail(sender=f"{marker}@example.com", subject=f"Hi {marker}", message_id=f"<{marker}@x.y>")
    first, second = await house.receive(raw), await house.receive(raw)
    assert (first.new, second.new) == (True, False)
    await house.gateway.wait_for(marker)
    await say(house, first, "3")
    await outcome_of(house, first)
    assert (await house.receive(raw)).new is False


async def test_nothing_fails_the_workflow_itself(house: House, marker: str) -> None:
    accepted = await house.receive(mail(sender=f"{marker}@example.com", subject=marker))
    await house.gateway.wait_for(marker)
    await house.context.flows.expire(accepted.workflow_id)
    try:
        outcome = await outcome_of(house, accepted)
    except WorkflowFailureError as error:
        pytest.fail(f"the workflow failed: {error.cause}")
    assert (outcome.state, outcome.reason) == (MailState.TIMEOUT, "timed out by hand")
