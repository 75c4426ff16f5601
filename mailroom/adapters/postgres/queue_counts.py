"""Adds up what changed about messages (port `QueueCounts`).

The lines of `queue_changes` are written by triggers and taken by nobody but this. Who reads adds
those that are left to the counters, so that figures are exact at any moment.
"""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.schema_metrics import EVENTS, FIGURES

MINUTES_KEPT = timedelta(days=8)
"""One day more than the longest time that is asked for; so are hours."""
MINUTES_OF_ONE_KEPT = timedelta(hours=3)
"""Of one domain, queue, campaign or tenant; older ones are counted by the hour alone."""
REMOVED_AT_ONCE = 5_000
MOST_REMOVALS = 20


class PostgresQueueCounts:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def fold(self, limit: int) -> int:
        async with self._engine.connect() as connection:
            values = {"limit": limit, "kept": MINUTES_KEPT, "kept_of_one": MINUTES_OF_ONE_KEPT}
            return int(await connection.scalar(_FOLD, values) or 0)

    async def tidy(self) -> None:
        values = {
            "kept": MINUTES_KEPT,
            "kept_of_one": MINUTES_OF_ONE_KEPT,
            "limit": REMOVED_AT_ONCE,
        }
        async with self._engine.connect() as connection:
            for statement in (_OLD_MINUTES, _OLD_MINUTES_OF_ALL, _OLD_HOURS, _NOUGHTS):
                # What is left over, the next minute removes.
                for _ in range(MOST_REMOVALS):
                    removed = (await connection.execute(statement, values)).rowcount
                    if removed < REMOVED_AT_ONCE:
                        break


def _sums(names: tuple[str, ...]) -> str:
    return ", ".join(f"sum({name}) AS {name}" for name in names)


def _added(names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = c.{name} + excluded.{name}" for name in names)


def _by(table: str, unit: str, kept: str) -> str:
    """Events by minute or hour; those that cancel out leave no line."""
    names = ", ".join(EVENTS)
    return f"""
        INSERT INTO {table} AS c (dimension, name, at, {names})
        SELECT dimension, name, date_trunc('{unit}', at, 'UTC') AS unit, {_sums(EVENTS)}
        FROM happened WHERE {kept}
        GROUP BY dimension, name, unit
        HAVING {" OR ".join(f"sum({event}) <> 0" for event in EVENTS)}
        ORDER BY dimension, name, unit
        ON CONFLICT (dimension, name, at) DO UPDATE SET {_added(EVENTS)}
    """  # noqa: S608  names of columns


_FIGURES = ", ".join(FIGURES)
# Rows are locked in one order, so that two that add up at once don't wait for each other.
_FOLD = text(f"""
    WITH taken AS MATERIALIZED (
        DELETE FROM queue_changes WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM queue_changes LIMIT :limit FOR UPDATE SKIP LOCKED))
        RETURNING *
    ), each AS MATERIALIZED (
        SELECT of.dimension, of.name, taken.*
        FROM taken CROSS JOIN LATERAL (VALUES
            ('all', ''), ('queue', queue_name), ('domain', domain),
            ('campaign', campaign_id), ('tenant', tenant_id)) AS of (dimension, name)
        WHERE of.name IS NOT NULL
    ), happened AS MATERIALIZED (
        SELECT dimension, name, submitted_at AS at, messages AS submitted, 0 AS delivered,
               0 AS bounced, 0 AS deferred, 0 AS expired, 0 AS cancelled
        FROM each WHERE submitted_at IS NOT NULL
        UNION ALL
        SELECT dimension, name, delivered_at, 0, timed, 0, 0, 0, 0
        FROM each WHERE delivered_at IS NOT NULL
        UNION ALL
        SELECT dimension, name, event_at, 0, 0, bounced, deferred, expired, cancelled
        FROM each WHERE event_at IS NOT NULL
    ), counted AS (
        INSERT INTO queue_counters AS c (dimension, name, status, bounce_class, {_FIGURES})
        SELECT dimension, name, status, bounce_class, {_sums(FIGURES)}
        FROM each GROUP BY dimension, name, status, bounce_class
        HAVING {" OR ".join(f"sum({figure}) <> 0" for figure in FIGURES)}
        ORDER BY dimension, name, status, bounce_class
        ON CONFLICT (dimension, name, status, bounce_class) DO UPDATE SET {_added(FIGURES)}
    ), minutes AS (
        {
    _by(
        "queue_minutes",
        "minute",
        '''
            at > now() - CASE WHEN dimension = 'all' THEN CAST(:kept AS interval)
                              ELSE CAST(:kept_of_one AS interval) END''',
    )
}
    ), hours AS (
        {_by("queue_hours", "hour", "at > now() - CAST(:kept AS interval)")}
    ), totals AS (
        INSERT INTO queue_totals AS c (event, messages)
        SELECT event, sum(greatest(number, 0))
        FROM taken CROSS JOIN LATERAL (VALUES
            ('submitted', CASE WHEN submitted_at IS NOT NULL THEN messages END),
            ('delivered', CASE WHEN delivered_at IS NOT NULL THEN timed END),
            ('bounced', bounced), ('deferred', deferred),
            ('expired', expired), ('cancelled', cancelled)) AS of (event, number)
        GROUP BY event HAVING sum(greatest(number, 0)) > 0 ORDER BY event
        ON CONFLICT (event) DO UPDATE SET messages = c.messages + excluded.messages
    )
    SELECT count(*) FROM taken
""")  # noqa: S608
_OLD_MINUTES = text("""
    DELETE FROM queue_minutes WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM queue_minutes
        WHERE dimension <> 'all' AND at < now() - :kept_of_one
        LIMIT :limit FOR UPDATE SKIP LOCKED))
""")
_OLD_MINUTES_OF_ALL = text("""
    DELETE FROM queue_minutes WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM queue_minutes WHERE dimension = 'all' AND at < now() - :kept
        LIMIT :limit FOR UPDATE SKIP LOCKED))
""")
_OLD_HOURS = text("""
    DELETE FROM queue_hours WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM queue_hours WHERE at < now() - :kept
        LIMIT :limit FOR UPDATE SKIP LOCKED))
""")
# Lines are added up in any order: where no message is counted, a figure may still wait for the line
# that makes it nought.
_NOUGHTS = text(f"""
    DELETE FROM queue_counters WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM queue_counters WHERE {" AND ".join(f"{each} = 0" for each in FIGURES)}
        LIMIT :limit FOR UPDATE SKIP LOCKED))
""")  # noqa: S608
