"""The bridge: HTTP between people, gateways and workflows."""

from collections.abc import Sequence
from importlib.metadata import version

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from mailroom.bridge import (
    agent_tokens,
    attachments,
    forget,
    health,
    kumomta,
    letter_actions,
    letter_bulk,
    letter_overview,
    letter_reading,
    letter_rules,
    letters,
    owners,
    pages,
    problems,
    queue_export,
    queue_kumomta,
    queue_legacy,
    queue_metrics,
    queue_migrations,
    queue_operations,
    queue_queues,
    queue_reading,
    queue_searching,
    queue_submitting,
    queue_suppressions,
    queue_suspensions,
    retention,
    session_events,
    sessions,
    sms,
    spool,
    stats,
    twilio,
    unsubscribe,
    webhooks,
    workflows,
)
from mailroom.bridge.auth import Who
from mailroom.bridge.context import Context
from mailroom.bridge.forwarder import Forwarder
from mailroom.bridge.openapi import described

description = APIRouter(include_in_schema=False)


def create_app(context: Context, more: Sequence[APIRouter] = ()) -> FastAPI:
    """The app; `more` are routes that only a local stack has."""
    app = FastAPI(
        title="Mailroom",
        version=version("mailroom"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    app.state.forwarder = Forwarder(context)
    app.state.sms_limiter = webhooks.new_limiter()
    app.state.unsubscribe_limiter = webhooks.new_limiter()
    problems.install(app)
    # Routes are tried one after the other: those that agents ask all the time come first.
    for router in (sessions.router, session_events.router, letters.router):
        app.include_router(router)
    pages.install(app, https=context.https)
    for router in (
        description,
        health.router,
        owners.router,
        sms.router,
        twilio.router,
        *more,
        forget.router,
        retention.router,
        spool.router,
        stats.router,
        agent_tokens.router,
        letter_overview.router,
        letter_rules.router,
        letter_reading.router,
        letter_bulk.router,
        letter_actions.router,
        queue_submitting.router,
        queue_searching.router,
        queue_metrics.router,
        queue_export.router,
        queue_reading.router,
        queue_operations.router,
        queue_queues.router,
        queue_suspensions.router,
        queue_kumomta.router,
        attachments.router,
        queue_suppressions.router,
        kumomta.router,
        queue_migrations.router,
        queue_legacy.router,
        unsubscribe.router,
        workflows.router,
    ):
        app.include_router(router)
    return app


@description.get("/openapi.json")
async def openapi(request: Request, who: Who) -> JSONResponse:
    return JSONResponse(described(request.app))
