"""Nudges who has not acknowledged an urgent letter."""

from dataclasses import dataclass

from temporalio import activity

from activities.reach import Reach
from mailroom.models.agent_mail import Channel, EscalateInput, Event
from mailroom.ports import AgentMailboxes, LetterStore


@dataclass(frozen=True)
class NudgeAgain:
    letters: LetterStore
    reach: Reach
    mailboxes: AgentMailboxes

    @activity.defn
    async def nudge_again(self, request: EscalateInput) -> None:
        """In the terminal, if one is alive; else only the timeline says so."""
        letter = request.letter
        mailbox = await self.mailboxes.of(letter.to)
        terminal = await self.reach.terminal(mailbox)
        if terminal:
            await self.reach.interrupt(terminal, letter)
        how = Channel.TMUX.value if terminal else None
        detail: dict[str, object] = {"escalation": request.escalation, "channel": how}
        await self.letters.tell(letter.to, letter.id, Event.ESCALATED, detail)
