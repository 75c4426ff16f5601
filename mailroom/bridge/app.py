"""The bridge: HTTP between people, gateways and workflows."""

from collections.abc import Sequence
from importlib.metadata import version

from fastapi import APIRouter, FastAPI

from mailroom.bridge import health, problems, sms, workflows
from mailroom.bridge.context import Context


def create_app(context: Context, more: Sequence[APIRouter] = ()) -> FastAPI:
    """The app; `more` are routes that only a local stack has."""
    app = FastAPI(
        title="Mailroom",
        version=version("mailroom"),
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    app.state.sms_limiter = sms.new_limiter()
    problems.install(app)
    for router in (health.router, sms.router, *more, workflows.router):
        app.include_router(router)
    return app
