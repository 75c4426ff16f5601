"""Logging in with the token, by form or by the link that the terminal shows."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from mailroom.bridge.auth import (
    COOKIE,
    SESSION_SECONDS,
    The,
    Who,
    new_session,
    session_of,
    whose_session,
    whose_token,
)
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import render, secure
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.problems import Problem

router = APIRouter(route_class=PageRoute, include_in_schema=False)

WRONG_PER_MINUTE = 10

Token = Annotated[str, Query(max_length=500)]
Next = Annotated[str, Query(max_length=2_000)]


@router.get("/login")
async def login_page(
    request: Request, the: The, token: Token | None = None, next: Next = "/"
) -> Response:
    """The form; with `token`, the way in from the link in the terminal."""
    if token is not None:
        return await _log_in(request, the, token, next)
    if session_of(request):
        return RedirectResponse(safe_next(next), HTTPStatus.SEE_OTHER)
    return _form(request, next)


@router.post("/login")
async def log_in(
    request: Request,
    the: The,
    token: Annotated[str, Form(max_length=500)] = "",
    next: Annotated[str, Form(max_length=2_000)] = "/",
) -> Response:
    return await _log_in(request, the, token.strip(), next)


@router.post("/logout")
async def log_out(who: Who) -> Response:
    response = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    response.delete_cookie(COOKIE)
    return response


def safe_next(path: str) -> str:
    """`path` if it leads to a page of ours, else the first page.

    Browsers drop control characters and read a backslash as a slash (WHATWG URL §4.4), so
    `/\\evil.example` would lead away like `//evil.example`.
    """
    local = path.startswith("/") and path[1:2] != "/"
    return path if local and path.isprintable() and "\\" not in path else "/"


async def _log_in(request: Request, the: Context, token: str, next: str) -> Response:
    await _check_rate(request)
    whose = whose_token(the, token)
    if whose is None:
        await _limiter(request).hit(_WRONG, _client(request))
        return _form(request, next, wrong=True)
    # Elsewhere, so that the token does not stay in the address bar.
    response = RedirectResponse(safe_next(next), HTTPStatus.SEE_OTHER)
    session = session_of(request)
    if session is None or whose_session(the, session) != whose:
        _begin_session(request, response, new_session(the, whose))
    return response


def _begin_session(request: Request, response: Response, session: str) -> None:
    """Only where there is none of theirs: the forms of other tabs are bound to it."""
    response.set_cookie(
        COOKIE,
        session,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="lax",
        secure=secure(request),
    )


def _form(request: Request, next: str, *, wrong: bool = False) -> Response:
    status = HTTPStatus.UNAUTHORIZED if wrong else HTTPStatus.OK
    return render(request, "login.html", None, {"next": safe_next(next), "wrong": wrong}, status)


_WRONG = RateLimitItemPerMinute(WRONG_PER_MINUTE)


def new_limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())


async def _check_rate(request: Request) -> None:
    if await _limiter(request).test(_WRONG, _client(request)):
        return
    problem = Problem(HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong tokens; try again in a minute.")
    problem.headers = {"Retry-After": "60"}
    raise problem


def _limiter(request: Request) -> MovingWindowRateLimiter:
    limiter = request.app.state.login_limiter
    assert isinstance(limiter, MovingWindowRateLimiter)
    return limiter


def _client(request: Request) -> str:
    return request.client.host if request.client else "?"
