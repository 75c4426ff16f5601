"""The figures of queues as people look at them (seed 004, section 2.1)."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from mailroom.adapters.postgres import queue_figures_sql as sql
from mailroom.adapters.postgres import queue_overview
from mailroom.adapters.postgres.engine import Engines
from mailroom.adapters.postgres.queue_counts import PostgresQueueCounts
from mailroom.adapters.postgres.schema_metrics import EVENTS
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.metrics import DomainHealthScore, QueueMetrics
from mailroom.models.outbound.queue_figures import QueueAges, QueueScope, QueueSeries, span
from mailroom.models.outbound.standing import Depths, Lately, Standing, metrics_of
from mailroom.models.outbound.transitions import WAITING
from mailroom.models.outbound.words import MessageQueueStatus

MOST_DEPTHS = 1_000
MOST_UNFOLDED = 2_000
"""Changes that are read line by line at each look."""
FOLDED_AT_ONCE, MOST_FOLDS = 5_000, 100

_WAITING = [status.value for status in WAITING]
_SINCE = {"hour": sql.HOUR, "day": sql.DAY, "week": sql.WEEK}


class PostgresQueueFigures:
    def __init__(self, engines: Engines, outbound: OutboundSection) -> None:
        self._engines = engines
        self._counts = PostgresQueueCounts(engines.write)
        self._outbound = outbound
        self._folding: asyncio.Task[None] | None = None

    async def metrics(self, scope: QueueScope) -> QueueMetrics:
        await self._look_after()
        of = sql.source(scope)
        async with self._moment() as connection:
            now = await connection.scalar(text("SELECT now()"))
            standing = _standing(await _rows(connection, sql.standing(of), of.values))
            [recent] = await _rows(connection, sql.lately(of), {**of.values, **_SINCE})
            depths = await (_narrowed(connection, of) if scope.given else _all(connection))
            domains = {*depths.by_domain, *filter(None, [scope.domain])}
            health = await _rows(connection, sql.HEALTH, {"domains": list(domains)})
        scores = {row["domain"]: self._score(row) for row in health}
        lately = Lately.model_validate(dict(recent))
        return metrics_of(standing, depths, lately, scores, now)

    async def statuses(self, scope: QueueScope) -> Mapping[MessageQueueStatus, int]:
        """How many messages there are, by status."""
        async with self._moment() as connection:
            return await queue_overview.statuses(connection, scope)

    async def ages(self, scope: QueueScope, limit: int) -> QueueAges:
        """What waits by domain and age, as Postfix's qshape shows it."""
        return await queue_overview.ages(self._engines.read, scope, limit)

    async def totals(self) -> Mapping[str, int]:
        """What has happened since messages are counted, by event."""
        async with self._engines.read.connect() as connection:
            return {row.event: int(row.messages) for row in await connection.execute(sql.TOTALS)}

    async def series(self, scope: QueueScope, length: timedelta) -> QueueSeries:
        """By one queue, domain, campaign or tenant at most. What is older than three hours, and
        not of all, is known by the hour."""
        await self._look_after()
        of = sql.source(scope)
        coarse = bool(scope.given) and length > timedelta(hours=2)
        async with self._moment() as connection:
            now: datetime = await connection.scalar(text("SELECT now()"))
            over = span(now, length, 3_600 if coarse else 60)
            values = {**of.values, "begin": over.begin, "step": over.step.total_seconds()}
            rows = await _rows(connection, sql.series(of, "hour" if coarse else "minute"), values)
        step, begin = int(over.step.total_seconds()), int(over.begin.timestamp())
        points = {row["place"]: row for row in rows}
        lines = {
            event: [int(points[n][event]) if n in points else 0 for n in range(over.points)]
            for event in EVENTS
        }
        at = [begin + n * step for n in range(over.points)]
        return QueueSeries.model_validate({"step_seconds": step, "at": at, **lines})

    async def _look_after(self) -> None:
        """The minute's look adds up what has changed; where it is late, somebody who reads begins,
        and waits for nothing: what is left is read line by line."""
        if self._folding and not self._folding.done():
            return
        async with self._engines.read.connect() as connection:
            left = await connection.scalar(sql.UNFOLDED, {"limit": MOST_UNFOLDED + 1})
        if int(left or 0) > MOST_UNFOLDED:
            self._folding = asyncio.create_task(self._fold())

    async def _fold(self) -> None:
        # Whatever comes in between: the next minute takes what is left.
        with suppress(SQLAlchemyError, OSError):
            for _ in range(MOST_FOLDS):
                if await self._counts.fold(FOLDED_AT_ONCE) < FOLDED_AT_ONCE:
                    break

    @asynccontextmanager
    async def _moment(self) -> AsyncIterator[AsyncConnection]:
        """All statements see the same: what is folded meanwhile is neither missed nor counted
        twice."""
        engine = self._engines.read.execution_options(isolation_level="REPEATABLE READ")
        async with engine.begin() as connection:
            yield connection

    def _score(self, row: RowMapping) -> DomainHealthScore:
        rate = self._outbound.rate_of(row["domain"])
        return DomainHealthScore.model_validate({**row, "throttle_rate": rate})


async def _rows(
    connection: AsyncConnection, statement: TextClause, values: Mapping[str, object]
) -> Sequence[RowMapping]:
    return (await connection.execute(statement, values)).mappings().all()


def _standing(rows: Sequence[RowMapping]) -> list[Standing]:
    return [Standing.model_validate(dict(row)) for row in rows]


async def _all(connection: AsyncConnection) -> Depths:
    values = {"limit": MOST_DEPTHS}
    by = {
        column: {
            row["name"]: int(row["messages"])
            for row in await _rows(connection, sql.deepest(dimension, column), values)
        }
        for dimension, column in (("domain", "domain"), ("campaign", "campaign_id"))
    }
    [ends] = await _rows(connection, sql.ENDS, {"waiting": _WAITING})
    return Depths(by_domain=by["domain"], by_campaign=by["campaign_id"], **ends)


async def _narrowed(connection: AsyncConnection, of: sql.Source) -> Depths:
    rows = await _rows(connection, sql.waiting(of), {**of.values, "limit": MOST_DEPTHS})
    [all_of_it] = [row for row in rows if row["level"] == 3]
    return Depths(
        by_domain={row["name"]: row["messages"] for row in rows if row["level"] == 2},
        by_campaign={
            row["name"]: row["messages"] for row in rows if row["level"] == 1 and row["name"]
        },
        oldest=all_of_it["oldest"],
        newest=all_of_it["newest"],
    )
