"""Results of deliveries by domain and hour, and scores (port `DomainHealthStore`)."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.outbound.health import WINDOW, DomainReading, Hour, ScoredDomain, Tally

HISTORY_KEPT = timedelta(days=7)
SILENT_DOMAINS_KEPT = timedelta(days=30)
REMOVED_AT_ONCE = 5_000
MOST_REMOVALS = 20


class PostgresDomainHealth:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def fold(self, limit: int) -> int:
        async with self._engine.connect() as connection:
            return int(await connection.scalar(_FOLD, {"limit": limit}) or 0)

    async def due(self, limit: int) -> tuple[datetime, Sequence[DomainReading]]:
        async with self._engine.connect() as connection:
            now = await connection.scalar(text("SELECT now()"))
            known = (await connection.execute(_DUE, {"limit": limit})).all()
            values = {"domains": [each.domain for each in known], "since": now - WINDOW}
            hours: dict[str, list[Hour]] = defaultdict(list)
            for row in (await connection.execute(_HOURS, values)).mappings():
                tally = Tally.model_validate({name: row[name] for name in Tally.model_fields})
                hours[row["domain"]].append(Hour(hour=row["hour"], tally=tally))
        readings = [
            DomainReading(
                domain=each.domain,
                last_success=each.last_successful_delivery,
                hours=tuple(hours[each.domain]),
            )
            for each in known
        ]
        return now, readings

    async def keep(self, now: datetime, scores: Sequence[ScoredDomain]) -> None:
        tallies = [each.tally for each in scores]
        values = {
            "now": now,
            "domains": [each.domain for each in scores],
            "scores": [each.score for each in scores],
            "results": [each.results for each in tallies],
            "bounced": [100 * each.rate(each.bounced) for each in tallies],
            "blocked": [100 * each.rate(each.unwanted) for each in tallies],
            "deferred": [100 * each.rate(each.deferred) for each in tallies],
            "seconds": [each.average_delivery_time for each in tallies],
        }
        async with self._engine.connect() as connection:
            await connection.execute(_KEEP, values)

    async def tidy(self) -> None:
        values = {
            "window": WINDOW + timedelta(hours=1),
            "history": HISTORY_KEPT,
            "silent": SILENT_DOMAINS_KEPT,
            "limit": REMOVED_AT_ONCE,
        }
        async with self._engine.connect() as connection:
            for statement in (_OLD_HOURS, _OLD_HISTORY, _SILENT_DOMAINS):
                # What is left over, the next minute removes.
                for _ in range(MOST_REMOVALS):
                    removed = (await connection.execute(statement, values)).rowcount
                    if removed < REMOVED_AT_ONCE:
                        break


# Rows are locked in one order, so that two that count at once don't wait for each other.
_FOLD = text("""
    WITH taken AS (
        DELETE FROM delivery_outcomes WHERE id IN (
            SELECT id FROM delivery_outcomes ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
        RETURNING domain, kind, coalesce(seconds, 0) AS seconds, at
    ), hours AS (
        INSERT INTO domain_hours AS h
            (domain, hour, delivered, deferred, bounced, blocked, complaints, seconds)
        SELECT domain, date_trunc('hour', at, 'UTC'),
               count(*) FILTER (WHERE kind = 'delivered'),
               count(*) FILTER (WHERE kind = 'deferred'),
               count(*) FILTER (WHERE kind = 'bounced'),
               count(*) FILTER (WHERE kind = 'blocked'),
               count(*) FILTER (WHERE kind = 'complaint'),
               coalesce(sum(greatest(seconds, 0)) FILTER (WHERE kind = 'delivered'), 0)
        FROM taken GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (domain, hour) DO UPDATE
        SET delivered = h.delivered + excluded.delivered,
            deferred = h.deferred + excluded.deferred,
            bounced = h.bounced + excluded.bounced,
            blocked = h.blocked + excluded.blocked,
            complaints = h.complaints + excluded.complaints,
            seconds = h.seconds + excluded.seconds
    ), health AS (
        INSERT INTO domain_health AS h (domain, last_successful_delivery, last_failure_at)
        SELECT domain, max(at) FILTER (WHERE kind = 'delivered'),
               max(at) FILTER (WHERE kind IN ('deferred', 'bounced', 'blocked'))
        FROM taken GROUP BY 1 ORDER BY 1
        ON CONFLICT (domain) DO UPDATE
        SET last_successful_delivery =
                greatest(h.last_successful_delivery, excluded.last_successful_delivery),
            last_failure_at = greatest(h.last_failure_at, excluded.last_failure_at),
            scored_at = NULL
    )
    SELECT count(*) FROM taken
""")
# Without new results a score changes with the hours that fade.
_DUE = text("""
    SELECT domain, last_successful_delivery FROM domain_health
    WHERE (scored_at IS NULL OR scored_at < date_trunc('hour', now(), 'UTC'))
      AND (scored_at IS NULL OR results > 0)
    ORDER BY scored_at NULLS FIRST, domain LIMIT :limit
""")
_HOURS = text("SELECT * FROM domain_hours WHERE domain = ANY(:domains) AND hour > :since")
_KEEP = text("""
    WITH new AS (
        SELECT * FROM unnest(
            CAST(:domains AS text[]), CAST(:scores AS double precision[]),
            CAST(:results AS double precision[]), CAST(:bounced AS double precision[]),
            CAST(:blocked AS double precision[]), CAST(:deferred AS double precision[]),
            CAST(:seconds AS double precision[])
        ) AS n (domain, score, results, bounced, blocked, deferred, seconds)
    ), kept AS (
        UPDATE domain_health AS h
        SET score = new.score, results = new.results, bounce_rate = new.bounced,
            block_rate = new.blocked, deferral_rate = new.deferred,
            average_delivery_time = new.seconds, scored_at = :now
        FROM new WHERE h.domain = new.domain
    )
    INSERT INTO domain_health_history (domain, hour, score, results, bounce_rate)
    SELECT domain, date_trunc('hour', CAST(:now AS timestamptz), 'UTC'), score, results, bounced
    FROM new
    ON CONFLICT (domain, hour) DO UPDATE
    SET score = excluded.score, results = excluded.results, bounce_rate = excluded.bounce_rate
""")
_OLD_HOURS = text("""
    DELETE FROM domain_hours WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM domain_hours WHERE hour < now() - :window LIMIT :limit))
""")
_OLD_HISTORY = text("""
    DELETE FROM domain_health_history WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM domain_health_history WHERE hour < now() - :history LIMIT :limit))
""")
_SILENT_DOMAINS = text("""
    DELETE FROM domain_health WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM domain_health
        WHERE results = 0 AND scored_at < now() - :silent LIMIT :limit))
""")
