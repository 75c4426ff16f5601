"""What the overseer orders: dead letters are tried again, or given up.

Their workflows do it. One that is gone (ended by hand, or lost with a Temporal server's file) is
started again, or its row is settled without it: nothing stays for ever.
"""

import asyncio
from datetime import timedelta
from enum import StrEnum

from mailroom.bridge.context import Context
from mailroom.bridge.flows import NotRunning
from mailroom.models.agent_config import terms_of
from mailroom.models.agent_mail import (
    ARRIVED,
    AgentMailInput,
    Event,
    LetterProgress,
    LetterState,
    event_owner,
)
from mailroom.models.letter_rows import LetterRow

SEEN_WITHIN = timedelta(seconds=3)
DEAD = (LetterState.DEAD_LETTER,)
NOT_ARRIVED = (
    LetterState.DEAD_LETTER,
    LetterState.QUEUED,
    LetterState.RETRYING,
    LetterState.DELIVERING,
)


class Order(StrEnum):
    REPLAY = "replay"
    DISCARD = "discard"

    @property
    def states(self) -> tuple[LetterState, ...]:
        """Of the letters that it can be given for."""
        return DEAD if self is Order.REPLAY else NOT_ARRIVED

    @property
    def event(self) -> Event:
        return Event.REPLAYED if self is Order.REPLAY else Event.DISCARDED

    @property
    def reason(self) -> str:
        return f"{'Replayed' if self is Order.REPLAY else 'Discarded'} by the overseer."


def why_not(order: Order, state: LetterState) -> str | None:
    """A sentence, where a letter in this state can't be given the order."""
    if state in order.states:
        return None
    if order is Order.REPLAY:
        return f"Only a dead letter can be replayed; this one is {_shown(state)}."
    if state in ARRIVED:
        return f"It has arrived: this letter is {_shown(state)}."
    return f"It is over already: this letter is {_shown(state)}."


async def give(the: Context, order: Order, letter_id: str) -> None:
    try:
        await the.letter_flows.signal(letter_id, order.value, order.reason)
    except NotRunning:
        if order is Order.REPLAY:
            await _start_again(the, letter_id)
        else:
            await the.letter_actions.discard(letter_id, order.reason)


async def give_and_see(the: Context, order: Order, row: LetterRow) -> bool:
    """Whether it was seen to be followed; it is in any case, as soon as a worker is there."""
    async with the.feed.subscribe(event_owner(row.to)) as news:
        await give(the, order, row.id)
        try:
            async with asyncio.timeout(SEEN_WITHIN.total_seconds()):
                while True:
                    event = await news.get()
                    if (event.message_id, event.type) == (row.id, order.event):
                        return True
        except TimeoutError:
            return False


async def _start_again(the: Context, letter_id: str) -> None:
    """As if it had never been tried; its steps go on counting, since older ones are written."""
    kept = await the.letter_views.letter(letter_id)
    if kept is None:
        return
    letter, step = kept
    terms = terms_of(await the.agent_mailboxes.of(letter.to), letter.priority)
    mail = AgentMailInput(letter=letter, terms=terms, carried=LetterProgress(step=step + 1))
    if await the.letter_flows.start(mail, again=True):
        reason: dict[str, object] = {"reason": Order.REPLAY.reason}
        await the.letters.tell(letter.to, letter.id, Event.REPLAYED, reason)


def _shown(state: LetterState) -> str:
    return state.replace("_", " ")
