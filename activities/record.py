"""Writes a state down that no other activity is in: ignored, timed out, failed."""

from dataclasses import dataclass

from temporalio import activity

from activities.words import said
from mailroom.models.email_reply import RecordInput
from mailroom.models.rows import Change, Columns
from mailroom.ports import EmailStore


@dataclass(frozen=True)
class Record:
    store: EmailStore

    @activity.defn
    async def record(self, request: RecordInput) -> None:
        known = Columns(
            reason=request.reason,
            failed_stage=request.failed_stage,
            error_message=request.error,
            retry_count=request.retries,
        )
        spoken = said(request.word).model_dump(exclude_unset=True) if request.word else {}
        await self.store.enter(
            Change(
                mail=request.mail,
                step=request.step,
                done=True,
                states=(request.state,),
                columns=known.model_copy(update=spoken),
                detail={
                    "reason": request.reason,
                    "stage": request.failed_stage,
                    "error": request.error,
                    "via": request.word.via if request.word else None,
                },
                closed=request.closed,
            )
        )
