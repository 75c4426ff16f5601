"""A reply that comes back: its owner is told, once."""

import pytest
from house import OWNER, House
from temporalio.service import RPCError, RPCStatusCode
from world import eventually, mail

from mailroom.models.arrival import Accepted
from mailroom.models.email_reply import OwnersWord
from mailroom.models.names import bounced_reply_id
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


async def test_the_owner_is_told_once(house: House, marker: str) -> None:
    received, reply = await answered(house, marker)
    for key in ("1", "1", "2"):
        bounced = await house.receive(report(marker, received, reply, key), "")
        # It is listed, and nobody answers it.
        assert await house.ended(bounced) is MailState.USER_IGNORED
    told = f"Your reply to {marker}@example.com came back. The mailbox is full."

    async def is_told() -> bool:
        return told in house.gateway.about(marker)

    await eventually(is_told)
    assert house.gateway.about(marker).count(told) == 1


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
    notice = house.client.get_workflow_handle(bounced_reply_id(received.workflow_id))
    with pytest.raises(RPCError) as error:
        await notice.describe()
    assert error.value.status is RPCStatusCode.NOT_FOUND
