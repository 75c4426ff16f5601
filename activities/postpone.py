"""Settles when an approved reply goes out, or when the owner is asked again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import activity

from activities.words import said
from mailroom.models.email_reply import PostponeInput
from mailroom.models.owner import Owner
from mailroom.models.rows import Change
from mailroom.models.when import next_at
from mailroom.models.words import Approve, Snooze
from mailroom.ports import EmailStore


@dataclass(frozen=True)
class Postpone:
    store: EmailStore
    owners: Mapping[str, Owner]

    @activity.defn
    async def postpone(self, request: PostponeInput) -> datetime:
        """Time zones are files: they are asked here and not in the workflow."""
        until = self.until(request)
        snoozed = isinstance(request.word.command, Snooze)
        known = {"snoozed_until": until} if snoozed else {"send_at": until}
        await self.store.enter(
            Change(
                mail=request.mail,
                step=request.step,
                done=True,
                states=(request.state,),
                columns=said(request.word).model_copy(update=known),
                detail={"until": until.isoformat(), "via": request.word.via},
            )
        )
        return until

    def until(self, request: PostponeInput) -> datetime:
        word, owner = request.word, self.owners[request.mail.owner]
        match word.command:
            case Snooze(length=length):
                return word.at + length
            case Approve(at=at) if at is not None:
                return next_at(at, owner.timezone, word.at)
            case Approve(after=after) if after is not None:
                return word.at + after
            case _:
                return word.at + (request.send_after or timedelta(0))
