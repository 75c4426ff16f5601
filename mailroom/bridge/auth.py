"""Who asks: a bearer token for programs, a session cookie for the pages.

Everything but `/health` and the signed webhook asks for one of them. A cookie alone changes
nothing: an unsafe method also needs the session's CSRF token.
"""

import hmac
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from itsdangerous import BadData, URLSafeTimedSerializer

from mailroom.bridge.context import Context, context_of
from mailroom.bridge.problems import Problem

COOKIE = "mailroom_session"
SESSION_SECONDS = 30 * 86_400
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"


@dataclass(frozen=True)
class Caller:
    """Whose mail the caller may see and decide; `csrf` is set for a browser's session. An
    operator may see everybody's."""

    owners: tuple[str, ...]
    operator: bool = True
    csrf: str | None = None


EVERYBODY = "*"


def new_session(context: Context, whose: str = EVERYBODY) -> str:
    return _signer(context).dumps(whose)


def owner_token(context: Context, owner: str) -> str:
    """One owner's own token; it follows from the operator's, and changes with it."""
    return _derived(context.secrets.token, owner)


@cache
def _derived(token: str, owner: str) -> str:
    return hmac.new(token.encode(), f"owner/{owner}".encode(), "sha256").hexdigest()


def csrf_token(context: Context, session: str) -> str:
    """Bound to the session, so that another site can't know it."""
    return hmac.new(context.secrets.session.encode(), session.encode(), "sha256").hexdigest()


def whose_token(context: Context, token: str) -> str | None:
    """`EVERYBODY` for the operator's token, an owner's ID for theirs, None for no token of ours."""
    if hmac.compare_digest(token.encode(), context.secrets.token.encode()):
        return EVERYBODY
    for owner in context.owners:
        if hmac.compare_digest(token.encode(), owner_token(context, owner).encode()):
            return owner
    return None


def session_of(request: Request) -> str | None:
    """The session cookie, if it is ours and not older than 30 days."""
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return None
    try:
        _signer(context_of(request)).loads(cookie, max_age=SESSION_SECONDS)
    except BadData:
        return None
    return cookie


def whose_session(context: Context, session: str) -> str:
    return str(_signer(context).loads(session))


async def caller(request: Request) -> Caller:
    context = context_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        whose = whose_token(context, token.strip())
        if whose is None:
            raise _unauthorized("This token is not the one of this Mailroom.")
        return _caller(context, whose)
    session = session_of(request)
    if session is None:
        raise _unauthorized(
            "A token is needed: send `Authorization: Bearer TOKEN`, or log in on the page."
        )
    csrf = csrf_token(context, session)
    await _check_csrf(request, csrf)
    return _caller(context, whose_session(context, session), csrf)


def _caller(context: Context, whose: str, csrf: str | None = None) -> Caller:
    if whose == EVERYBODY:
        return Caller(tuple(context.owners), csrf=csrf)
    if whose not in context.owners:
        raise _unauthorized("This owner is not here any more.")
    return Caller((whose,), operator=False, csrf=csrf)


async def _check_csrf(request: Request, expected: str) -> None:
    if request.method in SAFE_METHODS:
        return
    given = request.headers.get(CSRF_HEADER) or await _csrf_field(request)
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise Problem(HTTPStatus.FORBIDDEN, "This page is out of date (CSRF token); load it again.")


async def _csrf_field(request: Request) -> str:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return ""
    return str((await request.form()).get(CSRF_FIELD, ""))


def _unauthorized(detail: str) -> Problem:
    problem = Problem(HTTPStatus.UNAUTHORIZED, detail)
    problem.headers = {"WWW-Authenticate": "Bearer"}
    return problem


def _signer(context: Context) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(context.secrets.session, salt="session")


async def _context(request: Request) -> Context:
    """Async, since FastAPI sends every other dependency through a thread."""
    return context_of(request)


async def operator(caller: Annotated[Caller, Depends(caller)]) -> Caller:
    if not caller.operator:
        raise Problem(HTTPStatus.FORBIDDEN, "This takes the operator's token.")
    return caller


Who = Annotated[Caller, Depends(caller)]
The = Annotated[Context, Depends(_context)]
Operator = Annotated[Caller, Depends(operator)]
