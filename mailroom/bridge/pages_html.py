"""Templates, and the sentence that a page shows after something was done."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from itsdangerous import BadData, URLSafeTimedSerializer
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.routing import NoMatchFound

from mailroom.bridge import pages_agent_words, pages_outbound_words, pages_words
from mailroom.bridge.auth import Caller
from mailroom.bridge.context import context_of
from mailroom.models.attached import size_words

HERE = Path(__file__).parent
STATIC = HERE / "static"
NOTICE_COOKIE = "mailroom_notice"
NOTICE_SECONDS = 60


def render(
    request: Request,
    template: str,
    who: Caller | None,
    shown: Mapping[str, object],
    status: int = 200,
) -> HTMLResponse:
    """A page or a part of one; `who` is None where nobody is logged in."""
    known: dict[str, object] = {
        "who": who,
        "csrf": who.csrf or "" if who else "",
        "temporal_ui": context_of(request).temporal_ui,
        "notice": _notice(request),
    }
    response = _templates.TemplateResponse(request, template, known | dict(shown), status)
    if known["notice"]:
        response.delete_cookie(NOTICE_COOKIE)
    return response


def rendered(template: str, **values: object) -> str:
    """A part of a page for an event stream."""
    return _templates.get_template(template).render(values)


def is_htmx(request: Request) -> bool:
    """Whether a part of a page is asked for; without JavaScript it is always a page."""
    return request.headers.get("HX-Request") == "true"


def back_to(request: Request, path: str, notice: str) -> Response:
    """To a page that shows the sentence once; it travels in a cookie, not in the address."""
    response = RedirectResponse(path, 303)
    response.set_cookie(
        NOTICE_COOKIE,
        _signer(request).dumps(notice),
        max_age=NOTICE_SECONDS,
        httponly=True,
        samesite="lax",
        secure=secure(request),
    )
    return response


def secure(request: Request) -> bool:
    """Whether cookies are for HTTPS only; `install` knows the public URL."""
    return bool(request.app.state.https)


def _notice(request: Request) -> str | None:
    cookie = request.cookies.get(NOTICE_COOKIE)
    if not cookie:
        return None
    try:
        return str(_signer(request).loads(cookie, max_age=NOTICE_SECONDS))
    except BadData:
        return None


def _signer(request: Request) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(context_of(request).secrets.session, salt="notice")


@cache
def _static(name: str) -> str:
    """The address changes with the content, so that browsers may keep the file for good."""
    return f"/static/{name}?v={sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def _has_page(request: Request, name: str) -> bool:
    """Phone and outbox exist only in the local stack."""
    try:
        request.app.url_path_for(name)
    except NoMatchFound:
        return False
    return True


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(static=_static, has_page=_has_page, is_htmx=is_htmx)
    environment.globals.update(way_of=lambda request: context_of(request).handover.way)
    environment.filters.update(
        age=pages_words.age,
        size=size_words,
        clock=pages_words.clock,
        one_line=pages_words.one_line,
        sender=pages_words.sender,
        state_words=pages_words.state_words,
        tone=pages_words.tone,
    )
    environment.filters.update(
        circuit_tone=pages_agent_words.circuit_tone,
        letter_state=pages_agent_words.letter_state,
        letter_tone=pages_agent_words.letter_tone,
    )
    environment.filters.update(
        last_word=pages_outbound_words.last_word,
        maybe_sent=pages_outbound_words.maybe_sent,
        queue_tone=pages_outbound_words.queue_tone,
        score_tone=pages_outbound_words.score_tone,
        status_name=pages_outbound_words.status_name,
        status_tone=pages_outbound_words.status_tone,
        status_words=pages_outbound_words.status_words,
    )
    return environment


_templates = Jinja2Templates(env=_environment())
