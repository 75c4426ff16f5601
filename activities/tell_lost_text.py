"""Tells the owner by e-mail that a text did not reach its phone. It decides nothing: what waits
for a word goes on waiting."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity

from activities.write_owner import go
from mailroom.models.owner import Owner
from mailroom.models.owners_mail import owners_mail
from mailroom.models.receipts import LostText
from mailroom.models.rows import SentText
from mailroom.models.text import one_line
from mailroom.ports import Mailer, Permanent, TextLog, Transient

HEADLINE = "a text was not delivered"


@dataclass(frozen=True)
class TellLostText:
    log: TextLog
    mailer: Mailer
    owners: Mapping[str, Owner]

    @activity.defn
    async def tell_lost_text(self, lost: LostText) -> str:
        text = await self.log.text(lost.provider_id)
        if text is None:
            raise Transient("No text of ours has this ID (yet).")
        address = self.owners[text.owner].email if text.owner in self.owners else None
        if not address:
            raise Permanent("The owner has no e-mail address; set EMAIL_ADDRESS.")
        return await self.mailer.deliver(address, [address], _mail(address, text, lost), go)


def _mail(address: str, text: SentText, lost: LostText) -> bytes:
    info = activity.info()
    return owners_mail(
        address,
        HEADLINE,
        _body(text, lost),
        key=(info.workflow_id or "", "notice"),
        at=info.scheduled_time,
    )


def _body(text: SentText, lost: LostText) -> str:
    why = f", error {one_line(lost.error_code, 100)}" if lost.error_code else ""
    return (
        f"A text to {text.to} was accepted and then not delivered ({lost.status}{why}).\n\n"
        "Nothing was decided by that: what waits for a word still waits. It said:\n\n"
        f"{text.body}\n"
    )
