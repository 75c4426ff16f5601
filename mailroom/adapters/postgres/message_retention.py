"""Outbound messages that have outlived their retention (port `OldOnesStore`)."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.outbound.message import OUTBOUND
from mailroom.models.retention import Kept, OldOne

WORDS = 5_000
NOWHERE = "00000000-0000-0000-0000-000000000000"


class PostgresMessageRetention:
    """What waits stays, however old it is."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def due(
        self, what: Kept, older_than: datetime, after: OldOne | None, limit: int
    ) -> Sequence[OldOne]:
        values = {
            "older_than": older_than,
            "at": after.at if after else None,
            "id": after.id if after else NOWHERE,
            "limit": limit,
        }
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_DUE[what], values)).mappings()
            return [OldOne.model_validate(dict(row)) for row in rows]

    async def own_blobs(self, ids: Sequence[str]) -> Collection[str]:
        async with self._engine.connect() as connection:
            return set(await connection.scalars(_OWN_BLOBS, {"ids": list(ids)}))

    async def remove(self, what: Kept, ids: Sequence[str]) -> None:
        values: dict[str, object] = {"ids": list(ids)}
        if what is Kept.ROWS:
            values["owner"] = OUTBOUND
        async with self._engine.connect() as connection:
            await connection.execute(_REMOVE[what], values)

    async def remove_events(self, older_than: datetime, limit: int) -> int:
        """Every event is about a message, and goes with it; here go the words that none has."""
        async with self._engine.execution_options(isolation_level="READ COMMITTED").begin() as one:
            await one.execute(_BY_INDEX)
            words = list(await one.scalars(_UNUSED_WORDS, {"limit": WORDS}))
            if words:
                # Who adds a message with one of them waits, and adds the word again.
                await one.execute(_NO_NEW_WORDS)
                removed = await one.scalars(_REMOVE_WORDS, {"words": words})
                return len(removed.all())
        return 0


_ENDED = "status IN ('delivered', 'bounced', 'expired', 'cancelled')"
# By the index `message_queue_ended`: whatever happens to a message, its days begin anew.
_NEXT = f"""
    SELECT CAST(id AS text) AS id, updated_at AS at FROM message_queue
    WHERE updated_at < :older_than AND {_ENDED} {{also}}
      AND (updated_at, id) > (coalesce(CAST(:at AS timestamptz), '-infinity'), CAST(:id AS uuid))
    ORDER BY updated_at, id LIMIT :limit
"""  # noqa: S608
_DUE = {
    Kept.BODIES: text(_NEXT.format(also="AND blob IS NOT NULL")),
    Kept.ROWS: text(_NEXT.format(also="")),
}
_THESE = "ANY(CAST(:ids AS uuid[]))"
# The same mail may have been submitted twice.
_OWN_BLOBS = text(f"""
    SELECT DISTINCT blob FROM message_queue m
    WHERE id = {_THESE} AND blob IS NOT NULL
      AND NOT EXISTS (SELECT FROM message_queue o WHERE o.blob = m.blob AND NOT o.id = {_THESE})
      AND NOT EXISTS (SELECT FROM processed_emails p WHERE p.blob = m.blob)
      AND NOT EXISTS (SELECT FROM workflow_state s WHERE s.reply_blob = m.blob)
      AND NOT EXISTS (SELECT FROM drafts d WHERE d.blob = m.blob)
      AND NOT EXISTS (SELECT FROM agent_mail l WHERE l.blob = m.blob)
""")  # noqa: S608
_REMOVE = {
    Kept.BODIES: text(f"UPDATE message_queue SET blob = NULL WHERE id = {_THESE} AND {_ENDED}"),  # noqa: S608
    Kept.ROWS: text(f"""
        WITH messages AS (
            DELETE FROM message_queue WHERE id = {_THESE} AND {_ENDED} RETURNING id, num_attempts
        ), markers AS (
            DELETE FROM send_markers WHERE key IN (
                SELECT 'outbound/' || id || '/' || attempt
                FROM messages, generate_series(1, num_attempts + 1) AS attempt)
        )
        DELETE FROM events
        WHERE owner = :owner AND message_id IN (SELECT CAST(id AS text) FROM messages)
    """),  # noqa: S608
}
# A word without a row is not known to be rare, and no index would be asked.
_BY_INDEX = text("SET LOCAL enable_seqscan = off")
_UNUSED = """
    NOT EXISTS (SELECT FROM message_queue AS m
                WHERE m.words @@ CAST('''' || w.word || '''' AS tsquery))
"""
# Those that many messages have, as the statistics say, need not be looked for.
_UNUSED_WORDS = text(f"""
    SELECT w.word FROM message_words AS w
    WHERE w.word <> ALL(
        SELECT unnest(CAST(CAST(most_common_elems AS text) AS text[])) FROM pg_stats
        WHERE tablename = 'message_queue' AND attname = 'words' AND most_common_elems IS NOT NULL
    ) AND {_UNUSED} LIMIT :limit
""")  # noqa: S608
_NO_NEW_WORDS = text("LOCK TABLE message_words IN SHARE ROW EXCLUSIVE MODE")
_REMOVE_WORDS = text(f"""
    DELETE FROM message_words AS w WHERE w.word = ANY(:words) AND {_UNUSED} RETURNING w.word
""")  # noqa: S608
