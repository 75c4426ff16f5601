"""Sent later, put off, not at night; and drafts that something else made needless."""

from datetime import UTC, datetime, timedelta

import pytest
from house import OWNER, House
from world import eventually, mail

from mailroom.bridge import intake as intakes
from mailroom.bridge.intake import Intake
from mailroom.bridge.workflows import closed
from mailroom.models.arrival import Accepted, Arrival
from mailroom.models.email_reply import Outcome, OwnersWord, Verdict
from mailroom.models.owner import Hours, Owner
from mailroom.models.rules import Action, Rule
from mailroom.models.states import MailState
from workflows.email_reply import EmailReplyWorkflow
from workflows.search_attributes import MAIL_PRIORITY

SOON = timedelta(seconds=30)


async def say(house: House, accepted: Accepted, text: str) -> Outcome:
    return await house.context.flows.decide(accepted.workflow_id, OwnersWord(text=text), SOON)


async def drafted(house: House, marker: str) -> Accepted:
    accepted = await house.receive(mail(sender=f"{marker}@example.com", subject=f"Hi {marker}"))
    await house.gateway.wait_for(marker)
    await house.reached(accepted, MailState.AWAITING_USER)
    return accepted


def sent(house: House, marker: str) -> int:
    return len(house.sink.mails[f"{marker}@example.com"])


async def scheduled(house: House, accepted: Accepted) -> None:
    async def has_its_time() -> bool:
        return (await house.row(accepted)).send_at is not None

    await eventually(has_its_time)


def intake_for(house: House, **wishes: object) -> Intake:
    """Of an owner with these wishes."""
    [known] = house.context.owners.values()
    owner = Owner.model_validate(known.model_dump(include=set(Owner.model_fields)) | wishes)
    return Intake(
        house.adapters.blobs,
        house.context.intake._store,
        house.context.flows,
        {owner.id: owner},
        reminder_after=timedelta(days=1),
        attempts=3,
    )


# Sent later


async def test_an_approved_reply_waits_for_its_time(house: House, marker: str) -> None:
    accepted = await drafted(house, marker)
    outcome = await say(house, accepted, "1 in 2h")
    assert outcome.text == "The reply goes out in 2 h; till then 3 cancels it."
    await scheduled(house, accepted)
    row = await house.row(accepted)
    assert row.current_state is MailState.USER_APPROVED
    await house.skip(hours=1)
    assert sent(house, marker) == 0
    await house.skip(hours=2)
    assert await house.ended(accepted) is MailState.REPLY_SENT
    assert sent(house, marker) == 1


async def test_what_waits_for_its_time_can_be_cancelled(house: House, marker: str) -> None:
    accepted = await drafted(house, marker)
    await say(house, accepted, "1 in 2h")
    await scheduled(house, accepted)
    assert (await say(house, accepted, "3")).verdict is Verdict.ACCEPTED
    assert await house.ended(accepted) is MailState.USER_IGNORED
    assert (await house.row(accepted)).send_at is None
    assert sent(house, marker) == 0


async def test_what_waits_can_be_sent_now_instead(house: House, marker: str) -> None:
    accepted = await drafted(house, marker)
    await say(house, accepted, "1 in 2 days")
    await scheduled(house, accepted)
    await say(house, accepted, "1")
    assert await house.ended(accepted) is MailState.REPLY_SENT
    assert sent(house, marker) == 1


async def test_what_waits_can_be_changed(house: House, marker: str) -> None:
    accepted = await drafted(house, marker)
    await say(house, accepted, "1 in 2h")
    await scheduled(house, accepted)
    await say(house, accepted, "2 decline")
    await house.gateway.wait_for(marker, 2)
    await house.reached(accepted, MailState.AWAITING_USER)
    await house.skip(hours=3)
    assert sent(house, marker) == 0
    await say(house, accepted, "1")
    assert await house.ended(accepted) is MailState.REPLY_SENT
    assert sent(house, marker) == 1


async def test_the_time_can_be_changed(house: House, marker: str) -> None:
    accepted = await drafted(house, marker)
    await say(house, accepted, "1 in 1h")
    await scheduled(house, accepted)
    first = (await house.row(accepted)).send_at
    await say(house, accepted, "1 in 3h")

    async def is_later() -> bool:
        return (await house.row(accepted)).send_at != first

    await eventually(is_later)
    await house.skip(hours=2)
    assert sent(house, marker) == 0
    await house.skip(hours=2)
    assert await house.ended(accepted) is MailState.REPLY_SENT


async def test_a_time_of_day_is_the_owners(house: House, marker: str) -> None:
    accepted = await drafted(house, marker)
    await say(house, accepted, "1 at 9:00")
    await scheduled(house, accepted)
    row = await house.row(accepted)
    assert row.send_at is not None
    assert (row.send_at.hour, row.send_at.minute) == (9, 0)
    assert row.user_responded_at is not None
    assert timedelta(0) < row.send_at - row.user_responded_at <= timedelta(days=1)
    await say(house, accepted, "3")


async def test_an_expiry_does_not_end_what_waits_for_its_time(house: House, marker: str) -> None:
    accepted = await drafted(house, marker)
    await say(house, accepted, "1 in 2h")
    await scheduled(house, accepted)
    await house.context.flows.expire(accepted.workflow_id)
    await house.skip(hours=3)
    assert await house.ended(accepted) is MailState.REPLY_SENT


# Put off


async def test_put_off_means_asked_again_then(house: House, marker: str) -> None:
    accepted = await drafted(house, marker)
    assert (await say(house, accepted, "4h")).text == "You are asked again in 4 h."
    await house.skip(hours=3)
    assert len(house.gateway.about(marker)) == 1
    await house.skip(hours=2)
    [first, again] = await house.gateway.wait_for(marker, 2)
    assert first == again
    await house.reached(accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1")
    assert await house.ended(accepted) is MailState.REPLY_SENT
    assert sent(house, marker) == 1


async def test_a_word_comes_before_the_end_of_a_snooze(house: House, marker: str) -> None:
    accepted = await drafted(house, marker)
    await say(house, accepted, "2 days")
    status = house.client.get_workflow_handle_for(EmailReplyWorkflow.run, accepted.workflow_id)

    async def is_put_off() -> bool:
        return (await house.row(accepted)).snoozed_until is not None

    await eventually(is_put_off)
    assert (await status.query(EmailReplyWorkflow.status)).state is MailState.AWAITING_USER
    await say(house, accepted, "1")
    assert await house.ended(accepted) is MailState.REPLY_SENT
    assert len(house.gateway.about(marker)) == 1


# The owner's hours, VIPs and rules


def sleeping() -> Hours:
    """Hours that begin in two hours."""
    begin = (datetime.now(UTC) + timedelta(hours=2)).time()
    return Hours(begin=begin, end=(datetime.now(UTC) + timedelta(hours=3)).time())


async def receive(intake: Intake, marker: str, **more: str) -> Accepted:
    raw = mail(sender=f"{marker}@example.com", subject=f"Hi {marker}", **more)
    return await intake.accept(Arrival(raw, "john@example.com", (OWNER,)))


async def test_vips_are_texted_at_night_and_first(house: House, marker: str) -> None:
    intake = intake_for(house, hours=sleeping(), vips=(f"{marker}@example.com",))
    accepted = await receive(intake, marker)
    await house.gateway.wait_for(marker)
    described = await house.client.get_workflow_handle(accepted.workflow_id).describe()
    assert described.typed_search_attributes[MAIL_PRIORITY] == 2


async def test_others_wait_for_the_owners_hours(
    house: House, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = await house.env.get_current_time() + timedelta(hours=2)
    monkeypatch.setattr(intakes, "may_text_at", lambda owner, now, vip: opening)
    accepted = await receive(intake_for(house), marker)
    await house.reached(accepted, MailState.AI_GENERATED)
    await house.skip(hours=1)
    assert house.gateway.about(marker) == []
    await house.skip(hours=2)
    await house.gateway.wait_for(marker)
    await house.reached(accepted, MailState.AWAITING_USER)


async def test_a_word_on_the_page_does_not_wait_for_the_hours(
    house: House, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = await house.env.get_current_time() + timedelta(days=1)
    monkeypatch.setattr(intakes, "may_text_at", lambda owner, now, vip: opening)
    accepted = await receive(intake_for(house), marker)
    await house.reached(accepted, MailState.AI_GENERATED)
    await say(house, accepted, "1")
    assert await house.ended(accepted) is MailState.REPLY_SENT
    assert house.gateway.about(marker) == []


async def test_a_mail_that_a_rule_ignores(house: House, marker: str) -> None:
    rule = Rule(name="shops", action=Action.IGNORE, sender=(f"{marker}@example.com",))
    accepted = await receive(intake_for(house, rules=(rule,)), marker)
    assert await house.ended(accepted) is MailState.USER_IGNORED
    assert "'shops'" in ((await house.row(accepted)).reason or "")
    assert house.gateway.about(marker) == []


async def test_a_mail_that_the_owner_is_only_told_of(house: House, marker: str) -> None:
    rule = Rule(name="news", action=Action.NOTIFY, header={"X-News": "yes"})
    accepted = await receive(intake_for(house, rules=(rule,)), marker, X_News="yes")
    assert await house.ended(accepted) is MailState.USER_IGNORED
    [text] = house.gateway.about(marker)
    assert text.startswith("New mail: ")
    assert (await house.row(accepted)).ai_reply_text is None


async def test_no_rule_makes_an_automatic_mail_answerable(house: House, marker: str) -> None:
    rule = Rule(name="all", action=Action.DRAFT, sender=(f"{marker}@example.com",))
    accepted = await receive(
        intake_for(house, rules=(rule,)), marker, Auto_Submitted="auto-replied"
    )
    assert await house.ended(accepted) is MailState.USER_IGNORED
    assert "automatically" in ((await house.row(accepted)).reason or "")


async def test_a_default_delay_holds_every_approved_reply(house: House, marker: str) -> None:
    accepted = await receive(intake_for(house, send_after=timedelta(minutes=10)), marker)
    await house.gateway.wait_for(marker)
    await house.reached(accepted, MailState.AWAITING_USER)
    await say(house, accepted, "1")
    await scheduled(house, accepted)
    await say(house, accepted, "1")
    assert await house.ended(accepted) is MailState.REPLY_SENT


# Superseded


async def test_an_answer_of_the_owners_own_drops_the_draft(house: House, marker: str) -> None:
    first = f"<{marker}@example.com>"
    accepted = await house.receive(
        mail(sender=f"{marker}@example.com", subject=f"Hi {marker}", message_id=first)
    )
    await house.gateway.wait_for(marker)
    await house.reached(accepted, MailState.AWAITING_USER)
    await house.receive(
        mail(sender=OWNER, subject=f"Re: Hi {marker}", In_Reply_To=first, References=first)
    )
    assert await house.ended(accepted) is MailState.USER_IGNORED
    assert (await house.row(accepted)).reason == "superseded"
    told = (await house.gateway.wait_for(marker, 2))[1]
    assert "you answered it yourself" in told
    assert sent(house, marker) == 0
    assert "closed already" in closed(await house.row(accepted)).text


async def test_a_second_mail_of_the_sender_is_answered_together_with_the_first(
    house: House, marker: str
) -> None:
    address, first = f"{marker}@example.com", f"<{marker}-1@example.com>"
    earlier = await house.receive(
        mail(sender=address, subject=f"Hi {marker}", text="Lunch on Monday?", message_id=first)
    )
    await house.gateway.wait_for(marker)
    await house.reached(earlier, MailState.AWAITING_USER)
    later = await house.receive(
        mail(
            sender=address,
            subject=f"Re: Hi {marker}",
            text="Or rather on Tuesday?",
            message_id=f"<{marker}-2@example.com>",
            In_Reply_To=first,
            References=first,
        )
    )
    assert await house.ended(earlier) is MailState.USER_IGNORED
    assert (await house.row(earlier)).reason == "superseded by a later mail"
    [_, both] = await house.gateway.wait_for(marker, 2)
    assert "Lunch on Monday?" in both
    assert "Tuesday" in both
    await house.reached(later, MailState.AWAITING_USER)
    await say(house, later, "1")
    assert await house.ended(later) is MailState.REPLY_SENT
    reply = house.sink.mails[address][0]
    assert reply["In-Reply-To"] == f"<{marker}-2@example.com>"
    assert sent(house, marker) == 1


@pytest.mark.parametrize("headers", [{"Reply_To": "thief@evil.example"}, {"name": "Somebody Else"}])
async def test_nobody_takes_over_the_conversation_of_another(
    house: House, marker: str, headers: dict[str, str]
) -> None:
    address, first = f"{marker}@example.com", f"<{marker}-1@example.com>"
    accepted = await house.receive(mail(sender=address, subject=f"Hi {marker}", message_id=first))
    await house.gateway.wait_for(marker)
    await house.receive(
        mail(sender=address, subject="Re: Hi", In_Reply_To=first, References=first, **headers)
    )
    row = await house.reached(accepted, MailState.AWAITING_USER)
    assert row.reason is None
    await house.context.flows.expire(accepted.workflow_id)
