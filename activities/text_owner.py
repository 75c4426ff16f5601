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
        if request.notice is Notice.DRAFT:
            return await self.ask(request)
        if request.notice is Notice.DELEGATED:
            await self.store.enter(_delegated(request))
            await self.ask_delegate(request)
        return await self.tell(request, about(request))

    async def ask(self, request: TextOwnerInput) -> Texted:
        phone = await self.phone(request.mail.owner)
        async with UnderWay(self.store, _sending(request, phone)) as step:
            texted, last = await self.send(request, phone, await self.texts(request))
            await self.store.enter(*await step.ended(_sent(request, texted, last)))
        if request.delegate:
            await self.ask_delegate_too(request)
        return texted

    async def tell(self, request: TextOwnerInput, sentence: str) -> Texted:
        phone = await self.phone(request.mail.owner)
        texted, last = await self.send(request, phone, [sentence])
        await self.log.keep(last)
        return texted

    async def ask_delegate(self, request: TextOwnerInput) -> None:
        assert request.delegate is not None
        phone = await self.phone(request.delegate)
        texts = await self.texts(request, in_place_of=self.owners[request.mail.owner])
        _, last = await self.send(request, phone, texts, request.delegate)
        await self.log.keep(last)

    async def ask_delegate_too(self, request: TextOwnerInput) -> None:
        """The owner was asked: that the delegate can't be is no failure."""
        try:
            await self.ask_delegate(request)
        except Permanent as error:
            activity.logger.warning("The delegate was not asked: %s", error)

    async def phone(self, owner: str) -> str:
        if owner not in self.owners:
            raise Permanent(f"{owner} is no owner any more; see mailroom.toml.")
        phone = self.owners[owner].phone
        if not phone:
            raise Permanent("No phone is configured; set YOUR_PHONE_NUMBER.")
        if await self.log.stopped(phone):
            raise Permanent("The phone answered STOP; it is not texted until it says START.")
        return phone

    async def texts(self, request: TextOwnerInput, in_place_of: Owner | None = None) -> list[str]:
        original = read_mail(await self.blobs.get(request.mail.blob))
        assert request.draft is not None
        draft = (await self.blobs.get(request.draft.blob)).decode()
        body = await unanswered_text(self.blobs, request.earlier, original)
        prompt = self.prompt(request, original, body, draft)
        if in_place_of:
            why = f"In place of {in_place_of.name or in_place_of.id}."
            prompt = prompt.model_copy(update={"note": f"{why} {prompt.note or ''}".strip()})
        return draft_texts(prompt, self.sms_format)

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
            attachments=request.draft.attachments,
        )

    async def send(
        self, request: TextOwnerInput, phone: str, texts: list[str], delegate: str | None = None
    ) -> tuple[Texted, SentText]:
        """Every text once: the reference is the key, here and at the provider. The last one is
        still to be kept."""
        step = f"{request.step}/{delegate}" if delegate else str(request.step)
        references = [f"{request.mail.workflow_id}/{step}/{n}" for n in range(len(texts))]
        sent = await self.log.sent(references) if activity.info().attempt > 1 else {}
        rows: list[SentText] = []
        for reference, body in zip(references, texts, strict=True):
            if rows:
                await self.log.keep(rows[-1])
            taken = sent.get(reference) or await self.texter.send(phone, body, reference)
            row = _row(request, phone, body, reference, taken)
            rows.append(row.model_copy(update={"owner": delegate}) if delegate else row)
        return Texted(sms_message_id=rows[0].provider_id, texts=len(rows)), rows[-1]


def about(request: TextOwnerInput) -> str:
    """The one sentence of every notice that is not a draft."""
    mail, code = request.mail, request.draft.code if request.draft else ""
    if request.notice in _ABOUT_MAIL:
        return _ABOUT_MAIL[request.notice](mail.sender, mail.subject)
    match request.notice:
        case Notice.REMINDER:
            return sms_notices.reminder_text(mail.sender, mail.subject, code)
        case Notice.BOUNCED:
            return sms_notices.bounced_text(mail.sender, request.error or "", code)
        case Notice.SEND_UNKNOWN:
            return sms_notices.unknown_text(mail.sender, code)
        case Notice.DELEGATED:
            return sms_notices.delegated_text(mail.sender, mail.subject, request.delegate or "")
    return _failed(request)


def _failed(request: TextOwnerInput) -> str:
    if request.stage is None or request.stage == "reply":
        return sms_notices.send_failed_text(request.mail.sender)
    return sms_notices.stage_failed_text(request.stage, request.mail.sender)


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


def _delegated(request: TextOwnerInput) -> Change:
    """Entered before the delegate is asked, so that their answer finds the draft."""
    return Change(
        mail=request.mail,
        step=request.step,
        done=True,
        states=(MailState.AWAITING_USER,),
        columns=Columns(delegate=request.delegate),
        detail={"delegate": request.delegate},
    )
