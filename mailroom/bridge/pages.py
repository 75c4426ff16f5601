"""The pages: replies, links from texts, figures, agents' mail, login. Installed by `install`."""

import asyncio

from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

from mailroom.bridge import (
    pages_agents,
    pages_box,
    pages_dead,
    pages_domains,
    pages_events,
    pages_link,
    pages_login,
    pages_mail,
    pages_mails,
    pages_one_letter,
    pages_operations,
    pages_operations_asking,
    pages_outbound,
    pages_outbound_events,
    pages_outbound_list,
    pages_outbound_one,
    pages_routing,
    pages_stats,
    pages_suspensions,
)
from mailroom.bridge.pages_html import STATIC

router = APIRouter()
for part in (
    pages_login,
    pages_mails,
    pages_mail,
    pages_link,
    pages_events,
    pages_stats,
    pages_agents,
    pages_box,
    pages_one_letter,
    pages_dead,
    pages_routing,
    pages_outbound,
    pages_outbound_events,
    pages_outbound_list,
    pages_operations_asking,
    pages_operations,
    pages_domains,
    pages_suspensions,
    pages_outbound_one,
):
    router.include_router(part.router)


def install(app: FastAPI, *, https: bool = False) -> None:
    """`https` says that browsers reach us by it, so that cookies are for it alone.

    Who serves the app sets `app.state.stopping` when it stops; open event streams end by it.
    """
    app.state.https = https
    app.state.stopping = asyncio.Event()
    app.state.login_limiter = pages_login.new_limiter()
    app.mount("/static", _Static(directory=STATIC), name="static")
    app.include_router(router)


class _Static(StaticFiles):
    """Files whose address changes with their content (`?v=`): kept by browsers for good."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        lasting = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if lasting else "no-cache"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
