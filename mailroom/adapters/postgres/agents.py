"""Addresses of agents that were seen: by a session, a letter of theirs, or by hand."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

MOST_KNOWN = 10_000


class PostgresAgents:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def knows(self, address: str) -> bool:
        async with self._engine.connect() as connection:
            return await connection.scalar(_KNOWS, {"address": address}) is not None

    async def all(self, prefix: str = "") -> list[str]:
        """Those that begin so, 10,000 at most."""
        # Every prefix has an end: no address has the last character of all.
        values = {"first": prefix, "last": f"{prefix}\U0010ffff", "most": MOST_KNOWN}
        async with self._engine.connect() as connection:
            return [str(one) for one in await connection.scalars(_ALL, values)]

    async def remember(self, addresses: Iterable[str]) -> None:
        # In one order for all, so that two never wait for each other.
        values = {"addresses": sorted(set(addresses))}
        async with self._engine.connect() as connection:
            await connection.execute(_REMEMBER, values)


_KNOWS = text("SELECT address FROM agents WHERE address = :address")
_ALL = text("""
    SELECT address FROM agents
    WHERE address COLLATE "C" >= :first AND address COLLATE "C" < :last
    ORDER BY address LIMIT :most
""")
_REMEMBER = text("""
    INSERT INTO agents (address) SELECT unnest(CAST(:addresses AS text[])) ON CONFLICT DO NOTHING
""")
