"""`POST /mail`: a letter from an agent to another."""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, Field, JsonValue

from mailroom.bridge.agent_auth import Agent, AgentCaller, AgentRoute
from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.bridge.given_letters import GivenLetters
from mailroom.bridge.post_office import (
    QueueFull,
    TooLong,
    Unsendable,
    sender_of,
)
from mailroom.bridge.problems import Problem
from mailroom.models.agent_mail import (
    Delivery,
    Event,
    Letter,
    LetterOutcome,
    LetterState,
    Priority,
    event_owner,
)
from mailroom.models.agent_rules import Routed
from mailroom.models.events import MailEvent
from mailroom.models.given_letter import NoLetter
from mailroom.models.new_letter import NewLetter
from mailroom.models.spool import LATER, NORMAL, URGENT, VIP, SpooledLetter
from mailroom.models.spooled_letter import spooled_letter
from mailroom.ports import Permanent

router = APIRouter(prefix="/mail", tags=["agent mail"], route_class=AgentRoute)

LONGEST_WAIT = 60
SECONDS = 10.0
SPOOL_PRIORITY = {
    Priority.URGENT: URGENT,
    Priority.HIGH: VIP,
    Priority.NORMAL: NORMAL,
    Priority.LOW: LATER,
}
# After these it is known what becomes of a letter for now.
TELLING = (
    Event.ROUTED,
    Event.QUEUED,
    Event.ROUTING_FAILED,
    Event.DEAD,
    Event.EXPIRED,
    Event.DISCARDED,
)


class SentLetter(BaseModel):
    id: str
    to: str
    status: LetterState
    session_id: str | None = None
    error: str | None = None


class Sent(BaseModel):
    """`id`, `status` and `session_id` are the first letter's; `spooled`: it is kept until Temporal
    and PostgreSQL are back."""

    id: str
    status: LetterState
    session_id: str | None = None
    letters: list[SentLetter]
    applied: list[str] = []
    spooled: bool = False


class Planned(BaseModel):
    """A letter as the rules make it; nothing was sent."""

    to: str
    priority: Priority
    delivery: Delivery
    not_before: AwareDatetime | None


class Plan(BaseModel):
    letters: list[Planned]
    applied: list[str]


class How(BaseModel):
    wait: float = Field(
        default=0, ge=0, le=LONGEST_WAIT, description="seconds until it is delivered or queued"
    )
    dry_run: bool = Field(default=False, description="says what the rules do, sends nothing")


@router.post("", status_code=HTTPStatus.CREATED, response_model=Sent | Plan)
async def send(
    new: NewLetter,
    the: The,
    agent: Agent,
    how: Annotated[How, Query()],
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Sent | JSONResponse:
    """Sends a letter to an address, a group or everybody under a path."""
    sender = _sender(new, agent)
    letter_id = _id(sender, idempotency_key)
    try:
        the.office.check(new)
        if how.dry_run:
            routed = await the.office.routed(new, sender, letter_id, datetime.now(UTC))
            return JSONResponse(plan_of(routed).model_dump(mode="json"))
        sent = await the.handover.on(
            lambda: _sent(the, new, sender, letter_id, how.wait, again=bool(idempotency_key)),
            SECONDS + how.wait,
        )
    except (Unsendable, QueueFull, Permanent) as error:
        raise _refused(error) from error
    if sent is None:
        return await _kept(the, new, sender, letter_id)
    return sent


async def accept(the: Context, message: dict[str, JsonValue], queued_at: datetime) -> None:
    """A letter out of the spool, as `POST /mail` kept it or an older orchestrator wrote it.
    Raises `Permanent`."""
    try:
        letter = spooled_letter(message, queued_at)
    except NoLetter as error:
        raise Permanent(str(error)) from error
    await GivenLetters(the.office).accept(letter)


async def _sent(
    the: Context, new: NewLetter, sender: str, letter_id: str, wait: float, *, again: bool
) -> Sent:
    """`again`: it may have been sent before, and then nobody tells of it any more."""
    routed = await the.office.routed(new, sender, letter_id, datetime.now(UTC))
    applied = [sentence for each in routed for sentence in each.applied]
    if not wait:
        return _answer(await the.office.send(routed), {}, applied)
    async with AsyncExitStack() as listening:
        addresses = sorted({letter.to for each in routed for letter in each.letters})
        queues = [
            await listening.enter_async_context(the.feed.subscribe(event_owner(to)))
            for to in addresses
        ]
        letters = await the.office.send(routed)
        ids = {letter.id for letter in letters}
        if again:
            ids -= {one.id for one in await the.letters.outcomes(list(ids)) if _is_told(one)}
        await _told(ids, queues, wait)
    found = await the.letters.outcomes([one.id for one in letters])
    outcomes = {one.id: SentLetter(**one.model_dump()) for one in found}
    return _answer(letters, outcomes, applied)


def _is_told(outcome: LetterOutcome) -> bool:
    return outcome.status is not LetterState.DELIVERING


async def _told(
    letters: set[str], queues: Sequence[asyncio.Queue[MailEvent]], seconds: float
) -> None:
    """Until of each letter it is known what becomes of it, or the time is over."""
    left = set(letters)
    if not left:
        return

    async def hear(queue: asyncio.Queue[MailEvent]) -> None:
        while left:
            event = await queue.get()
            if event.type in TELLING:
                left.discard(event.message_id)

    tasks = [asyncio.create_task(hear(queue)) for queue in queues]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when="FIRST_COMPLETED")
    finally:
        for task in tasks:
            task.cancel()


def _answer(
    letters: Sequence[Letter], outcomes: dict[str, SentLetter], applied: Sequence[str]
) -> Sent:
    said = [
        outcomes.get(one.id, SentLetter(id=one.id, to=one.to, status=LetterState.QUEUED))
        for one in letters
    ]
    first = said[0]
    return Sent(
        id=first.id,
        status=first.status,
        session_id=first.session_id,
        letters=said,
        applied=list(applied),
    )


def plan_of(routed: Sequence[Routed]) -> Plan:
    planned = [
        Planned(
            to=letter.to,
            priority=letter.priority,
            delivery=letter.delivery,
            not_before=letter.not_before,
        )
        for each in routed
        for letter in each.letters
    ]
    return Plan(letters=planned, applied=[one for each in routed for one in each.applied])


async def _kept(the: Context, new: NewLetter, sender: str, letter_id: str) -> Sent:
    message = new.model_dump(mode="json", by_alias=True, exclude_none=True)
    message |= {"id": letter_id, "from": sender}
    await the.handover.keep(SpooledLetter(message=message), SPOOL_PRIORITY[new.priority])
    kept = SentLetter(id=letter_id, to=new.to, status=LetterState.QUEUED)
    return Sent(id=letter_id, status=LetterState.QUEUED, letters=[kept], spooled=True)


def _sender(new: NewLetter, agent: AgentCaller) -> str:
    if new.sender is None:
        return agent.name
    try:
        sender = sender_of(new.sender)
    except Unsendable as error:
        raise _refused(error) from error
    agent.check(sender)
    return sender


def _id(sender: str, key: str | None) -> str:
    return _digest(f"{sender}\0{key}") if key else uuid4().hex


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


def _refused(error: Exception) -> Problem:
    match error:
        case TooLong():
            return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
        case QueueFull():
            problem = Problem(HTTPStatus.TOO_MANY_REQUESTS, str(error))
            problem.headers = {"Retry-After": "60"}
            return problem
        case Unsendable() if error.nearest:
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), nearest=list(error.nearest))
        case _:
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
