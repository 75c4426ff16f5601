"""Agent mail as a whole: queues, mailboxes, figures, and whether it is processed."""

import asyncio
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from mailroom.bridge.agent_auth import AgentRoute, Overseer
from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.models.base import Frozen
from mailroom.models.letter_rows import LetterFigures, MailboxRow, Queues

# Before the routes that take any letter's ID.
router = APIRouter(prefix="/mail", tags=["agent mail"], route_class=AgentRoute)

MOST_HOURS = 24 * 366
AT_ONCE = 20


class Processing(Frozen):
    """Whether letters are delivered, or all wait."""

    enabled: bool


class MailboxList(BaseModel):
    items: list[MailboxRow]


@router.get("/queues")
async def queues(
    the: The, agent: Overseer, limit: Annotated[int, Query(ge=1, le=200)] = 200
) -> Queues:
    """What waits in inboxes, what waits for its next try, and dead letters, the newest first."""
    return await the.letter_figures.queues(limit)


@router.get("/mailboxes")
async def mailboxes(the: The, agent: Overseer) -> MailboxList:
    """Every address that is known, with who is there and what waits."""
    return MailboxList(items=await the.letter_figures.mailboxes())


@router.get("/stats")
async def stats(
    the: The,
    agent: Overseer,
    hours: Annotated[int, Query(ge=1, le=MOST_HOURS, description="back from now")] = 24,
) -> LetterFigures:
    """How many letters arrived, how long it took, by strategy too; what waits now."""
    return await the.letter_figures.figures(timedelta(hours=hours))


@router.get("/processing")
async def processing(the: The, agent: Overseer) -> Processing:
    return Processing(enabled=await the.letter_figures.enabled())


@router.put("/processing")
async def switch(wanted: Processing, the: The, agent: Overseer) -> Processing:
    """Switched off, letters are taken and wait; switched on, those that waited go on."""
    await the.letter_actions.switch(enabled=wanted.enabled)
    if wanted.enabled:
        the.errands.start(_drained(the))
    return wanted


async def _drained(the: Context) -> None:
    limit = asyncio.Semaphore(AT_ONCE)

    async def each(address: str) -> None:
        async with limit:
            await the.letter_flows.drain(address)

    await asyncio.gather(*map(each, await the.letter_actions.waiting_addresses()))
