"""Outbound messages as they are looked at: one, and how many there are."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres import queue_overview
from mailroom.adapters.postgres.queue_rows import SHOWN
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.listing import MessageEvent, Overview
from mailroom.models.outbound.message import OUTBOUND


class PostgresMessageViews:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def one(self, id: UUID) -> MessageQueueItem | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_ONE, {"id": id})).mappings().first()
        return MessageQueueItem.model_validate(dict(row)) if row else None

    async def timeline(self, id: UUID) -> list[MessageEvent]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(_TIMELINE, {"owner": OUTBOUND, "id": str(id)})
            return [MessageEvent.model_validate(dict(row)) for row in rows.mappings()]

    async def overview(self, campaign_id: str | None) -> Overview:
        """How many messages there are by status, and by queue of what waits."""
        return await queue_overview.overview(self._engine, campaign_id)


_ONE = text(f"{SHOWN} WHERE m.id = :id")
_TIMELINE = text("""
    SELECT id, type, at, detail FROM events
    WHERE owner = :owner AND message_id = :id ORDER BY id
""")
