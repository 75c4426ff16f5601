"""Nudges who has not acknowledged an urgent letter."""

from dataclasses import dataclass

from temporalio import activity

from activities.reach import Reach
from mailroom.models.agent_mail import Channel, EscalateInput, Event, LetterState
from mailroom.ports.letters import AgentMailboxes, LetterStore

OVER = (LetterState.ACKNOWLEDGED, LetterState.EXPIRED, LetterState.DISCARDED)


@dataclass(frozen=True)
class NudgeAgain:
    letters: LetterStore
    reach: Reach
    mailboxes: AgentMailboxes

    @activity.defn
    async def nudge_again(self, request: EscalateInput) -> None:
        """In the terminal, if one is alive; else only the timeline says so. Nobody is nudged for
        what is dealt with, also where its workflow has not heard of it yet."""
        letter = request.letter
        if await self.letters.state(letter.id) in OVER:
            return
        mailbox = await self.mailboxes.of(letter.to)
        terminal = await self.reach.terminal(mailbox)
        if terminal:
            await self.reach.interrupt(terminal, letter)
        how = Channel.TMUX.value if terminal else None
        detail: dict[str, object] = {"escalation": request.escalation, "channel": how}
        await self.letters.tell(letter.to, letter.id, Event.ESCALATED, detail)
