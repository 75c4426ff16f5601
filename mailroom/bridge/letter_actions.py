"""What is done to one letter: read, acknowledged, pinned; replayed or discarded."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from mailroom.adapters.postgres.letter_actions import Done
from mailroom.adapters.postgres.letter_views import Found
from mailroom.bridge.agent_auth import Agent, AgentCaller, AgentRoute, Overseer
from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.bridge.letter_orders import Order, give_and_see, why_not
from mailroom.bridge.letter_reading import body_of, the_letter
from mailroom.bridge.problems import Problem
from mailroom.models.letter_rows import LetterRow

router = APIRouter(prefix="/mail", tags=["agent mail"], route_class=AgentRoute)


@router.post("/{letter_id}/read")
async def read(letter_id: str, the: The, agent: Agent) -> LetterRow:
    """Its recipient has seen it. A letter that still waited has arrived by this."""
    found = await _own(the, agent, letter_id)
    _tell(the, found.id, await the.letter_actions.read(found.id), "delivered")
    return await _now(the, found)


@router.post("/{letter_id}/ack")
async def acknowledge(letter_id: str, the: The, agent: Agent) -> LetterRow:
    """Its recipient has dealt with it; an urgent letter does not escalate any more."""
    found = await _own(the, agent, letter_id)
    done = await the.letter_actions.acknowledge(found.id)
    if done is None:
        raise await _conflict(the, found, "acknowledged")
    _tell(the, found.id, done, "acknowledge")
    return await _now(the, found)


@router.post("/{letter_id}/pin")
async def pin(letter_id: str, the: The, agent: Agent) -> LetterRow:
    """It stays on top of its recipient's inbox until it is unpinned."""
    return await _pinned(the, agent, letter_id, pinned=True)


@router.post("/{letter_id}/unpin")
async def unpin(letter_id: str, the: The, agent: Agent) -> LetterRow:
    return await _pinned(the, agent, letter_id, pinned=False)


@router.post("/{letter_id}/replay")
async def replay(letter_id: str, the: The, agent: Overseer, response: Response) -> LetterRow:
    """A dead letter is tried again, as if never tried before. 202 where no worker has begun with
    it yet."""
    return await _ordered(the, agent, letter_id, Order.REPLAY, response)


@router.post("/{letter_id}/discard")
async def discard(letter_id: str, the: The, agent: Overseer, response: Response) -> LetterRow:
    """Nobody wants a dead letter, or one that waits, any more. 202 where no worker has seen to it
    yet."""
    return await _ordered(the, agent, letter_id, Order.DISCARD, response)


async def _own(the: Context, agent: AgentCaller, letter_id: str) -> Found:
    """A letter that the caller got; what was sent is for others to read."""
    found = await the_letter(the, agent, letter_id)
    agent.check(found.to)
    return found


async def _pinned(the: Context, agent: AgentCaller, letter_id: str, *, pinned: bool) -> LetterRow:
    found = await _own(the, agent, letter_id)
    if not await the.letter_actions.pin(found.id, pinned=pinned):
        raise await _conflict(the, found, "pinned")
    return await _now(the, found)


async def _ordered(
    the: Context, agent: AgentCaller, letter_id: str, order: Order, response: Response
) -> LetterRow:
    found = await the_letter(the, agent, letter_id)
    if why := why_not(order, found.status):
        raise Problem(HTTPStatus.CONFLICT, why)
    if not await give_and_see(the, order, found):
        response.status_code = HTTPStatus.ACCEPTED
    return await _now(the, found)


def _tell(the: Context, letter_id: str, done: Done | None, news: str) -> None:
    """Its workflow, if that rests. Nobody waits for it, and the next scan tells it otherwise."""
    if done and done.waits:
        the.errands.start(_told(the, letter_id, news))


async def _told(the: Context, letter_id: str, news: str) -> None:
    await the.letter_flows.tell_letter(letter_id, news, "inbox")
    await the.letters.told([letter_id])


async def _now(the: Context, found: Found) -> LetterRow:
    rows = await the.letter_views.rows([found.id])
    if not rows:
        raise Problem(HTTPStatus.NOT_FOUND, f"There is no letter {found.id} any more.")
    return rows[0].model_copy(update={"body": await body_of(the, found)})


async def _conflict(the: Context, found: Found, done: str) -> Problem:
    state = (await _now(the, found)).status.replace("_", " ")
    return Problem(HTTPStatus.CONFLICT, f"This letter is {state}; it can't be {done}.")
