"""Circuits of domains (port `Circuits`): rows of `queues` that health has set.

One is open while `until` is set, half open afterwards. `probing_since` is the place of one message
that may pass; whoever claims it takes it away.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.outbound.health import HealthSection


class PostgresCircuits:
    def __init__(self, engine: AsyncEngine, terms: HealthSection) -> None:
        self._engine = engine
        self._times = {
            "first": terms.first_opening,
            "longest": terms.longest_opening,
            "forget": terms.forget_after,
        }
        self._below = terms.open_below

    async def open(self, reasons: dict[str, str]) -> Sequence[str]:
        values = {
            **self._times,
            "below": self._below,
            "domains": list(reasons),
            "reasons": list(reasons.values()),
        }
        async with self._engine.connect() as connection:
            return list(await connection.scalars(_OPEN, values))

    async def judge(self) -> Sequence[str]:
        """Closed circuits begin anew, with nothing counted: what was bad before they opened would
        open them again."""
        async with self._engine.connect() as connection:
            closed = list(await connection.scalars(_CLOSE))
            opened = list(await connection.scalars(_REOPEN, self._times))
        return [*closed, *opened]

    async def offer_probe(self, domain: str) -> UUID | None:
        async with self._engine.connect() as connection:
            found = await connection.scalar(_OFFER, {"domain": domain})
        return found if isinstance(found, UUID) else None


# Doubled with each opening; 2^20 times the first is more than any longest.
_LENGTH = "least(CAST(:longest AS interval), CAST(:first AS interval) * power(2, least({n}, 20)))"
_KEPT = "CASE WHEN q.changed_at < now() - CAST(:forget AS interval) THEN 0 ELSE q.openings END"
_OPEN = text(f"""
    INSERT INTO queues AS q (queue_name, state, reason, until, set_by, openings)
    SELECT h.domain, 'suspended', r.reason, now() + {_LENGTH.format(n=0)}, 'health', 1
    FROM unnest(CAST(:domains AS text[]), CAST(:reasons AS text[])) AS r (domain, reason)
    JOIN domain_health AS h ON h.domain = r.domain AND h.score < :below
    ORDER BY h.domain
    ON CONFLICT (queue_name) DO UPDATE
    SET state = 'suspended', reason = excluded.reason, set_by = 'health',
        openings = {_KEPT} + 1, until = now() + {_LENGTH.format(n=_KEPT)},
        probing_since = NULL, changed_at = now()
    WHERE (q.state = 'active' AND q.until IS NULL)
       OR (q.set_by <> 'health' AND q.until <= now())
    RETURNING queue_name
""")  # noqa: S608
_HALF_OPEN = "q.set_by = 'health' AND q.state = 'suspended' AND q.until IS NULL"
_CLOSE = text(f"""
    WITH closed AS (
        UPDATE queues AS q
        SET state = 'active', reason = 'closed: the probe was delivered', probing_since = NULL,
            changed_at = now()
        FROM domain_health AS h
        WHERE {_HALF_OPEN} AND h.domain = q.queue_name
          AND h.last_successful_delivery > q.changed_at
          AND h.last_successful_delivery >= coalesce(h.last_failure_at, '-infinity')
        RETURNING q.queue_name
    ), uncounted AS (
        DELETE FROM domain_hours WHERE domain IN (SELECT queue_name FROM closed)
    ), forgiven AS (
        UPDATE domain_health SET score = 100, results = 0, scored_at = NULL
        WHERE domain IN (SELECT queue_name FROM closed)
    )
    SELECT queue_name FROM closed
""")  # noqa: S608
# What fails before a probe left is late news of messages from before.
_REOPEN = text(f"""
    UPDATE queues AS q
    SET openings = q.openings + 1, until = now() + {_LENGTH.format(n="q.openings")},
        changed_at = now()
    FROM domain_health AS h
    WHERE {_HALF_OPEN} AND q.probing_since IS NULL AND h.domain = q.queue_name
      AND h.last_failure_at > q.changed_at
    RETURNING q.queue_name
""")  # noqa: S608
_OFFER = text(f"""
    WITH offered AS (
        UPDATE queues AS q SET probing_since = now()
        WHERE q.queue_name = :domain AND {_HALF_OPEN} RETURNING q.queue_name
    )
    SELECT id FROM message_queue AS m
    WHERE m.held AND m.domain IN (SELECT queue_name FROM offered)
      AND NOT EXISTS (
          SELECT FROM queues AS o
          WHERE o.queue_name = m.queue_name AND o.set_by <> 'health'
            AND o.state IN ('suspended', 'disabled') AND (o.until IS NULL OR o.until > now()))
    ORDER BY m.id LIMIT 1
""")  # noqa: S608
