"""Tells the owner by e-mail what could not be texted."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from temporalio import activity

from activities.text_owner import about
from mailroom.models.email_reply import Notice, TextOwnerInput
from mailroom.models.owner import Owner
from mailroom.models.reply import reply_message_id
from mailroom.ports import Links, Mailer, Permanent


@dataclass(frozen=True)
class WriteOwner:
    mailer: Mailer
    links: Links
    owners: Mapping[str, Owner]

    @activity.defn
    async def write_owner(self, request: TextOwnerInput) -> str:
        address = self.owners[request.mail.owner].email
        if not address:
            raise Permanent("The owner has no e-mail address; set EMAIL_ADDRESS.")
        return await self.mailer.deliver(address, [address], self.notice(request, address), _go)

    def notice(self, request: TextOwnerInput, address: str) -> bytes:
        message = EmailMessage(policy=SMTP)
        message["From"] = message["To"] = address
        message["Subject"] = f"Mailroom: {_headline(request)}"
        message["Date"] = format_datetime(activity.info().scheduled_time)
        message["Message-ID"] = reply_message_id(
            request.mail.workflow_id, f"notice/{request.step}", address.rpartition("@")[2]
        )
        # RFC 3834 §5: so that no responder, ours included, answers it.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self.body(request))
        return message.as_bytes()

    def body(self, request: TextOwnerInput) -> str:
        lines = [about(request), f"From: {request.mail.sender}", f"Subject: {request.mail.subject}"]
        if request.error:
            lines.append(f"Error: {request.error}")
        if request.draft:
            lines.append(self.links.draft(request.mail, request.draft.revision))
        return "\n\n".join(lines) + "\n"


async def _go() -> None:
    """A notice may arrive twice; it needs no marker."""


def _headline(request: TextOwnerInput) -> str:
    match request.notice:
        case Notice.FAILED:
            return f"{request.stage or 'a step'} failed"
        case Notice.SEND_UNKNOWN:
            return "a reply may have been sent"
        case Notice.EXPIRED:
            return "a mail was left unanswered"
        case Notice.ARRIVED:
            return "a mail came"
        case Notice.SUPERSEDED:
            return "a draft was dropped"
        case _:
            return "a draft waits for you"
