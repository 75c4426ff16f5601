"""Filters of messages that people gave a name."""

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.saved_filters import SavedFilter


class PostgresSavedFilters:
    def __init__(self, write: AsyncEngine, read: AsyncEngine) -> None:
        self._write = write
        self._read = read

    async def every(self) -> list[SavedFilter]:
        """By name."""
        async with self._read.connect() as connection:
            rows = (await connection.execute(_ALL)).mappings().all()
        return [_saved(row) for row in rows]

    async def one(self, name: str) -> SavedFilter | None:
        async with self._write.connect() as connection:
            row = (await connection.execute(_ONE, {"name": name})).mappings().first()
        return _saved(row) if row else None

    async def save(self, name: str, selection: MessageSelection, most: int) -> SavedFilter | None:
        """In place of an older one of this name; None where there are `most` others already."""
        said = selection.model_dump_json(exclude_unset=True)
        values = {"name": name, "selection": said, "most": most}
        async with self._write.connect() as connection:
            row = (await connection.execute(_SAVE, values)).mappings().first()
        return _saved(row) if row else None

    async def remove(self, name: str) -> bool:
        async with self._write.connect() as connection:
            return await connection.scalar(_REMOVE, {"name": name}) is not None


def _saved(row: RowMapping) -> SavedFilter:
    return SavedFilter.model_validate(dict(row))


_ALL = text("SELECT name, selection, created_at FROM saved_filters ORDER BY name")
_ONE = text("SELECT name, selection, created_at FROM saved_filters WHERE name = :name")
_SAVE = text("""
    INSERT INTO saved_filters (name, selection)
    SELECT :name, CAST(:selection AS jsonb)
    WHERE (SELECT count(*) FROM saved_filters WHERE name <> :name) < :most
    ON CONFLICT (name) DO UPDATE SET selection = excluded.selection, created_at = now()
    RETURNING name, selection, created_at
""")
_REMOVE = text("DELETE FROM saved_filters WHERE name = :name RETURNING name")
