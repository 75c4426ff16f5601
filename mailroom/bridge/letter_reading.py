"""Letters as agents and the overseer look at them: lists, inboxes, one letter. Nothing changes."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, Field

from mailroom.adapters.postgres.letter_views import Found
from mailroom.bridge.agent_auth import Agent, AgentCaller, AgentRoute
from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.bridge.problems import Problem
from mailroom.models.agent_addresses import address_of
from mailroom.models.agent_mail import LetterState, Priority
from mailroom.models.base import Frozen
from mailroom.models.letter_rows import (
    LARGEST_NUMBER,
    InboxCursor,
    InboxPage,
    LetterEvent,
    LetterFilter,
    LetterPage,
    LetterRow,
)
from mailroom.models.sessions import Confirmation
from mailroom.ports import Permanent

router = APIRouter(prefix="/mail", tags=["agent mail"], route_class=AgentRoute)

PAGE_LIMIT = 200
LONGEST_SEARCH = 500
SHORTEST_ID = 6
_ID = re.compile(r"[0-9a-f]{1,32}")

Address = Annotated[str, AfterValidator(address_of)]
Cursor = Annotated[
    int | None, Query(ge=1, le=LARGEST_NUMBER, description="`next_cursor` of the page before")
]
Limit = Annotated[int, Query(ge=1, le=PAGE_LIMIT)]


class Which(Frozen):
    """Conditions on letters, all of which are to hold."""

    to: Address | None = None
    sender: Address | None = Field(default=None, alias="from")
    status: list[LetterState] = Field(default_factory=list)
    priority: list[Priority] = Field(default_factory=list)
    search: str | None = Field(
        default=None, max_length=LONGEST_SEARCH, description="words, or how they begin"
    )

    def filter(self, **more: object) -> LetterFilter:
        known = {"to": self.to, "sender": self.sender, "search": self.search, **more}
        statuses, priorities = tuple(self.status), tuple(self.priority)
        return LetterFilter.model_validate(
            {"statuses": statuses, "priorities": priorities, **known}
        )


class Listed(Which):
    unread: bool = False
    thread: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    cursor: int | None = Field(default=None, ge=1, le=LARGEST_NUMBER)
    limit: int = Field(default=50, ge=1, le=PAGE_LIMIT)


class Inbox(Frozen):
    address: Address | None = None
    unread: bool = Field(default=True, description="as an inbox is, unless `all`")
    every: bool = Field(default=False, alias="all", description="also what was read")
    cursor: str | None = Field(default=None, max_length=500)
    limit: int = Field(default=50, ge=1, le=PAGE_LIMIT)


class LetterDetail(LetterRow):
    """With its whole body and what happened to it."""

    timeline: list[LetterEvent]


@router.get("")
async def letters(the: The, agent: Agent, asked: Annotated[Listed, Query()]) -> LetterPage:
    """Newest first: all letters for the overseer; an agent's are those it got and those it sent."""
    wanted = _seen_by(agent, asked.filter(unread=asked.unread, thread=asked.thread))
    return await the.letter_views.page(wanted, asked.cursor, asked.limit)


@router.get("/inbox")
async def inbox(the: The, agent: Agent, asked: Annotated[Inbox, Query()]) -> InboxPage:
    """Pinned letters first, then by priority, the oldest first; without those that are over."""
    address = asked.address or agent.name
    agent.check(address)
    try:
        place = InboxCursor.of(asked.cursor) if asked.cursor else None
    except ValueError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    return await the.letter_views.inbox(
        address,
        unread=asked.unread and not asked.every,
        by_priority=the.agents.enable_priority_processing,
        cursor=place,
        limit=asked.limit,
    )


@router.get("/{letter_id}")
async def letter(letter_id: str, the: The, agent: Agent) -> LetterDetail:
    found = await the_letter(the, agent, letter_id)
    timeline = await the.letter_views.timeline(found.id, found.to)
    known = found.model_dump(exclude={"blob", "mine"})
    return LetterDetail.model_validate(
        {**known, "body": await body_of(the, found), "timeline": timeline}
    )


@router.get("/{letter_id}/thread")
async def thread(
    letter_id: str, the: The, agent: Agent, cursor: Cursor = None, limit: Limit = PAGE_LIMIT
) -> LetterPage:
    """The conversation that the letter is part of, oldest first."""
    found = await the_letter(the, agent, letter_id)
    return await the.letter_views.thread(found.thread_id, agent.address, cursor, limit)


@router.get("/{letter_id}/delivery")
async def delivery(letter_id: str, the: The, agent: Agent) -> Confirmation:
    """Who confirmed it and when, for an hour after that; `session_id` is null for a letter that
    was read in its inbox."""
    found = await the_letter(the, agent, letter_id)
    kept = the.agents.confirmations_kept
    confirmation = await the.letter_views.confirmation(found.id, kept)
    if confirmation is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            f"No delivery of {found.id} was confirmed within {kept}; GET /mail/{found.id} says "
            "what became of it.",
        )
    return confirmation


async def the_letter(the: Context, agent: AgentCaller, letter_id: str) -> Found:
    """By its ID or the beginning of it, if the caller got it or sent it."""
    prefix = letter_id.lower()
    if not _ID.fullmatch(prefix):
        raise _none(letter_id)
    if len(prefix) < SHORTEST_ID:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"{prefix} is too short; give {SHORTEST_ID} characters of the letter's ID or more.",
        )
    found = await the.letter_views.find(prefix, agent.address)
    mine = [one for one in found if one.mine]
    if found and not mine:
        raise Problem(
            HTTPStatus.FORBIDDEN, f"This token is {agent.name}'s; that letter is between others."
        )
    if not mine:
        raise _none(letter_id)
    if len(mine) > 1:
        raise Problem(
            HTTPStatus.CONFLICT, f"Several letters begin with {prefix}; give more of the ID."
        )
    return mine[0]


async def body_of(the: Context, found: Found) -> str | None:
    """None where retention has removed it."""
    if found.blob is None:
        return found.body
    try:
        return (await the.blobs.get(found.blob)).decode()
    except Permanent:
        return None


def _seen_by(agent: AgentCaller, wanted: LetterFilter) -> LetterFilter:
    """An agent's question is about what it got or sent."""
    if agent.overseer:
        return wanted
    me = agent.name
    if wanted.to not in (None, me) and wanted.sender not in (None, me):
        agent.check(wanted.to or "")
    if wanted.to not in (None, me):
        return wanted.model_copy(update={"sender": me})
    if wanted.sender not in (None, me):
        return wanted.model_copy(update={"to": me})
    return wanted.model_copy(update={"mine": me})


def _none(letter_id: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"There is no letter {letter_id[:40]}.")
