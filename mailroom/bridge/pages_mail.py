"""One reply: the mail, the draft, what happened, and the owner's word on it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError

from mailroom.adapters.postgres.views import WorkflowState
from mailroom.bridge import workflows
from mailroom.bridge.attachments import Number, attachments_of, download
from mailroom.bridge.auth import Caller, The, Who
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import back_to, is_htmx, render
from mailroom.bridge.pages_letter import letter
from mailroom.bridge.pages_offers import (
    Offer,
    may_have_been_sent,
    offers,
    waits_for_its_time,
)
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.pages_words import timeline
from mailroom.bridge.problems import Problem
from mailroom.models.attached import Attachment
from mailroom.models.email_reply import (
    MAX_EDITS,
    MOST_ATTACHED,
    WORD_LIMIT,
    FileName,
    OwnersWord,
    Verdict,
)
from mailroom.models.events import MailEvent

router = APIRouter(route_class=PageRoute, include_in_schema=False)

# How long the answer to a click waits for the first step that follows from it.
STEP_SECONDS = 1.0
HOW_LIMIT = WORD_LIMIT - len("2 ")

MailHash = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="of the workflow ID")]


class Said(BaseModel):
    """What a button says. `nonce` is of one rendering: pressed twice is one word."""

    offer: Offer
    revision: int | None = None
    nonce: Annotated[str, Field(max_length=40)] = ""
    how: str = ""
    attach: Annotated[list[FileName], Field(max_length=MOST_ATTACHED)] = []


class Done(BaseModel):
    """The sentence for the page; `accepted` means that the mail goes on from here."""

    text: str
    accepted: bool


@router.get("/mails/{mail}")
async def mail_page(request: Request, mail: MailHash, the: The, who: Who) -> Response:
    row = await the_row(the, who, mail)
    shown = await _state(the, row) | {"letter": await letter(the, row), "done": None}
    return render(request, "mail.html", who, shown)


@router.get("/mails/{mail}/state")
async def state(request: Request, mail: MailHash, the: The, who: Who) -> Response:
    """What changes on the page of a mail."""
    row = await the_row(the, who, mail)
    return render(request, "_state.html", who, await _state(the, row) | {"done": None})


@router.get("/mails/{mail}/attachments/{number}")
async def attachment(mail: MailHash, number: Number, the: The, who: Who) -> Response:
    return await download(the, await the_row(the, who, mail), number)


@router.post("/mails/{mail}")
async def say(
    request: Request, mail: MailHash, said: Annotated[Said, Form()], the: The, who: Who
) -> Response:
    row = await the_row(the, who, mail)
    async with _next_step(the, row) as next_step:
        done = await _answered(the, row, said)
        moved = done.accepted and await next_step()
    if not is_htmx(request):
        return back_to(request, f"/mails/{mail}", done.text)
    shown = await _state(the, await the_row(the, who, mail))
    if done.accepted and not moved:
        # The word was heard, and nothing of the old page can be pressed any more.
        shown["offers"] = frozenset()
    return render(request, "_state.html", who, shown | {"done": done})


async def the_row(the: Context, who: Caller, mail: str) -> WorkflowState:
    row = await the.views.by_workflow(f"email-reply/{mail}")
    if row is None or row.owner not in who.owners:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such mail.")
    return row


async def _state(the: Context, row: WorkflowState) -> dict[str, object]:
    offered = offers(row)
    return {
        "row": row,
        "hash": row.workflow_id.rpartition("/")[2],
        "offers": offered,
        "attachable": await _attachable(the, row) if Offer.SEND in offered else (),
        "unknown": may_have_been_sent(row),
        "later": waits_for_its_time(row),
        "edits_left": MAX_EDITS - row.edit_iteration,
        "how_limit": HOW_LIMIT,
        "nonce": secrets.token_urlsafe(9),
        "lines": timeline(await the.views.timeline(row.owner, row.message_id)),
    }


async def _attachable(the: Context, row: WorkflowState) -> tuple[Attachment, ...]:
    """What the owner may choose; a reply that is approved keeps what was chosen for it."""
    if may_have_been_sent(row) or waits_for_its_time(row):
        return ()
    return await attachments_of(the, row)


async def _answered(the: Context, row: WorkflowState, said: Said) -> Done:
    """What came of a button, in a sentence. A refusal is an answer, not a fault of the page."""
    owner = Caller((row.owner,))
    try:
        match said.offer:
            case Offer.RETRY:
                done = await workflows.retry(row.message_id, the, owner)
                return Done(text=done.detail, accepted=True)
            case Offer.EXPIRE:
                done = await workflows.expire(row.message_id, the, owner)
                return Done(text=done.detail, accepted=True)
            case _:
                return await _decided(the, row, said)
    except Problem as problem:
        return Done(text=problem.detail, accepted=False)


async def _decided(the: Context, row: WorkflowState, said: Said) -> Done:
    try:
        word = _word(said)
    except ValidationError:
        return Done(
            text=f"At most {HOW_LIMIT:,} characters can be said of a draft.", accepted=False
        )
    outcome = await workflows.decision(the, row, word)
    return Done(text=outcome.text, accepted=outcome.verdict is Verdict.ACCEPTED)


def _word(said: Said) -> OwnersWord:
    # A browser sends CRLF, and counts it as one character.
    how = said.how.replace("\r\n", "\n")
    text = {Offer.SEND: "1", Offer.EDIT: f"2 {how}", Offer.IGNORE: "3"}[said.offer]
    # An ID means the same for good, so each text of each rendering has its own.
    attach = tuple(said.attach) if said.offer is Offer.SEND else ()
    digest = sha256("\0".join((text, *attach)).encode(errors="replace")).hexdigest()[:16]
    word_id = f"page/{said.nonce}/{digest}" if said.nonce else None
    return OwnersWord(text=text, revision=said.revision, id=word_id, attach=attach, via="page")


@asynccontextmanager
async def _next_step(
    the: Context, row: WorkflowState
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Whether the mail took a step; heard from before the word is said."""
    async with the.feed.subscribe() as events:

        async def stepped() -> bool:
            try:
                async with asyncio.timeout(STEP_SECONDS):
                    while not _is_about(await events.get(), row):
                        pass
            except TimeoutError:
                return False
            return True

        yield stepped


def _is_about(event: MailEvent, row: WorkflowState) -> bool:
    return (event.owner, event.message_id) == (row.owner, row.message_id)
