"""Texts one sentence to somebody who texted us."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity

from mailroom.models.email_reply import SayInput, Texted
from mailroom.models.owner import Owner
from mailroom.models.rows import SentText
from mailroom.ports import Permanent, Texter, TextLog


@dataclass(frozen=True)
class Say:
    log: TextLog
    texter: Texter
    owners: Mapping[str, Owner]

    @activity.defn
    async def say(self, request: SayInput) -> Texted:
        to = request.to or self.owners[request.owner].phone
        if not to:
            raise Permanent("No phone is configured; set YOUR_PHONE_NUMBER.")
        if await self.log.stopped(to):
            return Texted(sms_message_id=None, texts=0)
        provider_id = await self.texter.send(to, request.text, request.reference)
        await self.log.keep(
            SentText(
                reference=request.reference,
                owner=request.owner,
                message_id=None,
                to=to,
                body=request.text,
                provider_id=provider_id,
            )
        )
        return Texted(sms_message_id=provider_id, texts=1)
