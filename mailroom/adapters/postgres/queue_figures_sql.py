"""The statements behind the figures of queues.

A figure is what the counters say and what has changed since (`queue_changes`), read at once. They
are kept for everything and for each queue, domain, campaign and tenant; where two of those are
asked for together, the messages themselves are counted.
"""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import TextClause, text

from mailroom.adapters.postgres.filter_sql import where
from mailroom.adapters.postgres.schema_metrics import EVENTS, FIGURES, WAITS
from mailroom.models.outbound.queue_figures import QueueScope

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
ROW_WAITS = f"m.{WAITS}"

_COLUMNS = {
    "queue_name": "queue",
    "domain": "domain",
    "campaign_id": "campaign",
    "tenant_id": "tenant",
}
_SUMS = ", ".join(f"sum({figure}) AS {figure}" for figure in FIGURES)
_FIGURES = ", ".join(FIGURES)


class Source(NamedTuple):
    """Where the figures of a scope come from: `dimension` is None where messages are counted.
    `changed` and `rows` are its conditions on changes and on messages."""

    dimension: str | None
    name: str
    changed: str
    rows: str
    values: dict[str, object]


def source(scope: QueueScope) -> Source:
    rows, given = where(scope.selection), scope.given
    if len(given) > 1:
        return Source(None, "", "", rows.sql, dict(rows.values))
    column, name = next(iter(given.items()), ("", ""))
    return Source(
        _COLUMNS.get(column, "all"),
        name,
        f"{column} = :name" if column else "true",
        rows.sql,
        {**rows.values, "name": name, "dimension": _COLUMNS.get(column, "all")},
    )


def standing(of: Source) -> TextClause:
    """By status and class of bounce."""
    if of.dimension is None:
        return text(_COUNTED.format(rows=of.rows))
    return text(f"""
        SELECT status, bounce_class, {_SUMS} FROM (
            SELECT status, bounce_class, {_FIGURES} FROM queue_counters
            WHERE dimension = :dimension AND name = :name
            UNION ALL
            SELECT status, bounce_class, {_FIGURES} FROM queue_changes WHERE {of.changed}
        ) AS each GROUP BY status, bounce_class
    """)  # noqa: S608


_COUNTED = """
    SELECT m.status, coalesce(m.bounce_classification, '') AS bounce_class,
           count(*) AS messages, sum(m.size_bytes) AS size_bytes,
           sum(extract(epoch FROM m.created_at)) AS created,
           count(*) FILTER (WHERE m.num_attempts > 0) AS tried,
           count(*) FILTER (WHERE m.num_attempts > 1) AS retried,
           sum(greatest(m.num_attempts - 1, 0)) AS retries,
           count(m.delivered_at) FILTER (WHERE m.status = 'delivered') AS timed,
           coalesce(sum(extract(epoch FROM m.delivered_at - m.created_at))
                    FILTER (WHERE m.status = 'delivered'), 0) AS seconds
    FROM message_queue AS m WHERE {rows} GROUP BY 1, 2
"""


def lately(of: Source) -> TextClause:
    """`hour`, `day`, `week`: messages that came since then; `delivered`: in the last hour."""
    if of.dimension is None:
        return text(f"""
            SELECT count(*) FILTER (WHERE m.created_at >= now() - :hour) AS hour,
                   count(*) FILTER (WHERE m.created_at >= now() - :day) AS day,
                   count(*) FILTER (WHERE m.created_at >= now() - :week) AS week,
                   count(*) FILTER (WHERE m.delivered_at >= now() - :hour
                                      AND m.status = 'delivered') AS delivered
            FROM message_queue AS m
            WHERE {of.rows} AND (m.created_at >= now() - :week OR m.delivered_at >= now() - :hour)
        """)  # noqa: S608
    came = ", ".join(f"({_came(of, since)}) AS {since}" for since in ("hour", "day", "week"))
    return text(f"SELECT {came}, ({_delivered(of)}) AS delivered")


def _came(of: Source, since: str) -> str:
    """Whole hours, whole minutes before the first of them, and message by message what came
    between that moment and the first whole one."""
    begin = f"(now() - CAST(:{since} AS interval))"
    minute, hour = _whole(begin, "minute"), _whole(begin, "hour")
    parts, first = [], minute
    if since != "hour":
        parts.append(_submitted("queue_hours", f"at >= {hour}"))
    if of.dimension != "all" and since != "hour":
        first = hour
    else:
        until = "" if since == "hour" else f" AND at < {hour}"
        parts.append(_submitted("queue_minutes", f"at >= {minute}{until}"))
    return f"""
        SELECT {" + ".join(parts)}
             + coalesce((SELECT sum(messages) FROM queue_changes
                         WHERE {of.changed} AND submitted_at >= {first}), 0)
             + (SELECT count(*) FROM message_queue AS m
                WHERE {of.rows} AND m.created_at >= {begin} AND m.created_at < {first})
    """  # noqa: S608


def _whole(begin: str, unit: str) -> str:
    """The first that begins then or later."""
    return f"date_trunc('{unit}', {begin} + interval '1 {unit}' - interval '1 microsecond', 'UTC')"


def _submitted(table: str, when: str) -> str:
    return f"""coalesce((SELECT sum(submitted) FROM {table}
                         WHERE dimension = :dimension AND name = :name AND {when}), 0)"""  # noqa: S608


def _delivered(of: Source) -> str:
    """Of the minute in which the hour began, as large a share as is left of it."""
    begin = "(now() - CAST(:hour AS interval))"
    first = f"date_trunc('minute', {begin}, 'UTC')"
    return f"""
        SELECT coalesce(sum(delivered * CASE WHEN at > {first} THEN 1 ELSE
                   1 - extract(epoch FROM {begin} - {first}) / 60 END), 0)
        FROM (SELECT at, delivered FROM queue_minutes
              WHERE dimension = :dimension AND name = :name AND at >= {first}
              UNION ALL
              SELECT delivered_at, timed FROM queue_changes
              WHERE {of.changed} AND delivered_at >= {first}) AS each
    """  # noqa: S608


def deepest(dimension: str, column: str) -> TextClause:
    """Of all messages that wait, by domain or campaign."""
    return text(f"""
        SELECT name, sum(messages) AS messages FROM (
            SELECT name, messages FROM queue_counters
            WHERE dimension = '{dimension}' AND {WAITS}
            UNION ALL
            SELECT {column}, messages FROM queue_changes
            WHERE {WAITS} AND {column} IS NOT NULL
        ) AS each GROUP BY name HAVING sum(messages) > 0
        ORDER BY messages DESC, name COLLATE "C" LIMIT :limit
    """)  # noqa: S608


# Of each status by its index.
ENDS = text("""
    SELECT min(each.at) AS oldest, max(each.at) AS newest
    FROM unnest(CAST(:waiting AS text[])) AS s (status)
    CROSS JOIN LATERAL (
        (SELECT created_at AS at FROM message_queue WHERE status = s.status
         ORDER BY created_at LIMIT 1)
        UNION ALL
        (SELECT created_at FROM message_queue WHERE status = s.status
         ORDER BY created_at DESC LIMIT 1)
    ) AS each
""")


def waiting(of: Source) -> TextClause:
    """What waits of a scope, in one look: `level` 2 is by domain, 1 by campaign, 3 all of it."""
    return text(f"""
        SELECT level, name, messages, oldest, newest FROM (
            SELECT grouping(m.campaign_id, m.domain) AS level,
                   CASE grouping(m.campaign_id, m.domain)
                        WHEN 2 THEN m.domain WHEN 1 THEN m.campaign_id END AS name,
                   count(*) AS messages, min(m.created_at) AS oldest, max(m.created_at) AS newest,
                   row_number() OVER (PARTITION BY grouping(m.campaign_id, m.domain)
                                      ORDER BY count(*) DESC) AS place
            FROM message_queue AS m WHERE {of.rows} AND {ROW_WAITS}
            GROUP BY GROUPING SETS ((m.domain), (m.campaign_id), ())
        ) AS each WHERE place <= :limit ORDER BY level, place
    """)  # noqa: S608


def series(of: Source, unit: str) -> TextClause:
    names = ", ".join(EVENTS)
    sums = ", ".join(f"sum({event}) AS {event}" for event in EVENTS)
    return text(f"""
        SELECT CAST(floor(extract(epoch FROM at - :begin) / :step) AS integer) AS place, {sums}
        FROM (
            SELECT at, {names} FROM queue_{unit}s
            WHERE dimension = :dimension AND name = :name AND at >= :begin
            UNION ALL
            SELECT submitted_at, messages, 0, 0, 0, 0, 0 FROM queue_changes
            WHERE {of.changed} AND submitted_at >= :begin
            UNION ALL
            SELECT delivered_at, 0, timed, 0, 0, 0, 0 FROM queue_changes
            WHERE {of.changed} AND delivered_at >= :begin
            UNION ALL
            SELECT event_at, 0, 0, bounced, deferred, expired, cancelled FROM queue_changes
            WHERE {of.changed} AND event_at >= :begin
        ) AS each GROUP BY place
    """)  # noqa: S608


HEALTH = text("""
    SELECT domain, score, bounce_rate, average_delivery_time, last_successful_delivery
    FROM domain_health WHERE domain = ANY(:domains)
""")
TOTALS = text("""
    SELECT event, sum(messages) AS messages FROM (
        SELECT event, messages FROM queue_totals
        UNION ALL
        SELECT event, greatest(number, 0) FROM queue_changes CROSS JOIN LATERAL (VALUES
            ('submitted', CASE WHEN submitted_at IS NOT NULL THEN messages END),
            ('delivered', CASE WHEN delivered_at IS NOT NULL THEN timed END),
            ('bounced', bounced), ('deferred', deferred),
            ('expired', expired), ('cancelled', cancelled)) AS of (event, number)
    ) AS each GROUP BY event
""")
UNFOLDED = text("SELECT count(*) FROM (SELECT FROM queue_changes LIMIT :limit) AS few")
