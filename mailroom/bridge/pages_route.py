"""Routes for people: HTML whatever happens, and headers that bind the browser."""

import json
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.routing import APIRoute

from mailroom.bridge.auth import SAFE_METHODS
from mailroom.bridge.pages_html import is_htmx, render
from mailroom.bridge.problems import Problem

FORM_BYTES = 64 * 1024

# htmx gets by without eval, inline script or inline style.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Pages hold other people's letters: no copy stays in the browser's cache.
    "Cache-Control": "no-store",
}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """Says as a page what the API says as problem details; asks strangers to log in."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def page(request: Request) -> Response:
            try:
                _check_length(request)
                response = await handle(request)
            except Exception as error:  # noqa: BLE001  what the app has no answer for is raised again
                response = await _said(request, error)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return page


def _check_length(request: Request) -> None:
    """Forms are read before anybody is asked who they are."""
    if request.method in SAFE_METHODS:
        return
    chunked = "transfer-encoding" in request.headers
    if chunked or int(request.headers.get("content-length", 0)) > FORM_BYTES:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A form may have {FORM_BYTES:,} bytes at most."
        )


async def _said(request: Request, error: Exception) -> Response:
    if isinstance(error, Problem) and error.status is HTTPStatus.UNAUTHORIZED:
        return _to_login(request)
    if isinstance(error, RequestValidationError):
        return sentence(request, 422, "This address or form has a value that can't be used.")
    problem = await _problem(request, error)
    detail = json.loads(bytes(problem.body))["detail"]
    response = sentence(request, problem.status_code, detail)
    if "retry-after" in problem.headers:
        response.headers["Retry-After"] = problem.headers["retry-after"]
    return response


async def _problem(request: Request, error: Exception) -> JSONResponse:
    """What the API would answer; raises what it has no answer for."""
    handlers = request.app.exception_handlers
    handler = next((handlers[kind] for kind in type(error).__mro__ if kind in handlers), None)
    problem = await handler(request, error) if handler else None
    if not isinstance(problem, JSONResponse):
        raise error
    return problem


def _to_login(request: Request) -> Response:
    if is_htmx(request):
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": "/login"})
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method not in SAFE_METHODS or here == "/":
        return RedirectResponse("/login", 303)
    return RedirectResponse(f"/login?next={quote(here, safe='')}", 303)


def sentence(request: Request, status: int, text: str) -> Response:
    """One sentence: in the page's line for it where htmx asks, else as a page of its own."""
    if is_htmx(request):
        return render(request, "_notice.html", None, {"text": text, "bad": True}, status)
    return render(request, "sentence.html", None, {"text": text}, status)
