"""Rows of one person's mail, found and deleted."""

from collections.abc import Collection, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.base import Frozen

# Both forms in which a sender is shown: bare, and in brackets behind a name.
_FIND = text("""
    SELECT owner, message_id, workflow_id, blob FROM processed_emails
    WHERE owner = ANY(:owners)
      AND (lower("from") = :address OR right(lower("from"), length(:address) + 2) = :bracketed)
    ORDER BY workflow_id
    LIMIT :limit
""")

_OF_THESE = "(owner, message_id) IN (SELECT owner, message_id FROM mails)"
_DELETE = text(f"""
    WITH mails AS (
        DELETE FROM processed_emails WHERE workflow_id = ANY(:ids)
        RETURNING owner, message_id, blob
    ), states AS (
        DELETE FROM workflow_state WHERE {_OF_THESE} RETURNING reply_blob AS blob
    ), old AS (
        DELETE FROM drafts WHERE {_OF_THESE} RETURNING blob
    ), texts AS (
        DELETE FROM sms_messages
        WHERE {_OF_THESE}
           OR (owner, outcome->>'message_id') IN (SELECT owner, message_id FROM mails)
        RETURNING 1
    ), lines AS (
        DELETE FROM events WHERE {_OF_THESE} RETURNING 1
    ), markers AS (
        DELETE FROM send_markers
        WHERE substring(key FROM '^(email-reply/[0-9a-f]+)/') = ANY(:ids) RETURNING blob
    ), monitored AS (
        DELETE FROM monitored_emails WHERE workflow_id = ANY(:ids)
    )
    SELECT (SELECT count(*) FROM mails) AS mails, (SELECT count(*) FROM old) AS drafts,
           (SELECT count(*) FROM texts) AS texts, (SELECT count(*) FROM lines) AS events,
           ARRAY(SELECT blob FROM mails UNION SELECT blob FROM states UNION
                 SELECT blob FROM old UNION SELECT blob FROM markers) AS blobs
""")  # noqa: S608  no value is in it

_REFERRED = text("""
    SELECT blob FROM processed_emails WHERE blob = ANY(:blobs)
    UNION SELECT blob FROM drafts WHERE blob = ANY(:blobs)
    UNION SELECT reply_blob FROM workflow_state WHERE reply_blob = ANY(:blobs)
    UNION SELECT blob FROM send_markers WHERE blob = ANY(:blobs)
    UNION SELECT blob FROM agent_mail WHERE blob = ANY(:blobs)
    UNION SELECT blob FROM message_queue WHERE blob = ANY(:blobs)
""")


class Known(Frozen):
    """One mail of the person."""

    owner: str
    message_id: str
    workflow_id: str
    blob: str


class Deleted(Frozen):
    """How much went, and the blobs that the rows had referred to."""

    mails: int
    drafts: int
    texts: int
    events: int
    blobs: list[str | None]


class PostgresForgetting:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, owners: Collection[str], address: str, limit: int) -> Sequence[Known]:
        """Mails from this address, in any case."""
        address = address.lower()
        values = {"address": address, "bracketed": f"<{address}>"}
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                _FIND, {**values, "owners": list(owners), "limit": limit}
            )
            return [Known.model_validate(dict(row)) for row in rows.mappings()]

    async def delete(self, workflow_ids: Collection[str]) -> Deleted:
        """All rows of these mails, at once."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(_DELETE, {"ids": list(workflow_ids)})).mappings().one()
        return Deleted.model_validate(dict(row))

    async def unreferred(self, blobs: Collection[str]) -> set[str]:
        """Those that no row refers to (any more)."""
        async with self._engine.connect() as connection:
            kept = set(await connection.scalars(_REFERRED, {"blobs": list(blobs)}))
        return set(blobs) - kept
