"""Domains as people look at them."""

from collections.abc import Sequence

from pydantic import BaseModel
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.queues import CircuitState, DomainCursor, DomainHealth, HealthThen

HISTORY_HOURS = 7 * 24
MOST_ERRORS, LATEST = 8, 5_000
"""What went wrong is told of the latest messages: of a domain with a million it says the same."""


class DomainError(BaseModel):
    """What so many of a domain's latest messages met."""

    said: str
    messages: int


class DomainPage(BaseModel):
    """The worst first."""

    items: list[DomainHealth]
    next_cursor: str | None


class PostgresDomainViews:
    def __init__(self, engine: AsyncEngine, outbound: OutboundSection) -> None:
        self._engine = engine
        self._outbound = outbound

    async def domains(self, limit: int, cursor: DomainCursor | None) -> DomainPage:
        place = cursor or DomainCursor(score=0, domain="")
        values = {"score": place.score, "domain": place.domain, "limit": limit + 1}
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_PAGE, values)).mappings().all()
        items = [self._shown(row) for row in rows[:limit]]
        last = items[-1] if len(rows) > limit else None
        cursor = DomainCursor(score=last.score, domain=last.domain) if last else None
        return DomainPage(items=items, next_cursor=str(cursor) if cursor else None)

    async def domain(self, domain: str) -> DomainHealth | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_ONE, {"domain": domain})).mappings().first()
        return self._shown(row) if row else None

    async def history(self, domain: str) -> Sequence[HealthThen]:
        """The newest first."""
        values = {"domain": domain, "limit": HISTORY_HOURS}
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_HISTORY, values)).mappings()
            return [HealthThen.model_validate(dict(row)) for row in rows]

    async def errors(self, domain: str) -> Sequence[DomainError]:
        """The most frequent first."""
        values = {"domain": domain, "latest": LATEST, "most": MOST_ERRORS}
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_ERRORS, values)).mappings()
            return [DomainError.model_validate(dict(row)) for row in rows]

    def _shown(self, row: RowMapping) -> DomainHealth:
        known = dict(row)
        rate = self._outbound.rate_of(known["domain"])
        circuit = None
        if known.pop("is_broken"):
            circuit = CircuitState.OPEN if known["circuit_until"] else CircuitState.HALF_OPEN
        return DomainHealth.model_validate({**known, "throttle_rate": rate, "circuit": circuit})


_SHOWN = """
    SELECT h.domain, h.score, h.results, h.bounce_rate, h.block_rate, h.deferral_rate,
           h.average_delivery_time, h.last_successful_delivery, h.scored_at,
           q.queue_name IS NOT NULL AS is_broken, q.reason AS circuit_reason,
           q.until AS circuit_until
    FROM domain_health AS h
    LEFT JOIN queues AS q
        ON q.queue_name = h.domain AND q.set_by = 'health' AND q.state = 'suspended'
"""
_PAGE = text(f"""
    {_SHOWN} WHERE (h.score, h.domain) > (:score, :domain)
    ORDER BY h.score, h.domain LIMIT :limit
""")
_ONE = text(f"{_SHOWN} WHERE h.domain = :domain")
_HISTORY = text("""
    SELECT hour, score, bounce_rate, results FROM domain_health_history
    WHERE domain = :domain ORDER BY hour DESC LIMIT :limit
""")
_ERRORS = text("""
    SELECT latest.last_bounce_reason AS said, count(*) AS messages FROM (
        SELECT last_bounce_reason, num_attempts FROM message_queue
        WHERE domain = :domain ORDER BY created_at DESC LIMIT :latest
    ) AS latest
    WHERE latest.last_bounce_reason IS NOT NULL AND latest.num_attempts > 0
    GROUP BY latest.last_bounce_reason ORDER BY messages DESC, said LIMIT :most
""")
