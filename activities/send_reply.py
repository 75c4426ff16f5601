"""Sends the approved reply, once (design: "Sending once")."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.attached import files_named
from activities.under_way import UnderWay
from activities.words import attached, heard_detail, said
from mailroom.models.attachments import attachments
from mailroom.models.email_reply import SendReplyInput, Sent
from mailroom.models.mail import read_mail
from mailroom.models.owner import Owner
from mailroom.models.reply import (
    REPLY,
    NoRecipient,
    ReplyRequest,
    UnsafeHeader,
    build_reply,
    recipients,
    reply_message_id,
)
from mailroom.models.rows import Change, Columns, SendOutcome
from mailroom.models.states import MailState
from mailroom.ports import Blobs, EmailStore, Mailer, Permanent, SendMarkers, SendUnknown, Transient


@dataclass(frozen=True)
class SendReply:
    blobs: Blobs
    store: EmailStore
    markers: SendMarkers
    mailer: Mailer
    owners: Mapping[str, Owner]

    @activity.defn
    async def send_reply(self, request: SendReplyInput) -> Sent:
        try:
            return await self.sent(request)
        except (UnsafeHeader, NoRecipient) as error:
            raise Permanent(str(error)) from error

    async def sent(self, request: SendReplyInput) -> Sent:
        reply = await self.reply_to(request)
        blob = await self.bytes_once(request, reply)
        async with UnderWay(self.store, _approved(request, reply, blob)) as step:
            response = await self.send_once(request, reply, blob)
            await self.store.enter(*await step.ended(_sent(request, reply, response)))
        return Sent(message_id=reply.message_id, response=response)

    async def reply_to(self, request: SendReplyInput) -> ReplyRequest:
        raw = await self.blobs.get(request.mail.blob)
        mail = read_mail(raw)
        text = (await self.blobs.get(request.draft.blob)).decode()
        own, owner = request.mail.reply_from, self.owners[request.mail.owner]
        return ReplyRequest(
            original_message_id=mail.message_id,
            message_id_derived=mail.message_id_derived,
            subject=mail.subject,
            sender=mail.sender,
            reply_to=mail.reply_to,
            references=mail.references,
            in_reply_to=mail.in_reply_to,
            from_address=own,
            from_name=owner.name or None,
            text=text,
            message_id=reply_message_id(request.mail.workflow_id, REPLY, own.rpartition("@")[2]),
            date=request.send_at or (request.word.at if request.word else request.mail.received_at),
            html=owner.html_replies,
            attach=await files_named(raw, attached(request.word)),
        )

    async def bytes_once(self, request: SendReplyInput, reply: ReplyRequest) -> str:
        """The hash of the reply's bytes, the same for every attempt and every sending."""
        first = request.retries == 0 and activity.info().attempt == 1
        blob = None if first else await self.store.reply_blob(request.mail)
        if blob and (request.sends > 1 or await self.carries(blob, reply)):
            return blob
        return await self.blobs.put(await _built(reply))

    async def carries(self, blob: str, reply: ReplyRequest) -> bool:
        """Whether the reply that failed has the attachments that its owner wants by now."""
        found = await asyncio.to_thread(attachments, await self.blobs.get(blob))
        return [one.name for one in found] == [file.name for file in reply.attach]

    async def send_once(self, request: SendReplyInput, reply: ReplyRequest, blob: str) -> str:
        key = f"{request.mail.workflow_id}/{request.sends}"
        if activity.info().attempt > 1 and (response := await self.sent_before(key)) is not None:
            return response
        try:
            return await self.deliver(key, reply, blob)
        except _Claimed:
            response = await self.sent_before(key)
            if response is None:
                raise Transient("Another try was sending this reply and gave it up.") from None
            return response

    async def sent_before(self, key: str) -> str | None:
        """The answer that an earlier try got; None if nothing left. Raises `SendUnknown`."""
        marker = await self.markers.find(key)
        if marker is None or marker.outcome in (SendOutcome.REFUSED, SendOutcome.NOT_SENT):
            return None
        if marker.outcome is None:
            raise SendUnknown("An earlier try ended after the reply was handed over.")
        return marker.response or ""

    async def deliver(self, key: str, reply: ReplyRequest, blob: str) -> str:
        claimed = False

        async def claim() -> None:
            nonlocal claimed
            claimed = await self.markers.claim(key, blob)
            if not claimed:
                raise _Claimed

        data = await self.blobs.get(blob)
        try:
            response = await self.mailer.deliver(
                reply.from_address, recipients(reply), data, before_dot=claim
            )
        except (Permanent, Transient) as error:
            if claimed:
                await self.markers.settle(key, SendOutcome.REFUSED, str(error))
            raise
        await self.markers.settle(key, SendOutcome.SENT, response)
        return response


async def _built(reply: ReplyRequest) -> bytes:
    return await asyncio.to_thread(build_reply, reply) if reply.attach else build_reply(reply)


class _Claimed(Exception):
    """Another try holds the marker; nothing was sent by this one."""


def _approved(request: SendReplyInput, reply: ReplyRequest, blob: str) -> Change:
    columns = said(request.word) if request.word else Columns()
    known = {"reply_blob": blob, "reply_message_id": reply.message_id}
    return Change(
        mail=request.mail,
        step=request.step,
        done=False,
        states=(MailState.USER_APPROVED,),
        columns=columns.model_copy(update=known),
        detail=heard_detail(request.word),
    )


def _sent(request: SendReplyInput, reply: ReplyRequest, response: str) -> Change:
    return Change(
        mail=request.mail,
        step=request.step,
        done=True,
        states=(MailState.REPLY_SENT,),
        columns=Columns(
            reply_sent_at=datetime.now(UTC), reason=None, failed_stage=None, error_message=None
        ),
        detail={"message_id": reply.message_id, "response": response},
    )
