"""Messages as the old queue's clients ask for them."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.queue_rows import COLUMNS, item_of, rows_of
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.message import OUTBOUND, Event
from mailroom.models.outbound.words import MessageQueueStatus

Place = tuple[datetime, UUID]
"""In the list: newest first."""


class PostgresLegacyQueue:
    def __init__(self, write: AsyncEngine, read: AsyncEngine) -> None:
        self._write = write
        self._read = read

    async def page(
        self,
        statuses: Collection[MessageQueueStatus],
        tenant_id: str | None,
        before: Place | None,
        limit: int,
    ) -> list[MessageQueueItem]:
        created_at, id_ = before or (None, None)
        values = {
            "statuses": [each.value for each in statuses],
            "tenant_id": tenant_id,
            "created_at": created_at,
            "id": id_,
            "limit": limit,
        }
        # Without these conditions the index on their order is all that is read.
        conditions = ["status = ANY(:statuses)"] if statuses else []
        conditions += ["tenant_id = :tenant_id"] if tenant_id else []
        conditions += ["(created_at, id) < (:created_at, :id)"] if before else []
        statement = _PAGE.format(where=f"WHERE {' AND '.join(conditions)}" if conditions else "")
        async with self._read.connect() as connection:
            rows = (await connection.execute(text(statement), values)).mappings().all()
        return [item_of(row) for row in rows]

    async def find(self, id: UUID) -> tuple[MessageQueueItem, bool] | None:
        """The message, and whether it has content."""
        async with self._write.connect() as connection:
            row = (await connection.execute(_ONE, {"id": id})).mappings().first()
        return (item_of(row), row["has_content"]) if row else None

    async def place(self, message: MessageQueueItem) -> bool:
        """False where one with this ID is there already."""
        values = {"rows": rows_of([message]), **_LINE, "reason": message.last_bounce_reason}
        async with self._write.connect() as connection:
            return await connection.scalar(_PLACE, values) is not None

    async def cancel(self, id: UUID, reason: str | None) -> bool:
        """For a message without content, which has no workflow that could do it."""
        values = {"id": id, "reason": reason, **_LINE, "event": Event.CANCELLED.value}
        async with self._write.connect() as connection:
            return await connection.scalar(_CANCEL, values) is not None


_LINE = {"owner": OUTBOUND, "event": Event.SUBMITTED.value}

_PAGE = f"""
    SELECT {COLUMNS} FROM message_queue {{where}}
    ORDER BY created_at DESC, id DESC LIMIT :limit
"""  # noqa: S608  no value is in it

_ONE = text(
    f"SELECT {COLUMNS}, blob IS NOT NULL AS has_content FROM message_queue WHERE id = :id"  # noqa: S608
)

_PLACE = text(f"""
    WITH placed AS (
        INSERT INTO message_queue ({COLUMNS})
        SELECT {COLUMNS} FROM jsonb_populate_recordset(NULL::message_queue, CAST(:rows AS jsonb))
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, id::text, 0, :event,
               jsonb_strip_nulls(jsonb_build_object('reason', CAST(:reason AS text)))
        FROM placed
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM placed
""")  # noqa: S608

_CANCEL = text("""
    WITH moved AS (
        UPDATE message_queue
        SET status = 'cancelled', step = step + 1, updated_at = now(),
            last_bounce_reason = coalesce(CAST(:reason AS text), last_bounce_reason)
        WHERE id = :id AND blob IS NULL AND status = 'suspended'
        RETURNING id, step
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, id::text, step, :event,
               jsonb_strip_nulls(jsonb_build_object('reason', CAST(:reason AS text)))
        FROM moved
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM moved
""")
