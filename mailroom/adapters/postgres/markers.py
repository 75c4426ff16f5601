"""Send-once markers (port `SendMarkers`): an insert decides who may send."""

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.schema import send_markers
from mailroom.models.rows import Marker, SendOutcome

CLAIMABLE = (SendOutcome.REFUSED, SendOutcome.NOT_SENT)


class PostgresMarkers:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, key: str) -> Marker | None:
        query = select(send_markers.c.outcome, send_markers.c.response).where(
            send_markers.c.key == key
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        return Marker(outcome=row.outcome, response=row.response) if row else None

    async def claim(self, key: str, blob: str) -> bool:
        fresh = insert(send_markers).values(key=key, blob=blob)
        again = fresh.on_conflict_do_update(
            index_elements=["key"],
            set_={"blob": blob, "claimed_at": func.now(), "outcome": None, "settled_at": None},
            where=send_markers.c.outcome.in_(CLAIMABLE),
        ).returning(send_markers.c.key)
        async with self._engine.connect() as connection:
            return (await connection.execute(again)).first() is not None

    async def settle(self, key: str, outcome: SendOutcome, response: str) -> None:
        settled = (
            update(send_markers)
            .where(send_markers.c.key == key)
            .values(outcome=outcome, response=response, settled_at=func.now())
        )
        async with self._engine.connect() as connection:
            await connection.execute(settled)
