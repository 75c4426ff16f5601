"""A reply that comes back: its mail goes on, and its owner is told, once."""

from dataclasses import replace
from datetime import timedelta

from house import OWNER, House
from world import eventually, mail

from mailroom.models.arrival import Accepted
from mailroom.models.email_reply import OwnersWord
from mailroom.models.names import REASON_BOUNCED, reopened_id
from mailroom.models.states import MailState

REPORT = """\
From: MAILER-DAEMON@mx.example.com
To: {owner}
Subject: Undelivered Mail Returned to Sender
Message-ID: <{key}@mx.example.com>
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: 5.2.2
Diagnostic-Code: smtp; 552 5.2.2 mailbox full

--B
Content-Type: text/rfc822-headers

Message-ID: {reply}
In-Reply-To: {parent}

--B--
"""


async def answered(house: House, marker: str) -> tuple[Accepted, str]:
    """A mail and the Message-ID of the reply that left."""
    sender = f"{marker}@example.com"
    received = await house.receive(mail(sender=sender, subject=f"Meeting {marker}"), sender)
    await house.reached(received, MailState.AWAITING_USER)
    await house.context.flows.command(received.workflow_id, OwnersWord(text="1"))
    assert await house.ended(received) is MailState.REPLY_SENT
    reply = await house.sink.wait_for(sender)
    return received, str(reply["Message-ID"])


def report(
    marker: str, received: Accepted, reply: str, key: str = "1", action: str = "failed"
) -> bytes:
    return REPORT.format(
        owner=OWNER,
        key=f"{key}-{marker}",
        recipient=f"{marker}@example.com",
        action=action,
        reply=reply,
        parent=received.message_id,
    ).encode()


async def came_back(house: House, marker: str) -> tuple[Accepted, str]:
    """A reply that was reported twice, and the text about it."""
    received, reply = await answered(house, marker)
    for key in ("1", "1", "2"):
        bounced = await house.receive(report(marker, received, reply, key), "")
        # It is listed, and nobody answers it.
        assert await house.ended(bounced) is MailState.USER_IGNORED
    [told] = [text for text in await told_of(house, marker) if "came back" in text]
    return received, told


async def told_of(house: House, marker: str) -> list[str]:
    async def is_told() -> bool:
        return any("came back" in text for text in house.gateway.about(marker))

    await eventually(is_told)
    return house.gateway.about(marker)


async def reopened(house: House, received: Accepted) -> Accepted:
    """The same mail, in the workflow in which it goes on."""
    found = replace(received, workflow_id=reopened_id(received.workflow_id, 1))

    async def waits() -> bool:
        row = await house.context.views.by_workflow(found.workflow_id)
        return row is not None and row.reason == REASON_BOUNCED and row.revision == 2

    await eventually(waits)
    return found


async def test_its_mail_goes_on_and_the_owner_is_told_once(house: House, marker: str) -> None:
    received, told = await came_back(house, marker)
    row = await house.row(await reopened(house, received))
    assert (row.current_state, row.error_message) == (MailState.FAILED, "The mailbox is full.")
    assert told.endswith(f"came back: The mailbox is full. 1=Send again 3=Leave {row.code}")
    await house.context.flows.command(row.workflow_id, OwnersWord(text="3"))
    assert await house.ended(await reopened(house, received)) is MailState.USER_IGNORED


async def test_the_owner_has_it_sent_again(house: House, marker: str) -> None:
    received, _ = await came_back(house, marker)
    mail = await reopened(house, received)
    await house.context.flows.command(mail.workflow_id, OwnersWord(text="1"))
    assert await house.ended(mail) is MailState.REPLY_SENT
    first, again = house.sink.raw[f"{marker}@example.com"]
    assert first == again


async def test_only_the_owner_has_it_sent_again(house: House, marker: str) -> None:
    received, _ = await came_back(house, marker)
    mail = await reopened(house, received)
    await house.context.flows.retry(mail.workflow_id)
    outcome = await house.context.flows.decide(
        mail.workflow_id, OwnersWord(text="2 warmer"), timedelta(seconds=20)
    )
    assert outcome.text == "The reply came back: 1 sends it again, 3 leaves it."
    assert len(house.sink.raw[f"{marker}@example.com"]) == 1
    await house.context.flows.command(mail.workflow_id, OwnersWord(text="3"))
    await house.ended(mail)


async def test_what_is_delayed_or_names_another_reply_tells_nothing(
    house: House, marker: str
) -> None:
    received, reply = await answered(house, marker)
    for raw in (
        report(marker, received, reply, "1", "delayed"),
        report(marker, received, "<0123456789abcdef0123456789abcdef@mailroom.test>", "2"),
        report(marker, received, reply, "3").replace(received.message_id.encode(), b"<no@x.y>"),
    ):
        bounced = await house.receive(raw, "")
        assert await house.ended(bounced) is MailState.USER_IGNORED
    row = await house.row(received)
    assert row.current_state is MailState.REPLY_SENT
