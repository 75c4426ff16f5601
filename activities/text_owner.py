"""Texts the owner about one mail: a draft, a reminder, what went wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.unanswered import unanswered_text
from activities.under_way import UnderWay
from mailroom.models import sms_notices
from mailroom.models.email_reply import MAX_EDITS, Notice, Texted, TextOwnerInput
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.owner import Owner
from mailroom.models.rows import Change, Columns, SentText
from mailroom.models.sms_text import DraftNotice, SmsFormat, draft_texts
from mailroom.models.states import MailState
from mailroom.ports import Blobs, EmailStore, Links, Permanent, Texter, TextLog


@dataclass(frozen=True)
class TextOwner:
    blobs: Blobs
    store: EmailStore
    log: TextLog
    texter: Texter
    links: Links
    owners: Mapping[str, Owner]
    sms_format: SmsFormat

    @activity.defn
    async def text_owner(self, request: TextOwnerInput) -> Texted:
        phone = await self.phone(request.mail.owner)
        if request.notice is not Notice.DRAFT:
            texted, last = await self.send(request, phone, [about(request)])
            await self.log.keep(last)
            return texted
        async with UnderWay(self.store, _sending(request, phone)) as step:
            texted, last = await self.send(request, phone, await self.texts(request))
            await self.store.enter(*await step.ended(_sent(request, texted, last)))
        return texted

    async def phone(self, owner: str) -> str:
        phone = self.owners[owner].phone
        if not phone:
            raise Permanent("No phone is configured; set YOUR_PHONE_NUMBER.")
        if await self.log.stopped(phone):
            raise Permanent("The phone answered STOP; it is not texted until it says START.")
        return phone

    async def texts(self, request: TextOwnerInput) -> list[str]:
        original = read_mail(await self.blobs.get(request.mail.blob))
        assert request.draft is not None
        draft = (await self.blobs.get(request.draft.blob)).decode()
        body = await unanswered_text(self.blobs, request.earlier, original)
        return draft_texts(self.prompt(request, original, body, draft), self.sms_format)

    def prompt(
        self, request: TextOwnerInput, mail: IncomingMail, body: str, draft: str
    ) -> DraftNotice:
        assert request.draft is not None
        return DraftNotice(
            sender_name=mail.sender.name if mail.sender else "",
            sender_address=mail.sender.address if mail.sender else "",
            subject=mail.subject,
            body=body,
            draft=draft,
            code=request.draft.code,
            revision=request.draft.revision,
            note=request.draft.note,
            link=self.links.draft(request.mail, request.draft.revision),
            edits_left=MAX_EDITS - request.edits,
        )

    async def send(
        self, request: TextOwnerInput, phone: str, texts: list[str]
    ) -> tuple[Texted, SentText]:
        """Every text once: the reference is the key, here and at the provider. The last one is
        still to be kept."""
        references = [f"{request.mail.workflow_id}/{request.step}/{n}" for n in range(len(texts))]
        sent = await self.log.sent(references) if activity.info().attempt > 1 else {}
        rows: list[SentText] = []
        for reference, body in zip(references, texts, strict=True):
            if rows:
                await self.log.keep(rows[-1])
            taken = sent.get(reference) or await self.texter.send(phone, body, reference)
            rows.append(_row(request, phone, body, reference, taken))
        return Texted(sms_message_id=rows[0].provider_id, texts=len(rows)), rows[-1]


def about(request: TextOwnerInput) -> str:
    """The one sentence of every notice that is not a draft."""
    mail, code = request.mail, request.draft.code if request.draft else ""
    if request.notice in _ABOUT_MAIL:
        return _ABOUT_MAIL[request.notice](mail.sender, mail.subject)
    match request.notice:
        case Notice.REMINDER:
            return sms_notices.reminder_text(mail.sender, mail.subject, code)
        case Notice.SEND_UNKNOWN:
            return sms_notices.unknown_text(mail.sender, code)
        case _ if request.stage is None or request.stage == "reply":
            return sms_notices.send_failed_text(mail.sender)
        case _:
            return sms_notices.stage_failed_text(request.stage, mail.sender)


_ABOUT_MAIL = {
    Notice.ARRIVED: sms_notices.arrived_text,
    Notice.EXPIRED: sms_notices.expired_text,
    Notice.SUPERSEDED: sms_notices.superseded_text,
}


def _row(
    request: TextOwnerInput, phone: str, body: str, reference: str, provider_id: str
) -> SentText:
    return SentText(
        reference=reference,
        owner=request.mail.owner,
        message_id=request.mail.message_id,
        to=phone,
        body=body,
        provider_id=provider_id,
    )


def _sending(request: TextOwnerInput, phone: str) -> Change:
    return Change(
        mail=request.mail,
        step=request.step,
        done=False,
        states=(MailState.SMS_SENDING,),
        columns=Columns(sms_phone_number=phone),
    )


def _sent(request: TextOwnerInput, texted: Texted, last: SentText) -> Change:
    now = datetime.now(UTC)
    ends = now + 2 * request.reminder_after if request.reminder_after else None
    return Change(
        mail=request.mail,
        step=request.step,
        done=True,
        states=(MailState.SMS_SENT, MailState.AWAITING_USER),
        columns=Columns(
            sms_message_id=texted.sms_message_id,
            sms_sent_at=now,
            timeout_at=ends,
            snoozed_until=None,
            reason=None,
            failed_stage=None,
            error_message=None,
        ),
        detail={"texts": texted.texts, "revision": request.draft and request.draft.revision},
        text=last,
    )
