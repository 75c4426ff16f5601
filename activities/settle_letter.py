"""Writes what has become of a letter, or that it is held back."""

from dataclasses import dataclass

from temporalio import activity

from mailroom.models.agent_mail import Event, Letter, LetterState, Move, Placing, SettleInput
from mailroom.ports.letters import LetterStore


@dataclass(frozen=True)
class SettleLetter:
    letters: LetterStore

    @activity.defn
    async def hold_letter(self, letter: Letter) -> None:
        """It is listed, and nobody is told of it before its time."""
        await self.letters.place(Placing(letter=letter, step=0, push=False))
        held = Move(
            id=letter.id,
            step=0,
            state=LetterState.QUEUED,
            event=Event.QUEUED,
            reason=f"It is held back until {letter.not_before:%Y-%m-%d %H:%M:%S} UTC.",
            retry_at=letter.not_before,
        )
        await self.letters.move(held, letter.to)

    @activity.defn
    async def settle_letter(self, request: SettleInput) -> LetterState:
        """The letter's state afterwards: one that has arrived meanwhile stays so."""
        return await self.letters.move(request.move, request.to)
