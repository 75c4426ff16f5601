"""Suspensions of domains, campaigns, tenants and pools, and who waits for their end. The claim of a
message (message_queue.py) looks at them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.schema_metrics import WAITS
from mailroom.models.outbound.queues import Place, QueueStanding, SetBy
from mailroom.models.outbound.scopes import SuspensionScope
from mailroom.models.outbound.suspensions import Suspend, Suspension, SuspensionCursor
from mailroom.models.outbound.words import QueueState

FIRST = UUID(int=0)
# More than an operator has an eye on.
MOST_CURRENT = 10_000


class SuspensionPage(BaseModel):
    """By scope and name."""

    items: list[Suspension]
    next_cursor: str | None


class PostgresSuspensions:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put(self, scope: SuspensionScope, name: str, wanted: Suspend) -> Suspension:
        """Begins it, or gives it another reason and end."""
        values = {
            "scope": scope.value,
            "name": name,
            "reason": wanted.reason,
            "until": wanted.until,
            "set_by": SetBy.OPERATOR.value,
        }
        async with self._engine.connect() as connection:
            row = (await connection.execute(_PUT, values)).mappings().one()
        return Suspension.model_validate(dict(row))

    async def over(self, scope: SuspensionScope, name: str) -> bool:
        """It is over from now on; False where none is."""
        async with self._engine.connect() as connection:
            ended = await connection.execute(_OVER, {"scope": scope.value, "name": name})
            return ended.rowcount == 1

    async def one(self, scope: SuspensionScope, name: str) -> Suspension | None:
        async with self._engine.connect() as connection:
            values = {"scope": scope.value, "name": name}
            row = (await connection.execute(_ONE, values)).mappings().first()
        return Suspension.model_validate(dict(row)) if row else None

    async def of(self, message: UUID) -> list[Suspension]:
        """What holds it, or will at its next attempt; nothing holds what has ended."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_OF, {"id": message})).mappings()
            return [Suspension.model_validate(dict(row)) for row in rows]

    async def page(self, limit: int, after: SuspensionCursor | None = None) -> SuspensionPage:
        found = await self._listed(limit + 1, after)
        items = found[:limit]
        cursor = SuspensionCursor(scope=items[-1].scope, name=items[-1].name) if items else None
        return SuspensionPage(items=items, next_cursor=str(cursor) if len(found) > limit else None)

    async def current(self) -> Sequence[Suspension]:
        return await self._listed(MOST_CURRENT, None)

    async def _listed(self, limit: int, after: SuspensionCursor | None) -> list[Suspension]:
        values = {
            "scope": after.scope.value if after else "",
            "name": after.name if after else "",
            "limit": limit,
        }
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_PAGE, values)).mappings()
            return [Suspension.model_validate(dict(row)) for row in rows]

    async def standing(self, scope: SuspensionScope, name: str) -> QueueStanding:
        known = {"queue_name": name, "scope": scope}
        async with self._engine.connect() as connection:
            values = {"scope": scope.value, "name": name}
            row = (await connection.execute(_STANDING, values)).mappings().first()
        found = {**known, **row, "state": QueueState.SUSPENDED} if row else known
        return QueueStanding.model_validate(found)

    async def end(self, scope: SuspensionScope, name: str, until: datetime) -> bool:
        """False where it has another end by now."""
        async with self._engine.connect() as connection:
            values = {"scope": scope.value, "name": name, "until": until}
            return (await connection.execute(_END, values)).rowcount == 1

    async def held(
        self, scope: SuspensionScope, name: str, place: Place, limit: int
    ) -> Sequence[UUID]:
        values = {"name": name, "after": place.after or FIRST, "limit": limit}
        async with self._engine.connect() as connection:
            return list(await connection.scalars(_HELD[scope], values))


_SHOWN = "scope, name, reason, until, set_by, created_at"
_CURRENT = "(until IS NULL OR until > now())"
_PUT = text(f"""
    INSERT INTO suspensions AS s (scope, name, reason, until, set_by)
    VALUES (:scope, :name, :reason, CAST(:until AS timestamptz), :set_by)
    ON CONFLICT (scope, name) DO UPDATE
    SET reason = excluded.reason, until = excluded.until, set_by = excluded.set_by,
        created_at = CASE WHEN s.until <= now() THEN now() ELSE s.created_at END
    RETURNING {_SHOWN}
""")  # noqa: S608
# The row stays until its workflow has seen it, or, where that was never told, the next look for
# what is overdue. The end lies before every claim that waits for this row: none of them is held.
_OVER = text(f"""
    UPDATE suspensions SET until = created_at - interval '1 day'
    WHERE scope = :scope AND name = :name AND {_CURRENT}
""")  # noqa: S608
_ONE = text(f"""
    SELECT {_SHOWN} FROM suspensions WHERE scope = :scope AND name = :name AND {_CURRENT}
""")  # noqa: S608
_PAGE = text(f"""
    SELECT {_SHOWN} FROM suspensions WHERE (scope, name) > (:scope, :name) AND {_CURRENT}
    ORDER BY scope, name LIMIT :limit
""")  # noqa: S608
_STANDING = text("""
    SELECT reason, until, until - now() AS ends_in, set_by FROM suspensions
    WHERE scope = :scope AND name = :name
""")
_END = text("DELETE FROM suspensions WHERE scope = :scope AND name = :name AND until = :until")

COLUMNS: Mapping[SuspensionScope, str] = {
    SuspensionScope.DOMAIN: "domain",
    SuspensionScope.CAMPAIGN: "campaign_id",
    SuspensionScope.TENANT: "tenant_id",
    SuspensionScope.POOL: "pool_name",
}
_HELD = {
    scope: text(f"""
        SELECT id FROM message_queue WHERE held AND {column} = :name AND id > :after
        ORDER BY id LIMIT :limit
    """)  # noqa: S608
    for scope, column in COLUMNS.items()
}
_ITS_OWN = ", ".join(f"('{scope}', m.{column})" for scope, column in COLUMNS.items())
_OF = text(f"""
    SELECT {_SHOWN} FROM suspensions
    WHERE (scope, name) IN (
        SELECT its.scope, its.name
        FROM message_queue AS m, LATERAL (VALUES {_ITS_OWN}) AS its (scope, name)
        WHERE m.id = :id AND {WAITS}
    ) AND {_CURRENT}
    ORDER BY scope
""")  # noqa: S608
NOT_SUSPENDED = f"""
    NOT EXISTS (
        SELECT FROM (VALUES {_ITS_OWN}) AS its (scope, name)
        JOIN suspensions AS s ON s.scope = its.scope AND s.name = its.name
        WHERE s.until IS NULL OR s.until > now())
"""
"""Of the message `m`."""
