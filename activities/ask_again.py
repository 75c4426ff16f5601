"""Gives a draft that was sent, or may have been, a new code: only a new answer decides."""

from dataclasses import dataclass

from temporalio import activity

from mailroom.models.email_reply import AskAgainInput, Draft
from mailroom.models.rows import Change, Columns, NewDraft
from mailroom.models.states import MailState, Stage
from mailroom.ports import Blobs, EmailStore


@dataclass(frozen=True)
class AskAgain:
    blobs: Blobs
    store: EmailStore

    @activity.defn
    async def ask_again(self, request: AskAgainInput) -> Draft:
        text = (await self.blobs.get(request.draft.blob)).decode()
        draft = await self.store.enter_draft(
            NewDraft(
                revision=request.draft.revision + 1,
                blob=request.draft.blob,
                text=text,
                note=request.draft.note,
            ),
            Change(
                mail=request.mail,
                step=request.step,
                done=True,
                states=(MailState.FAILED,),
                columns=Columns(reason=request.reason, failed_stage=Stage.REPLY),
            ),
        )
        return draft.model_copy(update={"attachments": request.draft.attachments})
