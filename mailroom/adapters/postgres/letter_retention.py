"""Letters that have outlived their retention (port `OldOnesStore`)."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.agent_mail import ENDED
from mailroom.models.retention import Kept, OldOne

_ENDED = [state.value for state in ENDED]


class PostgresLetterRetention:
    """Dead letters and pinned ones wait for somebody, however old they are."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def due(
        self, what: Kept, older_than: datetime, after: OldOne | None, limit: int
    ) -> Sequence[OldOne]:
        values = {
            "ended": _ENDED,
            "older_than": older_than,
            "at": after.at if after else None,
            "id": after.id if after else "",
            "limit": limit,
        }
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_DUE[what], values)).mappings()
            return [OldOne.model_validate(dict(row)) for row in rows]

    async def rows_since(self) -> datetime | None:
        """Rows of letters that ended before that may have been removed; None: none were."""
        async with self._engine.connect() as connection:
            found = await connection.scalar(_ROWS_SINCE, {"what": Kept.ROWS.value})
        return found if isinstance(found, datetime) else None

    async def own_blobs(self, ids: Sequence[str]) -> Collection[str]:
        async with self._engine.connect() as connection:
            return set(await connection.scalars(_OWN_BLOBS, {"ids": list(ids)}))

    async def remove(self, what: Kept, ids: Sequence[str]) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(_REMOVE[what], {"ids": list(ids), "ended": _ENDED})

    async def remove_events(self, older_than: datetime, limit: int) -> int:
        """Lines about sessions and drains, which belong to no letter; how many."""
        values = {"older_than": older_than, "limit": limit}
        async with self._engine.connect() as connection:
            return (await connection.execute(_REMOVE_EVENTS, values)).rowcount


_ROWS_SINCE = text("SELECT older_than FROM retention WHERE what = :what")
# By the index `agent_mail_updated`: whatever happens to a letter, its days begin anew.
_NEXT = """
    SELECT id, updated_at AS at FROM agent_mail
    WHERE updated_at < :older_than AND status = ANY(:ended) AND NOT pinned {also}
      AND (updated_at, id) > (coalesce(CAST(:at AS timestamptz), '-infinity'), :id)
    ORDER BY updated_at, id LIMIT :limit
"""
_DUE = {
    Kept.BODIES: text(_NEXT.format(also="AND (body <> '' OR blob IS NOT NULL)")),
    Kept.ROWS: text(_NEXT.format(also="")),
}
# The members of a group may have one body.
_OWN_BLOBS = text("""
    SELECT DISTINCT blob FROM agent_mail l
    WHERE id = ANY(:ids) AND blob IS NOT NULL
      AND NOT EXISTS (SELECT FROM agent_mail o WHERE o.blob = l.blob AND o.id <> ALL(:ids))
      AND NOT EXISTS (SELECT FROM processed_emails p WHERE p.blob = l.blob)
      AND NOT EXISTS (SELECT FROM drafts d WHERE d.blob = l.blob)
      AND NOT EXISTS (SELECT FROM workflow_state s WHERE s.reply_blob = l.blob)
      AND NOT EXISTS (SELECT FROM message_queue q WHERE q.blob = l.blob)
""")
_STILL = "id = ANY(:ids) AND status = ANY(:ended) AND NOT pinned"
_REMOVE = {
    Kept.BODIES: text(f"UPDATE agent_mail SET body = NULL, blob = NULL WHERE {_STILL}"),  # noqa: S608
    Kept.ROWS: text(f"""
        WITH letters AS (
            DELETE FROM agent_mail WHERE {_STILL} RETURNING id, "to"
        ), pushed AS (
            DELETE FROM session_events WHERE message_id IN (SELECT id FROM letters)
        ), confirmed AS (
            DELETE FROM delivery_confirmations WHERE message_id IN (SELECT id FROM letters)
        )
        DELETE FROM events
        WHERE (owner, message_id) IN (SELECT 'agent/' || "to", id FROM letters)
    """),  # noqa: S608
}
_REMOVE_EVENTS = text("""
    DELETE FROM events WHERE id IN (
        SELECT id FROM events
        WHERE at < :older_than AND owner LIKE 'agent/%'
          AND (type LIKE 'session.%' OR type LIKE 'queue.%')
        LIMIT :limit)
""")
