"""Send-once markers (port `SendMarkers`): an insert decides who may send."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.batches import Batches, Rows
from mailroom.models.rows import Marker, SendOutcome

_FIND = text("SELECT outcome, response FROM send_markers WHERE key = :key")
_CLAIMED = """
    ON CONFLICT (key) DO UPDATE
    SET blob = excluded.blob, claimed_at = now(), outcome = NULL, response = NULL,
        settled_at = NULL
    WHERE m.outcome IN ('refused', 'not_sent')
    RETURNING key
"""
_CLAIM = text(f"INSERT INTO send_markers AS m (key, blob) VALUES (:key, :blob) {_CLAIMED}")  # noqa: S608
# In one order everywhere: two workers that want the same ones don't wait for each other crosswise.
_CLAIM_ALL = f"""
    WITH wanted AS (
        SELECT * FROM unnest((SELECT CAST(%(keys)s AS text[])), (SELECT CAST(%(blobs)s AS text[])))
            AS w (key, blob)
    ), claimed AS (
        INSERT INTO send_markers AS m (key, blob) SELECT key, blob FROM wanted ORDER BY key
        {_CLAIMED}
    )
    SELECT key, key IN (SELECT key FROM claimed) AS mine FROM wanted
"""  # noqa: S608
_SETTLE = text("""
    UPDATE send_markers SET outcome = :outcome, response = :response, settled_at = now()
    WHERE key = :key
""")


class PostgresMarkers:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Each is committed, and on the disk, when it is answered.
        self._claims: Batches[str, str, bool] = Batches(engine, _CLAIM_ALL, _wanted, _mine)

    async def find(self, key: str) -> Marker | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_FIND, {"key": key})).first()
        return Marker(outcome=row.outcome, response=row.response) if row else None

    async def claim(self, key: str, blob: str) -> bool:
        claimed = await self._claims.ask(key, blob)
        return await self._claim(key, blob) if claimed is None else claimed

    async def _claim(self, key: str, blob: str) -> bool:
        async with self._engine.connect() as connection:
            return await connection.scalar(_CLAIM, {"key": key, "blob": blob}) is not None

    async def settle(self, key: str, outcome: SendOutcome, response: str) -> None:
        values = {"key": key, "outcome": outcome, "response": response}
        async with self._engine.connect() as connection:
            await connection.execute(_SETTLE, values)


def _wanted(blobs: Mapping[str, str]) -> Mapping[str, object]:
    return {"keys": list(blobs), "blobs": list(blobs.values())}


def _mine(rows: Rows) -> Mapping[str, bool]:
    return {row["key"]: row["mine"] for row in rows}
