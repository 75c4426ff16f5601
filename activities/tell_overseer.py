"""Texts the overseer's owner about a letter that needs a person."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity

from activities.say import Say
from mailroom.models.agent_mail import TellOverseerInput
from mailroom.models.email_reply import SayInput
from mailroom.models.owner import Owner
from mailroom.models.text import one_line


@dataclass(frozen=True)
class TellOverseer:
    say: Say
    owners: Mapping[str, Owner]
    overseer: str | None

    @activity.defn
    async def tell_overseer(self, request: TellOverseerInput) -> None:
        """Once for each letter and reason; an overseer without a phone sees it on the page."""
        owner = self.owner()
        if owner is None:
            return
        letter = request.letter
        about = one_line(f"{letter.sender} to {letter.to}: {letter.subject}")[:120]
        reference = f"agent-mail/{letter.id}/{activity.info().activity_id}"
        sentence = f"{request.reason} {about}"
        await self.say.say(SayInput(owner=owner, text=sentence, reference=reference))

    def owner(self) -> str | None:
        if self.overseer:
            return self.overseer
        return next((each.id for each in self.owners.values() if each.phone), None)
