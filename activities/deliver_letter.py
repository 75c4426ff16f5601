"""Tries to deliver one letter: to a session, a terminal, a webhook; else it waits in the inbox."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity

from activities.confirmations import confirmed
from activities.errands import Errands
from activities.reach import Reach
from mailroom.models.agent_handling import Mailbox, Overflow, Sessions
from mailroom.models.agent_mail import (
    ARRIVED,
    ENDED,
    Attempt,
    Channel,
    DeliverInput,
    Delivery,
    Event,
    Letter,
    LetterState,
    Move,
    Placed,
    Placing,
    Result,
    event_owner,
    retry_pause,
)
from mailroom.models.durations import shown
from mailroom.models.events import MailEvent
from mailroom.ports import Permanent, Transient
from mailroom.ports.letters import AgentMailboxes, LetterFlows, LetterNews, LetterStore

Hooks = Callable[[Letter], Coroutine[Any, Any, None]]
# Most sessions confirm in some 10 ms. Longer, and a workflow would keep its task from others.
AT_ONCE = timedelta(milliseconds=500)
NO_TIME = timedelta(0)


class Unconfirmed(Transient):
    """It was pushed, and its session said nothing."""


@dataclass(frozen=True)
class DeliverLetter:
    letters: LetterStore
    news: LetterNews
    reach: Reach
    flows: LetterFlows
    mailboxes: AgentMailboxes
    hooks: Hooks
    errands: Errands
    by_priority: bool = True

    @activity.defn
    async def deliver_at_once(self, request: DeliverInput) -> Attempt:
        """For a local activity: what a session confirms while the workflow holds its task, or
        what has to wait. `PENDING`: pushed, and `deliver_letter` goes on from there."""
        one = _One(self, request, await self.mailboxes.of(request.letter.to))
        self.received(request)
        try:
            return await one.tried(min(AT_ONCE, request.terms.confirm_within))
        except Permanent as error:
            return await one.buried(str(error))
        except Unconfirmed:
            return Attempt(result=Result.PENDING, state=LetterState.DELIVERING)

    @activity.defn
    async def deliver_letter(self, request: DeliverInput) -> Attempt:
        """Raises `Transient` where somebody is there and did not take it: it is tried again."""
        letter = request.letter
        one = _One(self, request, await self.mailboxes.of(letter.to))
        if request.expired:
            return await one.expired()
        self.received(request)
        try:
            return await one.tried_or_awaited()
        except Permanent as error:
            return await one.buried(str(error))
        except Transient as error:
            if activity.info().attempt > request.terms.confirm_retries:
                return await one.unanswered(str(error))
            detail: dict[str, object] = {"error": str(error)}
            await self.letters.tell(letter.to, letter.id, Event.ROUTING_ERROR, detail)
            raise

    def received(self, request: DeliverInput) -> None:
        """Hooks run once for a letter, however often it is tried, and nobody waits for them."""
        if activity.info().attempt == 1 and request.attempts == 0 and not request.pushed:
            self.errands.start(self.hooks(request.letter))


@dataclass(frozen=True)
class _One:
    """One letter on its way."""

    by: DeliverLetter
    request: DeliverInput
    mailbox: Mailbox

    async def tried_or_awaited(self) -> Attempt:
        within = self.request.terms.confirm_within
        if not self.request.pushed or activity.info().attempt > 1:
            return await self.tried(within)
        letter = self.request.letter
        async with self.by.news.subscribe(event_owner(letter.to)) as news:
            state = await self.by.letters.state(letter.id)
            if state in ENDED:
                return _over(state)
            return await self.confirmed_by_session(news, max(within - AT_ONCE, NO_TIME))

    async def tried(self, within: timedelta) -> Attempt:
        letter = self.request.letter
        interrupts = letter.delivery is Delivery.INTERRUPT
        terminal = await self.by.reach.terminal(self.mailbox) if interrupts else None
        async with self.by.news.subscribe(event_owner(letter.to)) as news:
            placed = await self.placed(terminal)
            if placed.state in ENDED:
                return _over(placed.state)
            if why := self.why_not_now(placed):
                return await self.queued(why)
            if terminal:
                return await self.interrupted(terminal, placed)
            if placed.events:
                return await self.confirmed_by_session(news, within)
        if interrupts and (channel := await self.by.reach.hand_over(self.mailbox, [letter])):
            return await self.arrived(channel)
        return await self.queued(None)

    async def placed(self, terminal: str | None) -> Placed:
        return await self.by.letters.place(
            Placing(
                letter=self.request.letter,
                step=self.request.step,
                attempt=activity.info().attempt - 1,
                push=terminal is None,
                trying=terminal is not None,
                all_sessions=self.mailbox.sessions is Sessions.ALL,
                by_priority=self.by.by_priority,
                circuit_opens=self.mailbox.breaker.failures,
            )
        )

    async def expired(self) -> Attempt:
        """It was held back for too long, or nobody was there to try it."""
        letter, step = self.request.letter, self.request.step
        await self.by.letters.place(Placing(letter=letter, step=step, push=False))
        reason = "Its time was over before it could be delivered."
        return _over(await self.move(LetterState.EXPIRED, Event.EXPIRED, reason=reason))

    def why_not_now(self, placed: Placed) -> str | None:
        """With an open circuit the drain decides when it is tried, in order."""
        if placed.paused:
            return "Processing is switched off."
        if placed.failures >= self.mailbox.breaker.failures:
            return "The recipient failed again and again; it is left alone for a while."
        return None

    async def interrupted(self, terminal: str, placed: Placed) -> Attempt:
        """A letter that was read meanwhile interrupts nobody, and none does so twice."""
        if not placed.read and not await self.was_typed(terminal):
            await self.by.reach.interrupt(terminal, self.request.letter)
        return await self.arrived(Channel.TMUX)

    async def was_typed(self, terminal: str) -> bool:
        """By a worker that died before it could say so."""
        letter = self.request.letter
        if activity.info().attempt == 1 or not await self.by.letters.broke_off(letter):
            return False
        return await self.by.reach.has_interrupted(terminal, letter)

    async def confirmed_by_session(
        self, news: asyncio.Queue[MailEvent], within: timedelta
    ) -> Attempt:
        letter = self.request.letter
        if await confirmed(news, letter.id, within):
            return _over(LetterState.DELIVERED)
        state = await self.by.letters.state(letter.id)
        if state in ARRIVED:
            return _over(state)
        raise Unconfirmed(
            f"The session did not confirm within {shown(self.request.terms.confirm_within)}."
        )

    async def arrived(self, channel: Channel) -> Attempt:
        state = await self.move(LetterState.DELIVERED, Event.ROUTED, channel=channel)
        await self.reached(ok=True)
        return Attempt(result=Result.ARRIVED, state=state, channel=channel)

    async def queued(self, why: str | None) -> Attempt:
        """It waits in the inbox, if there is room."""
        queue, letter = self.mailbox.offline_queue, self.request.letter
        if not queue.enabled:
            return await self.buried("Nobody is online, and letters don't wait for this address.")
        depth = await self.by.letters.depth(letter.to)
        if depth > queue.max_queue_size:
            if queue.overflow is not Overflow.DROP_OLDEST:
                return await self.buried(f"{depth - 1} letters wait already; the queue is full.")
            await self.drop_oldest(queue.max_queue_size)
        state = await self.move(LetterState.QUEUED, Event.QUEUED, reason=why, waits=True)
        if state in ENDED:
            return _over(state)
        if await self.worth_a_drain():
            await self.by.flows.drain(letter.to, gathers=True)
        return Attempt(result=Result.WAITS, state=state, error=why)

    async def worth_a_drain(self) -> bool:
        """Somebody takes letters without a session, can be told, or has come meanwhile."""
        box = self.mailbox
        if await self.by.letters.online(box.address):
            return True
        return bool(await self.by.reach.reachable([box]))

    async def drop_oldest(self, most: int) -> None:
        to = self.request.letter.to
        for oldest in await self.by.letters.oldest(to, most):
            reason = f"More than {most} letters waited for {to}; the oldest gave way."
            await self.by.flows.tell_letter(oldest, "bury", reason)

    async def unanswered(self, error: str) -> Attempt:
        """All tries of this attempt failed: later again, unless it was the last."""
        await self.reached(ok=False)
        failed, terms = self.request.attempts + 1, self.request.terms
        if failed > terms.retries:
            return await self.buried(f"Given up after {failed} attempts. {error}", failed)
        state = await self.move(
            LetterState.RETRYING,
            Event.ROUTING_FAILED,
            reason=error,
            attempts=failed,
            retry_at=datetime.now(UTC) + retry_pause(terms, failed),
            waits=True,
        )
        if state in ENDED:
            return _over(state)
        return Attempt(result=Result.UNANSWERED, state=state, error=error)

    async def buried(self, reason: str, attempts: int | None = None) -> Attempt:
        state = await self.move(
            LetterState.DEAD_LETTER,
            Event.DEAD,
            reason=reason,
            attempts=self.request.attempts if attempts is None else attempts,
            waits=True,
        )
        if state in ENDED:
            return _over(state)
        return Attempt(result=Result.DEAD, state=state, error=reason)

    async def move(
        self,
        state: LetterState,
        event: Event,
        *,
        reason: str | None = None,
        attempts: int | None = None,
        retry_at: datetime | None = None,
        waits: bool = False,
        channel: Channel | None = None,
    ) -> LetterState:
        request = self.request
        move = Move(
            id=request.letter.id,
            step=request.step,
            state=state,
            event=event,
            reason=reason,
            attempts=request.attempts if attempts is None else attempts,
            retry_at=retry_at,
            waits=waits,
            channel=channel,
        )
        return await self.by.letters.move(move, request.letter.to)

    async def reached(self, *, ok: bool) -> None:
        terms = self.mailbox.breaker
        await self.by.letters.reached(self.mailbox.address, ok=ok, terms=terms)


def _over(state: LetterState) -> Attempt:
    return Attempt(result=Result.ARRIVED, state=state)
