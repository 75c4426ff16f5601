"""Orders for many letters at once: all that match are replayed, or discarded."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from mailroom.bridge.agent_auth import AgentRoute, Overseer
from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.bridge.letter_orders import Order, give
from mailroom.bridge.letter_reading import Which
from mailroom.bridge.problems import Problem
from mailroom.models.agent_mail import LetterState
from mailroom.models.letter_rows import LetterFilter

router = APIRouter(prefix="/mail", tags=["agent mail"], route_class=AgentRoute)

BATCH, AT_ONCE = 500, 20
SHOWN = 100


class Ordered(BaseModel):
    """How many letters matched, and the first of them, oldest first."""

    count: int
    ids: list[str]


class Chosen(Which):
    status: list[LetterState] = Field(default_factory=lambda: [LetterState.DEAD_LETTER])
    dry_run: bool = Field(default=False, description="says which they are, changes nothing")


@router.post("/replay")
async def replay(the: The, agent: Overseer, chosen: Annotated[Chosen, Query()]) -> Ordered:
    """All dead letters that match are tried again. Repeated, it goes on where it broke off."""
    return await _ordered(the, Order.REPLAY, chosen)


@router.post("/discard")
async def discard(the: The, agent: Overseer, chosen: Annotated[Chosen, Query()]) -> Ordered:
    """All letters that match are given up: dead ones, unless `status` names others."""
    return await _ordered(the, Order.DISCARD, chosen)


async def _ordered(the: Context, order: Order, chosen: Chosen) -> Ordered:
    if not set(chosen.status) <= set(order.states):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"Letters to {order} have one of these states: {', '.join(order.states)}.",
        )
    wanted = chosen.filter()
    if chosen.dry_run:
        first = await the.letter_views.matching(wanted, limit=SHOWN)
        count = await the.letter_views.count(wanted)
        return Ordered(count=count, ids=[one for _, one in first])
    return await _all_given(the, order, wanted)


async def _all_given(the: Context, order: Order, wanted: LetterFilter) -> Ordered:
    ids: list[str] = []
    count = after = 0
    limit = asyncio.Semaphore(AT_ONCE)

    async def each(letter_id: str) -> None:
        async with limit:
            await give(the, order, letter_id)

    # A letter keeps its number: one that is dead again meanwhile is not met again.
    while batch := await the.letter_views.matching(wanted, after, BATCH):
        await asyncio.gather(*(each(letter_id) for _, letter_id in batch))
        after = batch[-1][0]
        count += len(batch)
        ids += [letter_id for _, letter_id in batch][: SHOWN - len(ids)]
    return Ordered(count=count, ids=ids)
