"""Send-once markers (port `SendMarkers`): an insert decides who may send."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.rows import Marker, SendOutcome

_FIND = text("SELECT outcome, response FROM send_markers WHERE key = :key")
_CLAIM = text("""
    INSERT INTO send_markers AS m (key, blob) VALUES (:key, :blob)
    ON CONFLICT (key) DO UPDATE
    SET blob = excluded.blob, claimed_at = now(), outcome = NULL, response = NULL,
        settled_at = NULL
    WHERE m.outcome IN ('refused', 'not_sent')
    RETURNING key
""")
_SETTLE = text("""
    UPDATE send_markers SET outcome = :outcome, response = :response, settled_at = now()
    WHERE key = :key
""")


class PostgresMarkers:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, key: str) -> Marker | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_FIND, {"key": key})).first()
        return Marker(outcome=row.outcome, response=row.response) if row else None

    async def claim(self, key: str, blob: str) -> bool:
        async with self._engine.connect() as connection:
            return await connection.scalar(_CLAIM, {"key": key, "blob": blob}) is not None

    async def settle(self, key: str, outcome: SendOutcome, response: str) -> None:
        values = {"key": key, "outcome": outcome, "response": response}
        async with self._engine.connect() as connection:
            await connection.execute(_SETTLE, values)
