"""Delivers the letters that wait for an address, in order."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from temporalio import activity

from activities.circuits import may_try_now
from activities.confirmations import unconfirmed
from activities.reach import Reach
from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_handling import Mailbox, Sessions
from mailroom.models.agent_mail import (
    Channel,
    Drained,
    DrainInput,
    Event,
    Letter,
    Waiting,
    event_owner,
)
from mailroom.models.breaker import Try
from mailroom.models.durations import shown
from mailroom.models.events import MailEvent
from mailroom.models.strategies import Notification
from mailroom.ports import Permanent, Transient
from mailroom.ports.letters import AgentMailboxes, LetterFlows, LetterNews, LetterStore


@dataclass(frozen=True)
class DrainMailbox:
    letters: LetterStore
    news: LetterNews
    reach: Reach
    flows: LetterFlows
    mailboxes: AgentMailboxes
    agents: AgentsSection

    @activity.defn
    async def drain_mailbox(self, request: DrainInput) -> Drained:
        mailbox = await self.mailboxes.of(request.address)
        circuit = await self.letters.circuit(mailbox.address)
        if not await self.letters.enabled():
            return Drained()
        verdict = await may_try_now(self.letters, mailbox, circuit)
        if verdict is Try.NO:
            return Drained()
        # A half open circuit lets one letter through; if it arrives, the others follow.
        together = 1 if verdict is Try.PROBE else mailbox.batch.size
        return await _Drain(self, mailbox, together).done()


@dataclass
class _Drain:
    by: DrainMailbox
    mailbox: Mailbox
    together: int
    id: str = field(default_factory=lambda: uuid4().hex)
    processed: int = 0
    tried: list[str] = field(default_factory=list)

    async def done(self) -> Drained:
        address = self.mailbox.address
        if await self.by.letters.online(address):
            await self.tell(Event.PROCESSING_STARTED)
            async with self.by.news.subscribe(event_owner(address)) as news:
                while batch := await self.next_batch():
                    if not await self.to_sessions(batch, news):
                        break
            await self.tell(Event.PROCESSING_COMPLETED)
        while batch := await self.next_batch(unannounced=True):
            if not await self.elsewhere(batch):
                break
        return Drained(processed=self.processed, left=await self.by.letters.depth(address))

    async def next_batch(self, *, unannounced: bool = False) -> list[Waiting]:
        return await self.by.letters.waiting(
            self.mailbox.address,
            self.size if unannounced else self.together,
            by_priority=self.by.agents.enable_priority_processing,
            besides=self.tried,
            unannounced=unannounced,
        )

    @property
    def size(self) -> int:
        """A command takes one letter: of several, those before one that fails are taken already."""
        by_command = self.mailbox.command and not self.mailbox.webhook
        return 1 if by_command else self.together

    async def to_sessions(self, batch: Sequence[Waiting], news: asyncio.Queue[MailEvent]) -> bool:
        """Whether all were confirmed; nothing overtakes one that was not."""
        ids = [each.id for each in batch]
        everybody = self.mailbox.sessions is Sessions.ALL
        events = await self.by.letters.push(self.mailbox.address, ids, all_sessions=everybody)
        self.tried += ids
        if not events:
            # They ended meanwhile, or the session did.
            return await self.by.letters.online(self.mailbox.address)
        silent = await unconfirmed(news, set(ids), self.mailbox.delivery_timeout)
        if silent:
            # What was said may have been missed.
            silent = set(await self.by.letters.unconfirmed(events))
        self.processed += len(ids) - len(silent)
        await self.reached(ok=not silent)
        for letter in (each for each in ids if each in silent):
            error = f"The session did not confirm within {shown(self.mailbox.delivery_timeout)}."
            await self.by.flows.tell_letter(letter, "unanswered_by", error)
        return not silent

    async def elsewhere(self, batch: Sequence[Waiting]) -> bool:
        """By webhook or command; else one notification in the terminal. Whether others may
        follow."""
        letters = [_letter(each, self.mailbox.address) for each in batch]
        ids = [each.id for each in letters]
        self.tried += ids
        try:
            channel = await self.by.reach.hand_over(self.mailbox, letters)
            if channel is None:
                await self.notify(letters)
                return True
        except (Transient, Permanent) as error:
            if isinstance(error, Permanent) and len(batch) > 1:
                # One of them may be what is refused; the others are not to end with it.
                return all([await self.elsewhere([each]) for each in batch])
            await self.reached(ok=False)
            for letter in ids:
                await self.by.flows.tell_letter(letter, "unanswered_by", str(error))
            return False
        await self.by.letters.arrived(self.mailbox.address, ids, channel)
        await self.reached(ok=True)
        for letter in ids:
            await self.by.flows.tell_letter(letter, "delivered", channel.value)
        await self.by.letters.told(ids)
        self.processed += len(ids)
        return True

    async def notify(self, letters: Sequence[Letter]) -> None:
        """In the terminal; an arm of an experiment may want none."""
        address, agents = self.mailbox.address, self.by.agents
        wanted = [each for each in letters if agents.notification_of(each) is Notification.ONCE]
        quiet = [each.id for each in letters if each not in wanted]
        if quiet:
            await self.by.letters.notified(address, quiet, None)
        terminal = await self.by.reach.terminal(self.mailbox) if wanted else None
        if terminal:
            await self.by.reach.notify(terminal, wanted)
            await self.by.letters.notified(address, [each.id for each in wanted], Channel.TMUX)
            await self.reached(ok=True)

    async def tell(self, event: Event) -> None:
        detail: dict[str, object] = {"processed": self.processed}
        await self.by.letters.tell(self.mailbox.address, self.id, event, detail)

    async def reached(self, *, ok: bool) -> None:
        if ok:
            self.together = self.mailbox.batch.size
        terms = self.mailbox.breaker
        await self.by.letters.reached(self.mailbox.address, ok=ok, terms=terms)


def _letter(waiting: Waiting, to: str) -> Letter:
    values = waiting.model_dump(exclude={"notified"})
    return Letter.model_validate({**values, "to": to})
