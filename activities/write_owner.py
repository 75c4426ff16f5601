"""Tells the owner by e-mail what could not be texted."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity

from activities.text_owner import about
from mailroom.models.email_reply import Notice, TextOwnerInput
from mailroom.models.owner import Owner
from mailroom.models.owners_mail import owners_mail
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
        return await self.mailer.deliver(address, [address], self.notice(request, address), go)

    def notice(self, request: TextOwnerInput, address: str) -> bytes:
        return owners_mail(
            address,
            _headline(request),
            self.body(request),
            key=(request.mail.workflow_id, f"notice/{request.step}"),
            at=activity.info().scheduled_time,
        )

    def body(self, request: TextOwnerInput) -> str:
        lines = [about(request), f"From: {request.mail.sender}", f"Subject: {request.mail.subject}"]
        if request.error:
            lines.append(f"Error: {request.error}")
        if request.draft:
            lines.append(self.links.draft(request.mail, request.draft.revision))
        return "\n\n".join(lines) + "\n"


async def go() -> None:
    """A notice may arrive twice; it needs no marker."""


_HEADLINES = {
    Notice.SEND_UNKNOWN: "a reply may have been sent",
    Notice.BOUNCED: "a reply came back",
    Notice.EXPIRED: "a mail was left unanswered",
    Notice.ARRIVED: "a mail came",
    Notice.SUPERSEDED: "a draft was dropped",
}


def _headline(request: TextOwnerInput) -> str:
    if request.notice is Notice.FAILED:
        return f"{request.stage or 'a step'} failed"
    return _HEADLINES.get(request.notice, "a draft waits for you")
