"""Writes what has become of a letter."""

from dataclasses import dataclass

from temporalio import activity

from mailroom.models.agent_mail import LetterState, SettleInput
from mailroom.ports import LetterStore


@dataclass(frozen=True)
class SettleLetter:
    letters: LetterStore

    @activity.defn
    async def settle_letter(self, request: SettleInput) -> LetterState:
        """The letter's state afterwards: one that has arrived meanwhile stays so."""
        return await self.letters.move(request.move, request.to)
