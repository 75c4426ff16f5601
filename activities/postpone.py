"""Settles when an approved reply goes out, or when the owner is asked again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from activities.words import heard_detail, said
from mailroom.models.email_reply import PostponeInput
from mailroom.models.owner import Owner
from mailroom.models.postponement import postponed_until
from mailroom.models.rows import Change
from mailroom.models.words import Snooze
from mailroom.ports import EmailStore


@dataclass(frozen=True)
class Postpone:
    store: EmailStore
    owners: Mapping[str, Owner]

    @activity.defn
    async def postpone(self, request: PostponeInput) -> datetime:
        """Time zones are files: they are asked here and not in the workflow."""
        zone = self.owners[request.mail.owner].timezone
        until = postponed_until(request.word, zone, request.send_after)
        snoozed = isinstance(request.word.command, Snooze)
        known = {"snoozed_until": until} if snoozed else {"send_at": until}
        await self.store.enter(
            Change(
                mail=request.mail,
                step=request.step,
                done=True,
                states=(request.state,),
                columns=said(request.word).model_copy(update=known),
                detail={"until": until.isoformat(), **heard_detail(request.word)},
            )
        )
        return until
