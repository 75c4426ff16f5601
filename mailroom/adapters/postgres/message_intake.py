"""Outbound messages as they come in: one statement for a batch."""

import json
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.message import OUTBOUND
from mailroom.models.outbound.words import QueueState


class PostgresMessageIntake:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def insert(self, items: Sequence[tuple[MessageQueueItem, str]]) -> set[UUID]:
        """Items with the blobs of their bytes; those that were not there before."""
        rows = [
            item.model_dump(mode="json", exclude={"queue_state"}) | {"blob": blob}
            for item, blob in items
        ]
        values = {"rows": json.dumps(rows), "owner": OUTBOUND}
        async with self._engine.connect() as connection:
            return {UUID(str(id)) for id in await connection.scalars(_INSERT, values)}

    async def different(self, items: Sequence[MessageQueueItem]) -> set[UUID]:
        """Those whose ID another message has already."""
        fields = {"id", "sender", "recipient", "body_hash", "headers"}
        rows = [item.model_dump(mode="json", include=fields) for item in items]
        async with self._engine.connect() as connection:
            found = await connection.scalars(_DIFFERENT, {"rows": json.dumps(rows)})
            return {UUID(str(id)) for id in found}

    async def give_content(self, item: MessageQueueItem, blob: str) -> bool:
        """To a message that came without; False if it has some, or is not there."""
        values = item.model_dump(mode="json", include=set(_CONTENT_FIELDS)) | {
            "blob": blob,
            "headers": json.dumps(item.headers or {}),
            "owner": OUTBOUND,
            "about": str(item.id),
        }
        async with self._engine.connect() as connection:
            return await connection.scalar(_GIVE_CONTENT, values) is not None

    async def states(self, names: Collection[str]) -> dict[str, tuple[QueueState, str | None]]:
        """Of those that are not simply active, with the reason."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(_STATES, {"names": list(names)})
            return {row.queue_name: (QueueState(row.state), row.reason) for row in rows}


_CONTENT_FIELDS = ("id", "message_id", "size_bytes", "body_hash", "attachment_count", "status")
_COLUMNS = ", ".join([*(name for name in MessageQueueItem.model_fields if name != "queue_state")])
_INSERT = text(f"""
    WITH given AS (
        SELECT * FROM jsonb_populate_recordset(CAST(NULL AS message_queue), CAST(:rows AS jsonb))
    ), added AS (
        INSERT INTO message_queue ({_COLUMNS}, blob)
        SELECT {_COLUMNS}, blob FROM given
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, CAST(id AS text), 0, 'message.submitted', '{{}}' FROM added
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM added
""")  # noqa: S608
_DIFFERENT = text("""
    SELECT m.id
    FROM jsonb_populate_recordset(CAST(NULL AS message_queue), CAST(:rows AS jsonb)) AS given
    JOIN message_queue AS m ON m.id = given.id
    WHERE (m.sender, m.recipient, m.body_hash, m.headers)
          IS DISTINCT FROM (given.sender, given.recipient, given.body_hash, given.headers)
""")
_GIVE_CONTENT = text("""
    WITH given AS (
        UPDATE message_queue
        SET message_id = :message_id, size_bytes = :size_bytes, body_hash = :body_hash,
            attachment_count = :attachment_count, headers = CAST(:headers AS jsonb),
            blob = :blob, status = :status, last_bounce_reason = NULL, updated_at = now()
        WHERE id = CAST(:id AS uuid) AND blob IS NULL AND status = 'suspended'
        RETURNING id
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, :about, 0, 'message.submitted', '{}' FROM given
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM given
""")
_STATES = text("""
    SELECT queue_name, state, reason FROM queues
    WHERE queue_name = ANY(:names) AND state <> 'active' AND (until IS NULL OR until > now())
""")
