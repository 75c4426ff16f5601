"""Outbound messages as they are looked at. Pages go by keyset."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.listing import MessageEvent, MessageFilter, Overview, Place
from mailroom.models.outbound.message import OUTBOUND

_COLUMNS = ", ".join(f"m.{name}" for name in MessageQueueItem.model_fields if name != "queue_state")
_STATE = """
    coalesce((SELECT q.state FROM queues AS q
              WHERE q.queue_name = m.queue_name AND (q.until IS NULL OR q.until > now()
                                                     OR q.set_by = 'health')), 'active')
"""
# Of a state that has not passed.
_LASTS = "q.state <> 'active' AND (q.until IS NULL OR q.until > now() OR q.set_by = 'health')"
_FROM = f"SELECT {_COLUMNS}, {_STATE} AS queue_state FROM message_queue AS m"  # noqa: S608
_CONDITIONS = {
    "statuses": "m.status = ANY(:statuses)",
    "domain": "m.domain = :domain",
    "queue_name": "m.queue_name = :queue_name",
    "campaign_id": "m.campaign_id = :campaign_id",
    "tenant_id": "m.tenant_id = :tenant_id",
    "recipient": "m.recipient = :recipient",
}


class PostgresMessageViews:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(
        self, wanted: MessageFilter, after: Place | None, limit: int
    ) -> list[MessageQueueItem]:
        """The newest first."""
        values = wanted.model_dump(mode="json", exclude_none=True)
        which = [_CONDITIONS[name] for name in values]
        if after:
            which.append("(m.created_at, m.id) < (:created_at, :id)")
            values |= {"created_at": after.created_at, "id": after.id}
        where = f"WHERE {' AND '.join(which)}" if which else ""
        statement = f"{_FROM} {where} ORDER BY m.created_at DESC, m.id DESC LIMIT :limit"
        return await self._items(statement, values | {"limit": limit})

    async def one(self, id: UUID) -> MessageQueueItem | None:
        found = await self._items(f"{_FROM} WHERE m.id = :id", {"id": id})
        return found[0] if found else None

    async def timeline(self, id: UUID) -> list[MessageEvent]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(_TIMELINE, {"owner": OUTBOUND, "id": str(id)})
            return [MessageEvent.model_validate(dict(row)) for row in rows.mappings()]

    async def overview(self, campaign_id: str | None) -> Overview:
        """How many messages there are by status, and by queue of what waits."""
        values = {"campaign": campaign_id}
        async with self._engine.connect() as connection:
            statuses = (await connection.execute(_BY_STATUS, values)).all()
            queues = (await connection.execute(_BY_QUEUE, values)).mappings().all()
        return Overview.model_validate({
            "messages_by_status": {row.status: row.messages for row in statuses},
            "queues": [dict(row) for row in queues],
        })  # fmt: skip

    async def _items(self, statement: str, values: dict[str, object]) -> list[MessageQueueItem]:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(text(statement), values)).mappings().all()
        return [MessageQueueItem.model_validate(dict(row)) for row in rows]


_TIMELINE = text("""
    SELECT id, type, at, detail FROM events
    WHERE owner = :owner AND message_id = :id ORDER BY id
""")
_BY_STATUS = text("""
    SELECT status, count(*) AS messages FROM message_queue
    WHERE CAST(:campaign AS text) IS NULL OR campaign_id = :campaign
    GROUP BY status
""")
_BY_QUEUE = text(f"""
    SELECT waiting.*, coalesce(q.state, 'active') AS state, q.reason, q.until
    FROM (
        SELECT queue_name, count(*) AS waiting, count(*) FILTER (WHERE held) AS held,
               min(created_at) AS oldest,
               (array_agg(last_bounce_reason ORDER BY last_attempt_at DESC NULLS LAST)
                FILTER (WHERE last_bounce_reason IS NOT NULL))[1] AS last_error
        FROM message_queue
        WHERE status IN ('scheduled', 'ready', 'in_delivery', 'suspended', 'deferred')
          AND (CAST(:campaign AS text) IS NULL OR campaign_id = :campaign)
        GROUP BY queue_name ORDER BY waiting DESC, queue_name LIMIT 50
    ) AS waiting LEFT JOIN queues AS q ON q.queue_name = waiting.queue_name AND {_LASTS}
    ORDER BY waiting.waiting DESC, waiting.queue_name
""")  # noqa: S608
