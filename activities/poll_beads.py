"""Takes over the open messages of Beads, each as one letter."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from temporalio import activity

from mailroom.models.beads import BeadsMessage, BeadsPolled, messages
from mailroom.models.given_letter import GivenLetter, NoLetter
from mailroom.ports import Permanent
from mailroom.ports.letters import Beads, LetterIntake

log = structlog.get_logger()

MOST_AT_ONCE = 1_000
"""The next poll takes the others."""
# What is refused stays open there, and comes again with each poll.
MOST_TOLD = 10_000


@dataclass(frozen=True)
class PollBeads:
    beads: Beads
    letters: LetterIntake
    _told: set[str] = field(default_factory=set)

    @activity.defn
    async def poll_beads(self) -> BeadsPolled:
        found, refused = self.read(await self.beads.messages())
        known = await self.letters.known([one for letter, _ in found for one in _ids(letter)])
        new = [each for each in found if not known.issuperset(_ids(each[0]))]
        since = await self.letters.known_since()
        fates = [await self.take(*each, since) for each in new[:MOST_AT_ONCE]]
        return BeadsPolled(
            new=fates.count("new"),
            known=len(found) - len(new),
            refused=refused + fates.count("refused"),
            deferred=fates.count("deferred") + max(len(new) - MOST_AT_ONCE, 0),
        )

    def read(self, items: Sequence[object]) -> tuple[list[tuple[GivenLetter, str]], int]:
        """Letters with their sources, oldest first; and how many are none."""
        now = datetime.now(UTC)
        found, refused = [], 0
        for message in messages(items):
            try:
                found.append((_letter(message, now), _source(message)))
            except NoLetter as error:
                refused += 1
                self.tell(_source(message), str(error))
        return sorted(found, key=lambda each: each[0].sent_at), refused

    async def take(self, letter: GivenLetter, source: str, since: datetime | None) -> str:
        if since and letter.sent_at < since:
            self.tell(source, "It is older than the letters that are kept.")
            return "refused"
        try:
            await self.letters.take(letter, source)
        except Permanent as error:
            self.tell(source, str(error))
            return "refused"
        except Exception as error:  # noqa: BLE001  whatever it was, Beads keeps the message
            log.warning("a message of Beads is deferred", source=source, error=str(error))
            return "deferred"
        return "new"

    def tell(self, source: str, reason: str) -> None:
        """Once for each."""
        if source not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(source)
            log.warning("a message of Beads is no letter", source=source, reason=reason)


def _letter(message: BeadsMessage | NoLetter, now: datetime) -> GivenLetter:
    if isinstance(message, NoLetter):
        raise message
    return message.letter(now)


def _source(message: BeadsMessage | NoLetter) -> str:
    return "beads" if isinstance(message, NoLetter) else message.source


def _ids(letter: GivenLetter) -> list[str]:
    return [one for one, _ in letter.copies]
