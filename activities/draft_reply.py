"""Makes the draft of a reply, or makes it anew as its owner asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.attached import with_attachments
from activities.unanswered import unanswered_text
from activities.under_way import UnderWay
from activities.words import said
from mailroom.models.email_reply import Draft, DraftReplyInput, MailRef
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.owner import Owner
from mailroom.models.reply import NoRecipient, UnsafeHeader, answer_addresses
from mailroom.models.rows import Change, Columns, NewDraft
from mailroom.models.sms_segments import short
from mailroom.models.states import MailState
from mailroom.models.templates import Drafted, DraftRequest
from mailroom.ports import Blobs, Drafter, EmailStore, History, Permanent, Transient

PREVIEW = 2_000
EARLIER = 20
REASON = 100


@dataclass(frozen=True)
class DraftReply:
    """`history` is for a drafter that makes use of it; `fallback` drafts where `drafter` has failed
    for good: at the last of its `attempts`, unless the server says how many there are."""

    blobs: Blobs
    store: EmailStore
    drafter: Drafter
    owners: Mapping[str, Owner]
    history: History | None = field(default=None, kw_only=True)
    fallback: Drafter | None = field(default=None, kw_only=True)
    attempts: int = field(default=3, kw_only=True)

    @activity.defn
    async def draft_reply(self, request: DraftReplyInput) -> Draft:
        raw = await self.blobs.get(request.mail.blob)
        mail = read_mail(raw)
        body = await unanswered_text(self.blobs, request.earlier, mail)
        async with UnderWay(self.store, _begun(request, body)) as step:
            drafted = await self.drafted(await self.as_asked(request, mail, body))
            changes = await step.ended(_done(request, drafted))
            draft = await self.store.enter_draft(await self.saved(request, drafted), *changes)
        return await with_attachments(draft, mail, raw)

    async def drafted(self, asked: DraftRequest) -> Drafted:
        try:
            return await self.drafter.draft(asked)
        except (Permanent, Transient) as error:
            if self.fallback is None or not self.is_final(error):
                raise _with_pause(error) from None
            instead = await self.fallback.draft(asked)
            return instead.model_copy(update={"note": _no_ai(instead, error)})

    def is_final(self, error: Permanent | Transient) -> bool:
        info = activity.info()
        allowed = info.retry_policy.maximum_attempts if info.retry_policy else 0
        return isinstance(error, Permanent) or info.attempt >= (allowed or self.attempts)

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
        owner = self.owners[request.mail.owner]
        asked = DraftRequest(
            message_id=mail.message_id,
            sender_name=mail.sender.name if mail.sender else "",
            sender_address=mail.sender.address if mail.sender else "",
            subject=mail.subject,
            body=body,
            owner_name=owner.name,
            previous_draft=previous.decode() if previous is not None else None,
            edit_instructions=request.instructions,
            language=owner.language or None,
            templates=owner.templates,
        )
        return await self.with_history(asked, request.mail, mail) if self.history else asked

    async def with_history(
        self, asked: DraftRequest, ref: MailRef, mail: IncomingMail
    ) -> DraftRequest:
        assert self.history is not None
        thread = await self.history.thread(ref, _earlier_ids(mail))
        examples = await self.history.recent_edits(ref.owner, _correspondent(mail))
        known = {"thread": tuple(thread), "examples": tuple(examples)}
        return asked.model_copy(update=known)


def _earlier_ids(mail: IncomingMail) -> list[str]:
    parent = [mail.in_reply_to] if mail.in_reply_to else []
    return list(dict.fromkeys((*mail.references[-EARLIER:], *parent)))


def _correspondent(mail: IncomingMail) -> str | None:
    """The sender's address; None where the answer goes elsewhere, so that nobody gets to see what
    was written to somebody in whose name they write."""
    try:
        answered = answer_addresses(mail.sender, mail.reply_to)
        same = answered == answer_addresses(mail.sender, [])
    except (UnsafeHeader, NoRecipient):
        return None
    return mail.sender.address if mail.sender and same else None


def _with_pause(error: Permanent | Transient) -> Exception:
    """The error; with the pause that the service asked for, if it did."""
    if isinstance(error, Permanent) or error.retry_after is None:
        return error
    return ApplicationError(
        str(error), type=type(error).__name__, next_retry_delay=error.retry_after
    )


def _no_ai(instead: Drafted, error: Exception) -> str:
    reason = f"no AI: {short(str(error).rstrip('.'), REASON)}"
    return f"{instead.note}; {reason}" if instead.note else reason


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
        detail={"source": drafted.source, **_counted(drafted)},
    )


def _counted(drafted: Drafted) -> dict[str, str | int | None]:
    """What the provider charges for; nothing where it didn't say."""
    known = drafted.model_dump(include={"model", "input_tokens", "output_tokens"})
    return {name: value for name, value in known.items() if value is not None}
