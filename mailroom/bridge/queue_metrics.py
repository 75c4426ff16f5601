"""`/queue/metrics` and `/queue/top`: outbound messages in figures, and what waits by its age."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.problems import Problem
from mailroom.bridge.queue_searching import not_too_slow
from mailroom.models.base import Frozen
from mailroom.models.outbound.filters import Domain, Term
from mailroom.models.outbound.metrics import QueueMetrics
from mailroom.models.outbound.queue_figures import (
    LONGEST_SERIES,
    QueueAges,
    QueueScope,
    QueueSeries,
)

router = APIRouter(prefix="/queue", tags=["queue"], route_class=ApiRoute)

MOST_DOMAINS = 1_000
_MOST_HOURS = int(LONGEST_SERIES / timedelta(hours=1))
_MOST_MINUTES = 60 * _MOST_HOURS


class Scope(Frozen):
    """Of which messages figures are; what is not given does not matter."""

    queue_name: Term | None = None
    domain: Domain | None = None
    campaign_id: Term | None = None
    tenant_id: Term | None = None

    @property
    def figures(self) -> QueueScope:
        return QueueScope.model_validate(self.model_dump(include=set(QueueScope.model_fields)))


class SeriesScope(Scope):
    minutes: int | None = Field(default=None, ge=1, le=_MOST_MINUTES)
    hours: int | None = Field(default=None, ge=1, le=_MOST_HOURS)


class TopScope(Scope):
    limit: int = Field(default=50, ge=1, le=MOST_DOMAINS)


@router.get("/metrics", response_model_exclude_none=True)
async def metrics(the: The, who: Operator, asked: Annotated[Scope, Query()]) -> QueueMetrics:
    """Of all messages, or of those of a queue, domain, campaign and tenant. `queue_depth` and what
    has to do with it is of those that wait; depths are the 1,000 deepest."""
    scope = asked.figures
    async with not_too_slow(scope.selection):
        return await the.queue_figures.metrics(scope)


@router.get("/metrics/series")
async def series(the: The, who: Operator, asked: Annotated[SeriesScope, Query()]) -> QueueSeries:
    """What happened in the last hour, or so many minutes or hours: 500 points at most."""
    scope = asked.figures
    if asked.minutes and asked.hours:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "hours: Give minutes or hours, not both.")
    if len(scope.given) > 1:
        first, second = list(scope.given)[:2]
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"{second}: A series is of one of them; leave out {first} or {second}.",
        )
    length = timedelta(hours=asked.hours or 0, minutes=asked.minutes or 0)
    return await the.queue_figures.series(scope, length or timedelta(hours=1))


@router.get("/top", response_model_exclude_none=True)
async def top(the: The, who: Operator, asked: Annotated[TopScope, Query()]) -> QueueAges:
    """What waits, by domain and age as Postfix's qshape shows it: the deepest domains, each with
    the last error of what waits there."""
    scope = asked.figures
    async with not_too_slow(scope.selection):
        return await the.queue_figures.ages(scope, asked.limit)
