"""Messages by status and queue, and what waits by its age: looks that cost the same however many
messages there are, or as much as those that wait."""

from datetime import timedelta

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mailroom.adapters.postgres import queue_figures_sql as sql
from mailroom.adapters.postgres.queue_rows import ANSWER
from mailroom.adapters.postgres.schema_metrics import WAITS
from mailroom.models.outbound.listing import Overview
from mailroom.models.outbound.queue_figures import (
    COLUMN_MINUTES,
    DomainAges,
    QueueAges,
    QueueScope,
)
from mailroom.models.outbound.words import MessageQueueStatus

MOST_QUEUES = 50


async def statuses(connection: AsyncConnection, scope: QueueScope) -> dict[MessageQueueStatus, int]:
    """Those that there are."""
    of = sql.source(scope)
    found: dict[MessageQueueStatus, int] = {}
    for row in await connection.execute(sql.standing(of), of.values):
        found[row.status] = found.get(row.status, 0) + int(row.messages)
    return {status: number for status, number in found.items() if number}


async def overview(engine: AsyncEngine, campaign_id: str | None) -> Overview:
    """The longest queues, with their state and the last error of what waits."""
    scope = QueueScope(campaign_id=campaign_id)
    of = sql.source(scope)
    values = {**of.values, "limit": MOST_QUEUES}
    at_once = engine.execution_options(isolation_level="REPEATABLE READ")
    async with at_once.begin() as connection:
        counts = await statuses(connection, scope)
        longest = _LONGEST_OF_CAMPAIGN if campaign_id else _LONGEST
        queues = (await connection.execute(longest, values)).mappings().all()
    return Overview.model_validate({
        "messages_by_status": counts,
        "queues": [dict(row) for row in queues],
    })  # fmt: skip


async def ages(engine: AsyncEngine, scope: QueueScope, limit: int) -> QueueAges:
    """What waits by domain and age: all of it first, then the deepest domains."""
    of = sql.source(scope)
    edges = [timedelta(minutes=each) for each in reversed(COLUMN_MINUTES)]
    values = {**of.values, "edges": edges, "limit": limit + 1}
    async with engine.connect() as connection:
        [every, *deepest] = (await connection.execute(_ages(of), values)).mappings().all()
    return QueueAges(
        columns=list(COLUMN_MINUTES),
        total=int(every["total"] or 0),
        domains=every["domains"],
        ages=_columns(every),
        deepest=[_domain(row) for row in deepest],
    )


def _domain(row: RowMapping) -> DomainAges:
    known = {"domain": row["domain"], "total": row["total"], "last_error": row["last_error"]}
    return DomainAges.model_validate({**known, "ages": _columns(row)})


def _columns(row: RowMapping) -> list[int]:
    return [int(row[f"age_{place}"] or 0) for place in range(len(COLUMN_MINUTES) + 1)]


def _ages(of: sql.Source) -> TextClause:
    # width_bucket says how many of the edges, the oldest first, a message is younger than.
    last = len(COLUMN_MINUTES)
    columns = ", ".join(
        f"sum(messages) FILTER (WHERE younger = {last - place}) AS age_{place}"
        for place in range(last + 1)
    )
    return text(f"""
        WITH edges AS (
            SELECT array_agg(now() - age ORDER BY age DESC) AS moments
            FROM unnest(CAST(:edges AS interval[])) AS age
        ), cells AS (
            SELECT m.domain, width_bucket(m.created_at, (SELECT moments FROM edges)) AS younger,
                   count(*) AS messages
            FROM message_queue AS m WHERE {of.rows} AND {sql.ROW_WAITS}
            GROUP BY m.domain, younger
        ), domains AS (
            SELECT domain, grouping(domain) AS every, sum(messages) AS total,
                   count(*) OVER () - 1 AS domains, {columns}
            FROM cells GROUP BY GROUPING SETS ((domain), ())
            ORDER BY every DESC, total DESC, domain LIMIT :limit
        )
        SELECT domains.*, (
            SELECT {_ERROR} FROM message_queue AS m
            WHERE m.domain = domains.domain AND {of.rows} AND {_FAILED}
            ORDER BY m.last_attempt_at DESC LIMIT 1
        ) AS last_error
        FROM domains ORDER BY every DESC, total DESC, domain
    """)  # noqa: S608


# Of what an operator suspended, the reason is the operator's.
_ERROR = f"""
    CASE WHEN m.status = 'suspended' THEN coalesce({ANSWER.format("m")}, m.last_bounce_reason)
         ELSE m.last_bounce_reason END
"""
_FAILED = f"m.last_bounce_reason IS NOT NULL AND m.last_attempt_at IS NOT NULL AND {sql.ROW_WAITS}"
# Of a state that has not passed.
_LASTS = "q.state <> 'active' AND (q.until IS NULL OR q.until > now() OR q.set_by = 'health')"
_SHOWN = f"""
    SELECT longest.queue_name, longest.waiting, coalesce(q.state, 'active') AS state,
           q.reason, q.until, held.messages AS held, oldest.at AS oldest, error.said AS last_error
    FROM longest
    LEFT JOIN queues AS q ON q.queue_name = longest.queue_name AND {_LASTS}
    CROSS JOIN LATERAL (
        SELECT count(*) AS messages FROM message_queue AS m
        WHERE m.queue_name = longest.queue_name AND m.held AND {{rows}}
    ) AS held
    CROSS JOIN LATERAL (
        SELECT m.created_at AS at FROM message_queue AS m
        WHERE m.queue_name = longest.queue_name AND {sql.ROW_WAITS} AND {{rows}}
        ORDER BY m.created_at LIMIT 1
    ) AS oldest
    LEFT JOIN LATERAL (
        SELECT {_ERROR} AS said FROM message_queue AS m
        WHERE m.queue_name = longest.queue_name AND {_FAILED} AND {{rows}}
        ORDER BY m.last_attempt_at DESC LIMIT 1
    ) AS error ON true
    ORDER BY longest.waiting DESC, longest.queue_name
"""  # noqa: S608
_LONGEST = text(f"""
    WITH longest AS (
        SELECT name AS queue_name, sum(messages) AS waiting FROM (
            SELECT name, messages FROM queue_counters
            WHERE dimension = 'queue' AND {WAITS}
            UNION ALL
            SELECT queue_name, messages FROM queue_changes WHERE {WAITS}
        ) AS each GROUP BY name HAVING sum(messages) > 0
        ORDER BY waiting DESC, name COLLATE "C" LIMIT :limit
    )
    {_SHOWN.format(rows="true")}
""")  # noqa: S608
_LONGEST_OF_CAMPAIGN = text(f"""
    WITH longest AS (
        SELECT m.queue_name, count(*) AS waiting FROM message_queue AS m
        WHERE m.campaign_id = :name AND {sql.ROW_WAITS}
        GROUP BY m.queue_name ORDER BY waiting DESC, m.queue_name LIMIT :limit
    )
    {_SHOWN.format(rows="m.campaign_id = :name")}
""")  # noqa: S608
