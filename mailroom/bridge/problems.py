"""Errors as problem details (RFC 9457)."""

import re
from collections.abc import Sequence
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException as StarletteHTTPException

from mailroom.adapters.spool.files import SpoolFull
from mailroom.adapters.spool.locks import SpoolBusy
from mailroom.adapters.temporal import TemporalUnavailable
from mailroom.bridge.context import context_of
from mailroom.bridge.flows import NoAnswerYet, TooBusy

log = structlog.get_logger()

_NAMED = re.compile(r"([a-z_]+(?:\.[a-z_]+)*): (.+)", re.DOTALL)


class Problem(Exception):
    """An answer that is no success; `detail` is a sentence that says what to do."""

    def __init__(self, status: HTTPStatus, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.extra = extra
        self.headers: dict[str, str] = {}


def problem_response(
    status: int, detail: str, headers: dict[str, str] | None = None, **extra: object
) -> JSONResponse:
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **extra,
    }
    return JSONResponse(content, status, headers=headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for unavailable in (TemporalUnavailable, NoAnswerYet, OperationalError, PoolTimeoutError):
        app.add_exception_handler(unavailable, _unavailable)
    app.add_exception_handler(TooBusy, _busy)
    app.add_exception_handler(SpoolFull, _spool_full)
    app.add_exception_handler(SpoolBusy, _spool_busy)
    app.add_exception_handler(SQLAlchemyError, _refused_by_store)


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    extra = error.extra
    named = _NAMED.match(error.detail) if error.status == HTTPStatus.UNPROCESSABLE_ENTITY else None
    if named:
        extra = {"errors": [{"field": named[1], "message": named[2]}], **extra}
    return problem_response(error.status, error.detail, error.headers, **extra)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    headers = dict(error.headers) if error.headers else None
    return problem_response(error.status_code, str(error.detail), headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    fields = [_field(problem["loc"], problem["msg"]) for problem in error.errors()]
    first = fields[0]
    return problem_response(422, f"{first['field']}: {first['message']}.", errors=fields)


def _field(loc: Sequence[object], message: str) -> dict[str, str]:
    """What checks fields together says itself which one it means, before a colon."""
    # Of a union it would say what each of its types is called.
    path = [str(part) for part in loc if "[" not in str(part)]
    said = message.removeprefix("Value error, ")
    named = _NAMED.match(said) if said != message else None
    if named:
        path, said = [*path, named[1]], named[2]
    return {"field": ".".join(path), "message": said}


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    log.warning("a request met something that is away", error=str(error), path=request.url.path)
    detail = str(error) if isinstance(error, TemporalUnavailable | NoAnswerYet) else _STORE_AWAY
    way = context_of(request).handover.way
    if way.since:
        more = {"since": way.since.isoformat(), "spooled": way.kept}
        return problem_response(503, way.sentence or detail, {"Retry-After": "5"}, **more)
    return problem_response(503, detail, {"Retry-After": "5"})


async def _spool_full(request: Request, error: Exception) -> JSONResponse:
    log.error("the spool is full", path=request.url.path)
    return problem_response(HTTPStatus.INSUFFICIENT_STORAGE, str(error), {"Retry-After": "60"})


async def _spool_busy(request: Request, error: Exception) -> JSONResponse:
    log.error("the spool is busy", path=request.url.path, error=str(error))
    return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": "5"})


async def _busy(request: Request, error: Exception) -> JSONResponse:
    return problem_response(429, str(error), {"Retry-After": "1"})


async def _refused_by_store(request: Request, error: Exception) -> JSONResponse:
    log.error("the store refused a statement", error=str(error), path=request.url.path)
    return problem_response(500, "The store refused this request; the log says why.")


_STORE_AWAY = "PostgreSQL can't be reached right now; try again in a few seconds."
