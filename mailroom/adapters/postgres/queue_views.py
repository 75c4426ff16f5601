"""Queues as people look at them."""

from collections import defaultdict
from collections.abc import Sequence

from pydantic import BaseModel
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mailroom.models.outbound.queues import QueueStanding, QueueView
from mailroom.models.outbound.transitions import WAITING
from mailroom.models.outbound.words import MessageQueueStatus

_WAITING = [status.value for status in MessageQueueStatus if status in WAITING]


class QueuePage(BaseModel):
    """By name; those that have messages, and those of which somebody said something."""

    items: list[QueueView]
    next_cursor: str | None


class PostgresQueueViews:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def queues(self, limit: int, after: str = "") -> QueuePage:
        async with self._engine.connect() as connection:
            values = {"after": after, "limit": limit + 1}
            names = list(await connection.scalars(_NAMES, values))
            items = await self._shown(connection, names[:limit])
        return QueuePage(items=items, next_cursor=names[limit - 1] if len(names) > limit else None)

    async def queue(self, queue_name: str) -> QueueView:
        async with self._engine.connect() as connection:
            [view] = await self._shown(connection, [queue_name])
        return view

    async def _shown(self, connection: AsyncConnection, names: Sequence[str]) -> list[QueueView]:
        values = {"names": list(names), "waiting": _WAITING}
        states = {
            row["queue_name"]: row for row in (await connection.execute(_STATES, values)).mappings()
        }
        depths: dict[str, dict[str, int]] = defaultdict(dict)
        for row in await connection.execute(_DEPTHS, values):
            depths[row.queue_name][row.status] = row.messages
        return [_view(name, states.get(name), depths[name]) for name in names]


def _view(name: str, row: RowMapping | None, depth: dict[str, int]) -> QueueView:
    standing = QueueStanding.model_validate(dict(row) if row else {"queue_name": name})
    known = standing.model_dump(exclude={"openings", "ends_in", "scope"})
    return QueueView.model_validate({**known, "circuit": standing.circuit, "depth": depth})


# From one name to the next by the index: as many steps as there are names, not messages.
_NAMES = text("""
    WITH RECURSIVE busy AS (
        (SELECT queue_name FROM message_queue WHERE queue_name > :after
         ORDER BY queue_name LIMIT 1)
        UNION ALL
        SELECT (SELECT m.queue_name FROM message_queue AS m WHERE m.queue_name > busy.queue_name
                ORDER BY m.queue_name LIMIT 1)
        FROM busy WHERE busy.queue_name IS NOT NULL
    ), known AS (
        (SELECT queue_name FROM busy WHERE queue_name IS NOT NULL LIMIT :limit)
        UNION
        (SELECT queue_name FROM queues WHERE queue_name > :after
         ORDER BY queue_name LIMIT :limit)
    )
    SELECT queue_name FROM known ORDER BY queue_name LIMIT :limit
""")
# An operator's word that has ended is over, also before its workflow has said so.
_STATES = text("""
    SELECT queue_name, state, reason, until, set_by, openings FROM queues
    WHERE queue_name = ANY(:names)
      AND (set_by = 'health' OR until IS NULL OR until > now())
""")
_DEPTHS = text("""
    SELECT queue_name, status, count(*) AS messages FROM message_queue
    WHERE queue_name = ANY(:names) AND status = ANY(:waiting)
    GROUP BY queue_name, status ORDER BY queue_name, status
""")
