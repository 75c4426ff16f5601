"""Letters that were not sent over HTTP: out of the spool, and from Beads (port `LetterIntake`)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from mailroom.adapters.postgres.letter_retention import PostgresLetterRetention
from mailroom.bridge.post_office import PostOffice, Unsendable
from mailroom.models.agent_rules import Routed
from mailroom.models.given_letter import GivenLetter
from mailroom.ports import Permanent


@dataclass(frozen=True)
class GivenLetters:
    office: PostOffice
    retention: PostgresLetterRetention | None = None

    async def known(self, letters: Collection[str]) -> set[str]:
        return {one.id for one in await self.office.letters.outcomes(list(letters))}

    async def known_since(self) -> datetime | None:
        return await self.retention.rows_since() if self.retention else None

    async def take(self, letter: GivenLetter, source: str) -> None:
        """Raises `Permanent`, and what `PostOffice.send` does."""
        await self.office.known.remember(to for _, to in letter.copies)
        await self.accept(letter, source)

    async def accept(self, letter: GivenLetter, source: str | None = None) -> None:
        """Only to who is known: all of its recipients get it, or none."""
        try:
            routed = [
                one
                for letter_id, to in letter.copies
                for one in await self._routed(letter, letter_id, to)
            ]
        except Unsendable as error:
            raise Permanent(str(error)) from error
        await self.office.send(routed, source=source)

    async def _routed(self, letter: GivenLetter, letter_id: str, to: str) -> list[Routed]:
        new = letter.new.model_copy(update={"to": to})
        return await self.office.routed(
            new, letter.sender, letter_id, letter.sent_at, letter.thread_of_all
        )
