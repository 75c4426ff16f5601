"""`/phone` and `/outbox`: the world outside, in the browser. Only the local stack has them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

import httpx
from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from mailroom.bridge.auth import Caller, The, Who
from mailroom.bridge.pages_events import BURST_SECONDS, before, stopping
from mailroom.bridge.pages_html import back_to, is_htmx, render
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.problems import Problem
from mailroom.local.bubbles import bubbles
from mailroom.local.outbox import Outbox, OutboxMail
from mailroom.local.phone import TEXT_LIMIT, Phone
from mailroom.models.base import Frozen

MAILS = 50

Say = Annotated[str, Query(max_length=TEXT_LIMIT)]
Body = Annotated[str, Form(min_length=1, max_length=TEXT_LIMIT)]
Whose = Annotated[str, Form()]


class Left(Frozen):
    """A mail that left, and when."""

    mail: OutboxMail
    at: datetime


def router(phone: Phone, outbox: Outbox, http: httpx.AsyncClient) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    routes.include_router(phone_pages(phone, http))
    routes.include_router(outbox_pages(outbox))
    routes.include_router(streams(phone, outbox))
    return routes


def phone_pages(phone: Phone, http: httpx.AsyncClient) -> APIRouter:
    routes = APIRouter(route_class=PageRoute)

    @routes.get("/phone")
    async def phone_page(
        request: Request, the: The, who: Who, say: Say = "", owner: str = ""
    ) -> Response:
        owner = phone.whose(who, owner)
        people = [the.owners[one] for one in who.owners if one in phone.numbers]
        shown = {"number": phone.numbers[owner], "people": people}
        return render(request, "phone.html", who, shown | _texts(phone, owner) | _field(say))

    @routes.get("/phone/texts")
    async def texts(request: Request, who: Who, owner: str = "") -> Response:
        return render(request, "_bubbles.html", who, _texts(phone, phone.whose(who, owner)))

    @routes.get("/phone/answer")
    async def field(request: Request, who: Who, say: Say = "", owner: str = "") -> Response:
        shown = {"oob": False, "owner": phone.whose(who, owner)}
        return render(request, "_answer.html", who, _field(say) | shown)

    @routes.post("/phone")
    async def answer(request: Request, who: Who, body: Body, owner: Whose = "") -> Response:
        owner = phone.whose(who, owner)
        return _told(request, who, owner, await _answered(phone, http, owner, body))

    return routes


def outbox_pages(outbox: Outbox) -> APIRouter:
    routes = APIRouter(route_class=PageRoute)

    @routes.get("/outbox")
    async def outbox_page(request: Request, who: Who) -> Response:
        return render(request, "outbox.html", who, _newest(outbox))

    @routes.get("/outbox/mails")
    async def mails(request: Request, who: Who) -> Response:
        return render(request, "_outbox.html", who, _newest(outbox))

    return routes


def streams(phone: Phone, outbox: Outbox) -> APIRouter:
    routes = APIRouter()

    @routes.get("/phone/stream", response_class=EventSourceResponse)
    async def phone_stream(request: Request, who: Who) -> AsyncIterator[ServerSentEvent]:
        async for _ in _changes(request, phone.changed, lambda: len(phone.texts)):
            yield ServerSentEvent(event="texts", raw_data="changed")

    @routes.get("/outbox/stream", response_class=EventSourceResponse)
    async def outbox_stream(request: Request, who: Who) -> AsyncIterator[ServerSentEvent]:
        async for _ in _changes(request, outbox.changed, lambda: len(outbox.mails())):
            yield ServerSentEvent(event="mails", raw_data="changed")

    return routes


def _texts(phone: Phone, owner: str) -> dict[str, object]:
    return {"bubbles": bubbles(phone.of(owner)), "owner": owner}


async def _answered(
    phone: Phone, http: httpx.AsyncClient, owner: str, body: str
) -> tuple[str, bool]:
    """What the webhook said to the owner's text, and whether it took it."""
    try:
        response = await phone.answer(http, owner, body)
        said = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, f"The webhook did not answer: {error}."
        ) from error
    return said.get("text") or said.get("detail") or response.reason_phrase, response.is_success


def _told(request: Request, who: Caller, owner: str, answer: tuple[str, bool]) -> Response:
    sentence, taken = answer
    if not is_htmx(request):
        return back_to(request, f"/phone?owner={owner}", sentence)
    shown = {"text": sentence, "bad": not taken, "owner": owner}
    return render(request, "_answered.html", who, shown | _field(""))


def _field(say: str) -> dict[str, object]:
    return {"say": say, "limit": TEXT_LIMIT}


def _newest(outbox: Outbox) -> dict[str, object]:
    mails = outbox.mails()
    shown = [Left(mail=mail, at=_left_at(mail)) for mail in reversed(mails[-MAILS:])]
    return {"mails": shown, "older": len(mails) - len(shown)}


def _left_at(mail: OutboxMail) -> datetime:
    # The outbox names its files by nanoseconds.
    return datetime.fromtimestamp(int(mail.id.partition(".")[0]) / 1e9, UTC)


async def _changes(
    request: Request, changed: asyncio.Condition, count: Callable[[], int]
) -> AsyncIterator[int]:
    """Once at first, and then whenever there are more; ends when the server stops."""
    known = -1

    async def more() -> int:
        async with changed:
            await changed.wait_for(lambda: count() != known)
        return count()

    while (now := await before(stopping(request), more())) is not None:
        known = now
        yield known
        await before(stopping(request), asyncio.sleep(BURST_SECONDS))
