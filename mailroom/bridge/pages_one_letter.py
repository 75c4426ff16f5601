"""One letter: its text, what happened to it, its thread, and what the overseer may do with it."""

from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel

from mailroom.adapters.postgres.letter_views import Found
from mailroom.bridge import letter_actions
from mailroom.bridge.agent_auth import AgentCaller
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.letter_orders import Order, why_not
from mailroom.bridge.letter_reading import body_of, the_letter
from mailroom.bridge.pages_agent_words import letter_timeline
from mailroom.bridge.pages_html import back_to, render
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.problems import Problem
from mailroom.models.agent_addresses import OVERSEER
from mailroom.models.agent_mail import MOST_SUBJECT, LetterState
from mailroom.models.letter_rows import LetterRow

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MOST_IN_THREAD = 100


class Offer(StrEnum):
    """What a button says."""

    READ = "read"
    ACK = "ack"
    PIN = "pin"
    UNPIN = "unpin"
    REPLAY = "replay"
    DISCARD = "discard"


class Said(BaseModel):
    offer: Offer


_SENTENCES = {
    Offer.READ: "The letter counts as read.",
    Offer.ACK: "The letter is acknowledged.",
    Offer.PIN: "The letter stays on top of its inbox.",
    Offer.UNPIN: "The letter is pinned no more.",
    Offer.REPLAY: "The letter is tried again.",
    Offer.DISCARD: "The letter is given up.",
}
_IN_AN_INBOX = frozenset(
    {
        LetterState.QUEUED,
        LetterState.DELIVERING,
        LetterState.RETRYING,
        LetterState.DELIVERED,
        LetterState.ACKNOWLEDGED,
    }
)


@router.get("/agents/letters/{letter}")
async def letter_page(request: Request, letter: str, the: The, who: Operator) -> Response:
    found = await the_letter(the, AgentCaller(), letter)
    shown = await _state(the, found) | {
        "body": await body_of(the, found),
        "subject": answer_subject(found.subject),
    }
    return render(request, "letter.html", who, shown)


@router.get("/agents/letters/{letter}/state")
async def state(request: Request, letter: str, the: The, who: Operator) -> Response:
    """What changes on the page of a letter."""
    found = await the_letter(the, AgentCaller(), letter)
    return render(request, "_letter_state.html", who, await _state(the, found))


@router.post("/agents/letters/{letter}")
async def say(
    request: Request, letter: str, said: Annotated[Said, Form()], the: The, who: Operator
) -> Response:
    found = await the_letter(the, AgentCaller(), letter)
    notice = await _done(the, found, said.offer)
    return back_to(request, f"/agents/letters/{found.id}", notice)


def offers(letter: LetterRow) -> frozenset[Offer]:
    """What its state allows. To read a letter for an agent would take it away from them."""
    offered: set[Offer] = set()
    if letter.status in _IN_AN_INBOX:
        offered.add(Offer.UNPIN if letter.pinned else Offer.PIN)
        if letter.status is not LetterState.ACKNOWLEDGED:
            offered.add(Offer.ACK)
        if letter.to == OVERSEER and letter.read_at is None:
            offered.add(Offer.READ)
    offered.update(Offer(order) for order in Order if why_not(order, letter.status) is None)
    return frozenset(offered)


def answer_subject(subject: str) -> str:
    begun = subject.lower().startswith("re:")
    return (subject if begun else f"Re: {subject}")[:MOST_SUBJECT]


async def _state(the: Context, found: Found) -> dict[str, object]:
    events = await the.letter_views.timeline(found.id, found.to)
    thread = await the.letter_views.thread(found.thread_id, None, None, MOST_IN_THREAD)
    return {
        "letter": found,
        "offers": offers(found),
        "lines": letter_timeline(found, events),
        "thread": thread.items,
        "more": thread.next_cursor is not None,
    }


async def _done(the: Context, found: Found, offer: Offer) -> str:
    """What came of a button, in a sentence. A refusal is an answer, not a fault of the page."""
    try:
        return await _answered(the, found.id, offer)
    except Problem as problem:
        return problem.detail


async def _answered(the: Context, letter: str, offer: Offer) -> str:
    """Raises `Problem` where the letter's state has changed meanwhile."""
    overseer, response = AgentCaller(), Response()
    match offer:
        case Offer.READ:
            await letter_actions.read(letter, the, overseer)
        case Offer.ACK:
            await letter_actions.acknowledge(letter, the, overseer)
        case Offer.PIN:
            await letter_actions.pin(letter, the, overseer)
        case Offer.UNPIN:
            await letter_actions.unpin(letter, the, overseer)
        case Offer.REPLAY:
            await letter_actions.replay(letter, the, overseer, response)
        case Offer.DISCARD:
            await letter_actions.discard(letter, the, overseer, response)
    if response.status_code == HTTPStatus.ACCEPTED:
        return "It is done as soon as a worker is there."
    return _SENTENCES[offer]
