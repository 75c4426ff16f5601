"""Makes the draft of a reply, or makes it anew as its owner asked."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity

from activities.under_way import UnderWay
from activities.words import said
from mailroom.models.email_reply import Draft, DraftReplyInput
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.owner import Owner
from mailroom.models.rows import Change, Columns, NewDraft
from mailroom.models.states import MailState
from mailroom.models.templates import Drafted, DraftRequest
from mailroom.ports import Blobs, Drafter, EmailStore

PREVIEW = 2_000


@dataclass(frozen=True)
class DraftReply:
    blobs: Blobs
    store: EmailStore
    drafter: Drafter
    owners: Mapping[str, Owner]

    @activity.defn
    async def draft_reply(self, request: DraftReplyInput) -> Draft:
        mail = read_mail(await self.blobs.get(request.mail.blob))
        body = mail.newest
        async with UnderWay(self.store, _begun(request, body)) as step:
            drafted = await self.drafter.draft(await self.as_asked(request, mail, body))
            changes = await step.ended(_done(request, drafted))
            return await self.store.enter_draft(await self.saved(request, drafted), *changes)

    async def saved(self, request: DraftReplyInput, drafted: Drafted) -> NewDraft:
        return NewDraft(
            revision=request.revision,
            blob=await self.blobs.put(drafted.text.encode()),
            text=drafted.text,
            note=_note(drafted),
            instructions=request.instructions,
        )

    async def as_asked(
        self, request: DraftReplyInput, mail: IncomingMail, body: str
    ) -> DraftRequest:
        previous = await self.blobs.get(request.previous) if request.previous else None
        return DraftRequest(
            sender_name=mail.sender.name if mail.sender else "",
            sender_address=mail.sender.address if mail.sender else "",
            subject=mail.subject,
            body=body,
            owner_name=self.owners[request.mail.owner].name,
            previous_draft=previous.decode() if previous is not None else None,
            edit_instructions=request.instructions,
        )


def _note(drafted: Drafted) -> str | None:
    return drafted.note or drafted.source


def _begun(request: DraftReplyInput, body: str) -> Change:
    edited = (MailState.USER_EDIT_REQUESTED,) if request.word else ()
    spoken = said(request.word, request.revision - 1) if request.word else Columns()
    return Change(
        mail=request.mail,
        step=request.step,
        done=False,
        states=(*edited, MailState.AI_GENERATING),
        columns=spoken.model_copy(update={"email_body_preview": body[:PREVIEW]}),
        detail={"instructions": request.instructions, "via": request.word.via}
        if request.word
        else {},
    )


def _done(request: DraftReplyInput, drafted: Drafted) -> Change:
    return Change(
        mail=request.mail,
        step=request.step,
        done=True,
        states=(MailState.AI_GENERATED,),
        columns=Columns(
            ai_reply_text=drafted.text,
            ai_reply_generated_at=activity.info().current_attempt_scheduled_time,
        ),
        detail={"source": drafted.source},
    )
