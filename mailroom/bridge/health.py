"""Health (exactly the seed's keys), and metrics for Prometheus."""

from datetime import datetime

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from mailroom.adapters.postgres.statistics import Counts, Statistics
from mailroom.bridge.auth import The, Who

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: str
    service: str = "orchestrator"
    workflows: Counts
    last_poll: datetime | None = None


NOTHING_KNOWN = Counts(pending=0, awaiting_user=0, completed_today=0, failed=0)


@router.get("/health")
async def health(the: The, response: Response) -> Health:
    """200 and `healthy` once Temporal and PostgreSQL answer; else 503 and `degraded`."""
    counts, last_poll = NOTHING_KNOWN, None
    store = True
    try:
        counts = await the.statistics.counts()
        last_poll = await the.statistics.last_poll()
    except (SQLAlchemyError, OSError):
        store = False
    healthy = store and await the.flows.healthy()
    response.status_code = 200 if healthy else 503
    status = "healthy" if healthy else "degraded"
    return Health(status=status, workflows=counts, last_poll=last_poll)


@router.get("/metrics")
async def metrics(the: The, who: Who) -> Response:
    """Prometheus text format."""
    registry = gauges(await the.statistics.statistics(None if who.operator else who.owners))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


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
