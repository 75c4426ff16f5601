"""Takes letters: who gets them, by which rules, each a workflow of its own."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailroom.adapters.postgres.agents import PostgresAgents
from mailroom.adapters.postgres.letters import PostgresLetters
from mailroom.adapters.postgres.wishes import PostgresMailboxes
from mailroom.bridge.letter_flows import LetterFlows
from mailroom.models.agent_addresses import (
    address_of,
    is_announcement,
    is_group,
    recipient_of,
)
from mailroom.models.agent_config import AgentsSection, terms_of
from mailroom.models.agent_handling import Overflow
from mailroom.models.agent_mail import INLINE_BYTES, AgentMailInput, Letter
from mailroom.models.agent_recipients import recipients_of
from mailroom.models.agent_rules import Routed
from mailroom.models.new_letter import NewLetter
from mailroom.ports import Blobs

AT_ONCE = 16
MOST_RECIPIENTS = 1_000
"""Of one letter: each is a workflow, and who sends it waits for all to be started."""


class Unsendable(Exception):
    """A letter can't be sent as it is; the message says what to correct, `nearest` which
    addresses may have been meant."""

    def __init__(self, sentence: str, nearest: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.nearest = tuple(nearest)


class TooLong(Unsendable):
    pass


class QueueFull(Exception):
    """The recipient's queue takes no more for now."""


@dataclass(frozen=True)
class PostOffice:
    flows: LetterFlows
    letters: PostgresLetters
    known: PostgresAgents
    blobs: Blobs
    agents: AgentsSection
    mailboxes: PostgresMailboxes
    _seen: set[str] = field(default_factory=set)

    async def routed(
        self,
        new: NewLetter,
        sender: str,
        letter_id: str,
        now: datetime,
        thread: str | None = None,
    ) -> list[Routed]:
        """A letter for each recipient, as the rules want it. Raises `Unsendable`."""
        self.check(new)
        recipients = await self.recipients(new.to, sender)
        thread = thread or await self.thread(new, letter_id)
        several = len(recipients) > 1
        return [
            self.agents.routed(
                new.letter(id_for(letter_id, to) if several else letter_id, sender, to, thread, now)
            )
            for to in recipients
        ]

    async def send(self, routed: Sequence[Routed], *, source: str | None = None) -> list[Letter]:
        """Starts their workflows; durable when it returns. The same letters again are sent once.
        Raises `QueueFull` and what `LetterFlows.start` does."""
        letters = [letter for each in routed for letter in each.letters]
        for letter in letters:
            await self.check_room(letter)
        await self.remember(letters)
        limit = asyncio.Semaphore(AT_ONCE)
        begun = await self.begun(letters)

        async def start(letter: Letter) -> None:
            async with limit:
                await self.start(letter.model_copy(update={"source": source}))

        await asyncio.gather(*(start(each) for each in letters if each.id not in begun))
        return letters

    async def begun(self, letters: Sequence[Letter]) -> set[str]:
        """Those of many that were started before: sent again after a time-out, it goes on there."""
        if len(letters) <= AT_ONCE:
            return set()
        return {one.id for one in await self.letters.outcomes([each.id for each in letters])}

    async def start(self, letter: Letter) -> bool:
        body = (letter.body or "").encode()
        if len(body) > INLINE_BYTES:
            blob = await self.blobs.put(body)
            letter = letter.model_copy(update={"body": None, "blob": blob})
        terms = terms_of(await self.mailboxes.of(letter.to), letter.priority)
        return await self.flows.start(AgentMailInput(letter=letter, terms=terms))

    async def recipients(self, to: str, sender: str) -> list[str]:
        """Those of a group, those under an announcement, or the one."""
        try:
            wanted = recipient_of(to)
            if not (is_group(wanted) or is_announcement(wanted)) and await self.is_known(wanted):
                return [wanted]
            known = {*self.agents.known, *await self.known.all()}
            found = list(recipients_of(wanted, self.agents.groups, known, sender))
        except ValueError as error:
            raise Unsendable(_sentence(error), getattr(error, "nearest", ())) from error
        if len(found) > MOST_RECIPIENTS:
            raise Unsendable(
                f"{wanted} is {len(found):,} agents; a letter goes to {MOST_RECIPIENTS:,} at most. "
                "Write to groups of them."
            )
        return found

    async def is_known(self, address: str) -> bool:
        if address in self.agents.known or address in self._seen:
            return True
        if await self.known.knows(address):
            self._seen.add(address)
            return True
        return False

    async def remember(self, letters: Sequence[Letter]) -> None:
        """Who writes can be written to; so can those whom a rule names."""
        new = {each for letter in letters for each in (letter.sender, letter.to)} - self._seen
        if new:
            await self.known.remember(new)
            self._seen.update(new)

    async def thread(self, new: NewLetter, letter_id: str) -> str:
        if not new.reply_to:
            return letter_id
        thread = await self.letters.thread_of(new.reply_to)
        if thread is None:
            raise Unsendable(f"There is no letter {new.reply_to} to reply to.")
        return thread

    async def check_room(self, letter: Letter) -> None:
        queue = (await self.mailboxes.of(letter.to)).offline_queue
        if queue.overflow is not Overflow.REJECT:
            return
        if await self.letters.depth(letter.to) >= queue.max_queue_size:
            raise QueueFull(
                f"{queue.max_queue_size} letters wait for {letter.to} already; it takes no more "
                "until somebody reads them."
            )

    def check(self, new: NewLetter) -> None:
        """What is wrong with it whoever is known. Raises `Unsendable`."""
        try:
            recipient_of(new.to)
        except ValueError as error:
            raise Unsendable(_sentence(error)) from error
        most = self.agents.max_body_bytes
        if len(new.body.encode()) > most:
            raise TooLong(f"A letter's body may have {most:,} bytes at most.")


def id_for(letter_id: str, to: str) -> str:
    """Of one of several letters, the same whenever it is asked."""
    return hashlib.sha256(f"{letter_id}\0{to}".encode()).hexdigest()[:32]


def sender_of(text: str) -> str:
    try:
        return address_of(text)
    except ValueError as error:
        raise Unsendable(_sentence(error)) from error


def _sentence(error: ValueError) -> str:
    said = str(error)
    return said if said.endswith((".", "?")) else f"{said}."
