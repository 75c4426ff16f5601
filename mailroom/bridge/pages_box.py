"""One mailbox: its inbox, every letter to it and from it, and a form to write as the overseer."""

import secrets
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, ValidationError

from mailroom.bridge.agent_auth import AgentCaller
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.letters import How, send
from mailroom.bridge.pages_agent_words import sent_notice
from mailroom.bridge.pages_html import back_to, render
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.post_office import Unsendable, sender_of
from mailroom.bridge.problems import Problem
from mailroom.models.agent_addresses import OVERSEER
from mailroom.models.agent_mail import MOST_ADDRESS, MOST_SUBJECT, Priority
from mailroom.models.base import Frozen
from mailroom.models.letter_rows import InboxCursor, LetterFilter, LetterRow
from mailroom.models.new_letter import NewLetter
from mailroom.models.sessions import Presence

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PAGE = 50
# Long enough that the list which follows has the letter.
SEEN_SECONDS = 2.0
MOST_NOTICE = 600


class Shown(StrEnum):
    """`inbox` is what is unread, and what is pinned; the others go on to the beginning."""

    INBOX = "inbox"
    RECEIVED = "received"
    SENT = "sent"


class Part(Frozen):
    """A page of one list; `older` leads to the next."""

    address: str
    shown: Shown
    items: list[LetterRow]
    older: str | None


class Wanted(BaseModel):
    address: str = Field(max_length=MOST_ADDRESS)
    shown: Shown = Field(default=Shown.INBOX, alias="show")
    cursor: str = Field(default="", max_length=500)


class Opened(Wanted):
    """With what its form begins."""

    reply_to: str = Field(default="", max_length=64)
    subject: str = Field(default="", max_length=MOST_SUBJECT)


class Written(BaseModel):
    """What the form holds. `nonce` is of one rendering: sent twice is one letter."""

    address: str = Field(max_length=MOST_ADDRESS)
    to: str = Field(default="", max_length=MOST_ADDRESS)
    subject: str = Field(default="", max_length=MOST_SUBJECT)
    body: str = ""
    priority: Priority = Priority.NORMAL
    pinned: bool = False
    reply_to: str = Field(default="", max_length=64)
    nonce: str = Field(default="", max_length=40)


@router.get("/agents/box")
async def box_page(
    request: Request, opened: Annotated[Opened, Query()], the: The, who: Operator
) -> Response:
    address = await _known(the, opened.address)
    form = Written(address=address, to=address, subject=opened.subject, reply_to=opened.reply_to)
    shown = await _page(the, address, opened, form)
    return render(request, "box.html", who, shown)


@router.get("/agents/box/letters")
async def letters(
    request: Request, wanted: Annotated[Wanted, Query()], the: The, who: Operator
) -> Response:
    """What changes on the page."""
    address = await _known(the, wanted.address)
    return render(request, "_box.html", who, await _live(the, address, wanted))


@router.post("/agents/box")
async def write(
    request: Request, written: Annotated[Written, Form()], the: The, who: Operator
) -> Response:
    address = await _known(the, written.address)
    try:
        notice = await _sent(the, written)
    except Problem as problem:
        wanted = Wanted(address=address)
        shown = await _page(the, address, wanted, written) | {"refused": problem.detail}
        return render(request, "box.html", who, shown, problem.status)
    return back_to(request, f"/agents/box?address={address}", notice)


async def _sent(the: Context, written: Written) -> str:
    """What came of it, in a sentence. Raises `Problem` as `POST /mail` does."""
    try:
        new = NewLetter(
            to=written.to,
            subject=written.subject,
            # A browser sends CRLF.
            body=written.body.replace("\r\n", "\n"),
            priority=written.priority,
            pinned=written.pinned,
            reply_to=written.reply_to or None,
        )
    except ValidationError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "It is no letter as it is.") from error
    sent = await send(new, the, AgentCaller(), How(wait=SEEN_SECONDS), _key(written))
    assert not isinstance(sent, JSONResponse)
    notice = sent_notice([(one.to, one.status, one.error) for one in sent.letters], sent.spooled)
    return " ".join((notice, *(f"{each}." for each in sent.applied)))[:MOST_NOTICE]


def _key(written: Written) -> str | None:
    """A key means the same for good, so each letter that a rendering sends has its own."""
    if not written.nonce:
        return None
    said = written.model_dump_json(exclude={"address", "nonce"})
    return f"page/{written.nonce}/{sha256(said.encode()).hexdigest()[:16]}"


async def _known(the: Context, text: str) -> str:
    """In its one form; raises `Problem` with the nearest for one that nobody knows."""
    try:
        address = sender_of(text)
        await the.office.recipients(address, OVERSEER)
    except Unsendable as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
    return address


async def _page(the: Context, address: str, wanted: Wanted, form: Written) -> dict[str, object]:
    return await _live(the, address, wanted) | {
        "form": form,
        "nonce": secrets.token_urlsafe(9),
        "priorities": list(Priority),
        "lists": list(Shown),
        "refused": None,
    }


async def _live(the: Context, address: str, wanted: Wanted) -> dict[str, object]:
    presence: Presence = await the.sessions.presence(address)
    return {"part": await _part(the, address, wanted), "presence": presence}


async def _part(the: Context, address: str, wanted: Wanted) -> Part:
    if wanted.shown is Shown.INBOX:
        inbox = await the.letter_views.inbox(
            address,
            by_priority=the.agents.enable_priority_processing,
            cursor=_inbox_cursor(wanted.cursor),
            limit=PAGE,
        )
        items, older = inbox.items, inbox.next_cursor
    else:
        received = wanted.shown is Shown.RECEIVED
        found = await the.letter_views.page(
            LetterFilter(to=address) if received else LetterFilter(sender=address),
            _number(wanted.cursor),
            PAGE,
        )
        items, older = found.items, str(found.next_cursor) if found.next_cursor else None
    return Part(address=address, shown=wanted.shown, items=items, older=older)


def _inbox_cursor(text: str) -> InboxCursor | None:
    try:
        return InboxCursor.of(text) if text else None
    except ValueError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def _number(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "This is no place in a list; begin at its first page."
        )
    return int(text)
