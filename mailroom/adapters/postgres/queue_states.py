"""What queues may do, and who waits for them (port `QueueStates`)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.suspensions import MOST_CURRENT, NOT_SUSPENDED, PostgresSuspensions
from mailroom.models.outbound.queues import Place, QueueRef, QueueStanding, SetBy, SetState
from mailroom.models.outbound.scopes import SuspensionScope
from mailroom.models.outbound.suspensions import HeldQueue

# A workflow waits for the end; it has this long before others look after it.
OVERDUE_AFTER = timedelta(minutes=2)
# A message that was held the moment before is still being told.
STRANDED_AFTER, STRANDED_WITHIN = timedelta(seconds=30), timedelta(hours=1)

FIRST = UUID(int=0)


class PostgresQueueStates:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._suspensions = PostgresSuspensions(engine)

    async def set(self, queue_name: str, wanted: SetState) -> QueueStanding:
        """An operator's word. What was counted against a domain counts no more when its circuit is
        closed by hand: it would open at once."""
        values = {
            "name": queue_name,
            "state": wanted.state.value,
            "reason": wanted.reason,
            "until": wanted.until,
            "set_by": SetBy.OPERATOR.value,
        }
        async with self._engine.connect() as connection:
            row = (await connection.execute(_SET, values)).mappings().one()
        return QueueStanding.model_validate(dict(row))

    async def standing(
        self, queue_name: str, scope: SuspensionScope | None = None
    ) -> QueueStanding:
        if scope:
            return await self._suspensions.standing(scope, queue_name)
        async with self._engine.connect() as connection:
            row = (await connection.execute(_STANDING, {"name": queue_name})).mappings().first()
        return QueueStanding.model_validate(dict(row) if row else {"queue_name": queue_name})

    async def end(
        self, queue_name: str, until: datetime, scope: SuspensionScope | None = None
    ) -> bool:
        if scope:
            return await self._suspensions.end(scope, queue_name, until)
        async with self._engine.connect() as connection:
            ended = await connection.execute(_END, {"name": queue_name, "until": until})
            return ended.rowcount == 1

    async def suspended(self) -> Sequence[HeldQueue]:
        """What operators suspended, or disabled."""
        values = {"set_by": SetBy.OPERATOR.value, "limit": MOST_CURRENT}
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_SUSPENDED, values)).mappings()
            return [HeldQueue.model_validate(dict(row)) for row in rows]

    async def overdue(self, limit: int) -> Sequence[QueueRef]:
        values = {"after": OVERDUE_AFTER, "limit": limit}
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_OVERDUE, values)).mappings()
            return [QueueRef.model_validate(dict(row)) for row in rows]

    async def held(
        self, queue_name: str, place: Place, limit: int, scope: SuspensionScope | None = None
    ) -> Sequence[UUID]:
        if scope:
            return await self._suspensions.held(scope, queue_name, place, limit)
        statement = _HELD_FOR_ITS_CIRCUIT if place.others else _HELD
        values = {"name": queue_name, "after": place.after or FIRST, "limit": limit}
        async with self._engine.connect() as connection:
            return list(await connection.scalars(statement, values))

    async def stranded(self, limit: int) -> Sequence[UUID]:
        values = {"after": STRANDED_AFTER, "within": STRANDED_WITHIN, "limit": limit}
        async with self._engine.connect() as connection:
            return list(await connection.scalars(_STRANDED, values))

    async def tidy(self, forget_after: timedelta) -> None:
        """A queue that has been active for so long needs no row."""
        async with self._engine.connect() as connection:
            await connection.execute(_FORGET, {"after": forget_after})


_SHOWN = "queue_name, state, reason, until, until - now() AS ends_in, set_by, openings"
_STANDING = text(f"SELECT {_SHOWN} FROM queues WHERE queue_name = :name")  # noqa: S608
_SET = text(f"""
    WITH circuit AS (
        SELECT queue_name FROM queues
        WHERE queue_name = :name AND set_by = 'health' AND state = 'suspended' FOR UPDATE
    ), uncounted AS (
        DELETE FROM domain_hours
        WHERE domain IN (SELECT queue_name FROM circuit) AND :state = 'active'
    ), forgiven AS (
        UPDATE domain_health SET score = 100, results = 0, scored_at = NULL
        WHERE domain IN (SELECT queue_name FROM circuit) AND :state = 'active'
    )
    INSERT INTO queues (queue_name, state, reason, until, set_by)
    SELECT :name, :state, :reason, CAST(:until AS timestamptz), :set_by
    FROM (SELECT count(*) FROM circuit) AS looked_at_first
    ON CONFLICT (queue_name) DO UPDATE
    SET state = excluded.state, reason = excluded.reason, until = excluded.until,
        set_by = excluded.set_by, probing_since = NULL, changed_at = now()
    RETURNING {_SHOWN}
""")  # noqa: S608
_END = text("""
    UPDATE queues
    SET state = CASE WHEN set_by = 'health' THEN state ELSE 'active' END,
        probing_since = CASE WHEN set_by = 'health' THEN now() END,
        until = NULL, changed_at = now()
    WHERE queue_name = :name AND until = :until AND state <> 'active'
""")
_SUSPENDED = text("""
    SELECT queue_name AS name, coalesce(reason, state) AS reason, until FROM queues
    WHERE set_by = :set_by AND state IN ('suspended', 'disabled')
      AND (until IS NULL OR until > now())
    ORDER BY queue_name LIMIT :limit
""")
_OVERDUE = text("""
    SELECT queue_name, scope FROM (
        SELECT queue_name, NULL AS scope, until FROM queues WHERE state <> 'active'
        UNION ALL
        SELECT name, scope, until FROM suspensions
    ) AS suspended
    WHERE until < now() - :after ORDER BY until LIMIT :limit
""")
_HELD = text("""
    SELECT id FROM message_queue WHERE held AND queue_name = :name AND id > :after
    ORDER BY id LIMIT :limit
""")
_HELD_FOR_ITS_CIRCUIT = text("""
    SELECT id FROM message_queue
    WHERE held AND domain = :name AND queue_name <> :name AND id > :after
    ORDER BY id LIMIT :limit
""")
# Whoever asks its queue at the moment in which that changes may be held when the others are told.
_STRANDED = text(f"""
    SELECT m.id FROM message_queue AS m
    WHERE m.held AND m.updated_at < now() - :after AND m.updated_at > now() - :within
      AND NOT EXISTS (
          SELECT FROM queues AS q
          WHERE q.queue_name = m.queue_name AND q.set_by <> 'health'
            AND q.state IN ('suspended', 'disabled') AND (q.until IS NULL OR q.until > now()))
      AND NOT EXISTS (
          SELECT FROM queues AS q
          WHERE q.queue_name = m.domain AND q.set_by = 'health' AND q.state = 'suspended')
      AND {NOT_SUSPENDED}
    ORDER BY m.updated_at LIMIT :limit
""")  # noqa: S608
_FORGET = text("""
    DELETE FROM queues WHERE state = 'active' AND changed_at < now() - :after
      AND (until IS NULL OR until < now())
""")
