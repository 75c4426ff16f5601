"""Tells a person, and where a letter came from, of one that needs them."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from temporalio import activity

from activities.say import Say
from mailroom.models.agent_mail import Letter, Priority, TellOverseerInput
from mailroom.models.beads import DEAD, beads_id
from mailroom.models.email_reply import SayInput
from mailroom.models.owner import Owner
from mailroom.models.text import one_line
from mailroom.ports import Permanent, Transient
from mailroom.ports.letters import Beads

log = structlog.get_logger()


@dataclass(frozen=True)
class TellOverseer:
    say: Say
    owners: Mapping[str, Owner]
    overseer: str | None
    beads: Beads | None = None

    @activity.defn
    async def tell_overseer(self, request: TellOverseerInput) -> None:
        """Texts of urgent letters, once for each letter and reason; an overseer without a phone
        sees all of them on the page. A dead letter of Beads is labelled there."""
        if request.dead:
            await self.label(request.letter)
        owner = self.owner()
        if owner is None or request.letter.priority is not Priority.URGENT:
            return
        letter = request.letter
        about = one_line(f"{letter.sender} to {letter.to}: {letter.subject}")[:120]
        reference = f"agent-mail/{letter.id}/{activity.info().activity_id}"
        sentence = f"{request.reason} {about}"
        await self.say.say(SayInput(owner=owner, text=sentence, reference=reference))

    async def label(self, letter: Letter) -> None:
        """Best effort: the letter is dead all the same. A label that is there stays one label."""
        of_beads = beads_id(letter.source)
        if self.beads is None or of_beads is None:
            return
        try:
            await self.beads.label(of_beads, DEAD)
        except (Permanent, Transient) as error:
            log.warning("a dead letter was not labelled", beads=of_beads, reason=str(error))

    def owner(self) -> str | None:
        if self.overseer:
            return self.overseer
        return next((each.id for each in self.owners.values() if each.phone), None)
