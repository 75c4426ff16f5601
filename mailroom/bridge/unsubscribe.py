"""`/unsubscribe/{token}`: leaves a campaign without a login (RFC 8058)."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from limits import RateLimitItemPerMinute
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import render
from mailroom.bridge.pages_link import HEADERS
from mailroom.bridge.pages_route import PageRoute
from mailroom.models.outbound.suppression import suppressed_form
from mailroom.models.outbound.unsubscribe import FIELD, ONE_CLICK, Subscriber

router = APIRouter(route_class=PageRoute, include_in_schema=False)

# A mailbox provider asks for all of its people from few addresses, so the limit of links that are
# right is for each link; whoever guesses is counted by address, and keeps nobody else out.
EACH_LINK = RateLimitItemPerMinute(30)
WRONG_LINKS = RateLimitItemPerMinute(60)

NO_LINK = "This link is not one of ours; copy all of it from the message."
GONE = "The message of this link was deleted long ago. Use the link of a newer one."
TOO_MANY = "This was asked too often; try again in a minute."


@router.get("/unsubscribe/{token}")
async def ask(request: Request, token: str, the: The) -> Response:
    """Asks, and changes nothing: scanners follow links."""
    found = await _subscriber(request, token, the)
    if isinstance(found, Response):
        return found
    done = await the.suppressions.reason_of(suppressed_form(found.recipient), found.tenant_id)
    return _page(request, found, done=done is not None)


@router.post("/unsubscribe/{token}")
async def unsubscribe(request: Request, token: str, the: The) -> Response:
    """The button of the page, and a mail program by itself. Whoever posts to a link that only the
    recipient has wants this; the body has nothing to add, and is not read. No redirect: RFC 8058
    §3.1 forbids it."""
    found = await _subscriber(request, token, the)
    if isinstance(found, Response):
        return found
    await the.unsubscribing.unsubscribe(found)
    return _page(request, found, done=True)


async def _subscriber(request: Request, token: str, the: Context) -> Subscriber | Response:
    """Who holds the link, or the page that says why nobody does."""
    id = the.links.read_unsubscribe(token)
    if not await _within_rate(request, id):
        response = _sentence(request, HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY)
        response.headers["Retry-After"] = "60"
        return response
    if id is None:
        return _sentence(request, HTTPStatus.NOT_FOUND, NO_LINK)
    found = await the.unsubscribing.subscriber(id)
    return found or _sentence(request, HTTPStatus.GONE, GONE)


async def _within_rate(request: Request, id: UUID | None) -> bool:
    limiter: SlidingWindowCounterRateLimiter = request.app.state.unsubscribe_limiter
    if id is not None:
        return await limiter.hit(EACH_LINK, str(id))
    return await limiter.hit(WRONG_LINKS, request.client.host if request.client else "?")


def _page(request: Request, who: Subscriber, *, done: bool) -> Response:
    shown = {"sender": who.sender, "done": done, "field": FIELD, "value": ONE_CLICK, "text": None}
    return _rendered(request, shown, HTTPStatus.OK)


def _sentence(request: Request, status: HTTPStatus, text: str) -> Response:
    return _rendered(request, {"text": text}, status)


def _rendered(request: Request, shown: dict[str, object], status: HTTPStatus) -> Response:
    response = render(request, "unsubscribe.html", None, shown, status)
    response.headers.update(HEADERS)
    return response
