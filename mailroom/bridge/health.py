"""Health (exactly the seed's keys), and metrics for Prometheus."""

import asyncio
from datetime import datetime

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mailroom.adapters.postgres.statistics import Counts, Statistics
from mailroom.adapters.spool.locks import METRICS
from mailroom.bridge.auth import The, Who
from mailroom.bridge.context import Context
from mailroom.bridge.letter_gauges import letter_gauges
from mailroom.bridge.queue_gauges import queue_gauges
from mailroom.bridge.way import reason_of
from mailroom.models.outbound.queue_figures import QueueScope
from mailroom.models.spool import Kind, Queue

router = APIRouter(tags=["health"])


SERVICE = "orchestrator"


class Health(BaseModel):
    status: str
    service: str = SERVICE
    workflows: Counts
    last_poll: datetime | None = None
    spooled: int = Field(default=0, description="messages that are kept until the way is open")
    since: datetime | None = Field(default=None, description="of which on the way is closed")


NOTHING_KNOWN = Counts(pending=0, awaiting_user=0, completed_today=0, failed=0)


@router.get("/health", response_model_exclude_unset=True)
async def health(the: The, response: Response) -> Health:
    """200 and `healthy` once Temporal and PostgreSQL answer; else 503 and `degraded`, since when,
    and how many messages are `spooled`."""
    way = the.handover.way
    counts, last_poll = NOTHING_KNOWN, None
    healthy = False
    try:
        counts = await the.statistics.counts()
        last_poll = await the.statistics.last_poll()
        healthy = await the.flows.healthy()
        if not healthy:
            way.close("Temporal can't be reached.")
    except (SQLAlchemyError, OSError) as error:
        way.close(reason_of(error))
    response.status_code = 200 if healthy else 503
    more = {"spooled": way.kept, "since": way.since} if way.since or way.kept else {}
    return Health(
        status="healthy" if healthy else "degraded",
        service=SERVICE,
        workflows=counts,
        last_poll=last_poll,
        **more,
    )


@router.get("/metrics")
async def metrics(the: The, who: Who) -> Response:
    """Prometheus text format. While PostgreSQL is away, those of this process alone."""
    content = generate_latest(METRICS) + generate_latest(await _spooled(the))
    try:
        figures = await the.statistics.statistics(None if who.operator else who.owners)
        content += generate_latest(gauges(figures))
        if who.operator:
            content += generate_latest(letter_gauges(await the.letter_figures.counts()))
            statuses = await the.queue_figures.statuses(QueueScope())
            content += generate_latest(queue_gauges(statuses, await the.queue_figures.totals()))
    except (OperationalError, PoolTimeoutError) as error:
        the.handover.way.close(reason_of(error))
    return Response(content, media_type=CONTENT_TYPE_LATEST)


async def _spooled(the: Context) -> CollectorRegistry:
    registry = CollectorRegistry()
    entries = Gauge("mailroom_spool_entries", "That wait", ["queue", "kind"], registry=registry)
    for queue in Queue:
        counts = await asyncio.to_thread(the.handover.spool.counts, queue)
        for kind in Kind:
            entries.labels(queue, kind).set(counts[kind])
    _gauge(registry, "mailroom_way_open", "To Temporal and PostgreSQL", the.handover.way.is_open)
    return registry


def gauges(figures: Statistics) -> CollectorRegistry:
    registry = CollectorRegistry()
    states = Gauge("mailroom_mails", "Mails by state", ["state"], registry=registry)
    for state, count in figures.states.items():
        states.labels(state).set(count)
    _gauge(registry, "mailroom_mails_per_hour", "Over 24 h", figures.emails_per_hour)
    _gauge(registry, "mailroom_seconds_to_sms", "Mean over 24 h", figures.seconds_to_sms)
    _gauge(registry, "mailroom_response_seconds", "Mean over 24 h", figures.response_seconds)
    rates = Gauge("mailroom_response_rate", "By last word", ["command"], registry=registry)
    for command, rate in figures.response_rate.items():
        rates.labels(command).set(rate)
    failures = Gauge("mailroom_failure_rate", "By stage", ["stage"], registry=registry)
    for stage, rate in figures.failure_rate.items():
        failures.labels(stage).set(rate)
    return registry


def _gauge(registry: CollectorRegistry, name: str, text: str, value: float | None) -> None:
    """What has not been measured is left out, not shown as nought."""
    if value is not None:
        Gauge(name, text, registry=registry).set(value)
