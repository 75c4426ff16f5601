"""The list of addresses that get no more mail."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from mailroom.adapters.postgres.engine import Engines
from mailroom.models.outbound.suppression import (
    Listed,
    NewSuppression,
    Suppression,
    SuppressionPage,
    SuppressionReason,
)
from mailroom.models.outbound.suppression_place import FIRST, Place

BATCH = 5_000
# Small enough that nobody waits for a part of an export to be written.
EXPORTED = 1_000
# In the order of bytes nothing that begins with a prefix comes after the prefix and this.
_LAST = "\U0010ffff"
STRENGTHS = [reason.value for reason in SuppressionReason]

STRONGER = """
    array_position(CAST(:strengths AS text[]), excluded.reason)
        > coalesce(array_position(CAST(:strengths AS text[]), suppressions.reason), 0)
"""
"""What was on the list for a weaker reason."""


class PostgresSuppressions:
    """Without a tenant is '' in the table, and None outside; a `tenant_id` of None as a filter
    means all of them."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    async def add(self, given: Iterable[NewSuppression]) -> Listed:
        """All or nothing. An address that is there keeps the stronger reason."""
        lines, added = _strongest(given), 0
        connecting = self._engines.write.execution_options(isolation_level="READ COMMITTED")
        async with connecting.begin() as connection:
            for batch in _batches(lines):
                added += await _add(connection, batch)
        return Listed(added=added, known=len(lines) - added)

    async def remove(self, address: str, tenant_id: str | None) -> bool:
        values = {"address": address, "tenant_id": tenant_id or ""}
        async with self._engines.write.connect() as connection:
            return await connection.scalar(_REMOVE, values) is not None

    async def reason_of(self, address: str, tenant_id: str | None) -> str | None:
        """Why an address gets no mail of a tenant; None where it does."""
        values = {"address": address, "tenant_id": tenant_id or ""}
        async with self._engines.read.connect() as connection:
            found = await connection.scalar(_REASON, values)
        return None if found is None else str(found)

    async def page(
        self, tenant_id: str | None, prefix: str = "", after: Place = FIRST, limit: int = 50
    ) -> SuppressionPage:
        """By address; those that begin with `prefix`. A `tenant_id` of '' is without tenant."""
        values = {
            "tenant_id": tenant_id,
            "prefix": prefix,
            "end": prefix + _LAST,
            "after": after.address,
            "after_tenant": after.tenant_id,
            "limit": limit + 1,
        }
        statement = _PAGES[tenant_id is not None, after.address >= prefix and after != FIRST]
        async with self._engines.read.connect() as connection:
            rows = (await connection.execute(statement, values)).mappings().all()
        # Our own rows, and up to a million of them in an export: not checked again.
        items = [
            Suppression.model_construct(**{**row, "tenant_id": row["tenant_id"] or None})
            for row in rows[:limit]
        ]
        more = len(rows) > limit
        return SuppressionPage(items=items, next_cursor=_place(items[-1]).text() if more else None)

    async def every(
        self, tenant_id: str | None, prefix: str = ""
    ) -> AsyncIterator[SuppressionPage]:
        """The whole list, page after page: no connection is held while somebody reads slowly."""
        after = FIRST
        while True:
            page = await self.page(tenant_id, prefix, after, EXPORTED)
            yield page
            if page.next_cursor is None:
                return
            after = _place(page.items[-1])


def _strongest(given: Iterable[NewSuppression]) -> list[NewSuppression]:
    """One for each address, in an order that all share, so that two who add never wait for each
    other."""
    found: dict[tuple[str, str], NewSuppression] = {}
    for one in given:
        key = (one.tenant_id or "", one.address)
        before = found.get(key)
        if before is None or _strength(one) > _strength(before):
            found[key] = one
    return [found[key] for key in sorted(found)]


def _strength(one: NewSuppression) -> int:
    return STRENGTHS.index(one.reason)


def _batches(lines: Sequence[NewSuppression]) -> Iterator[list[NewSuppression]]:
    rest = iter(lines)
    while batch := list(islice(rest, BATCH)):
        yield batch


async def _add(connection: AsyncConnection, batch: Sequence[NewSuppression]) -> int:
    values = {
        "tenants": [one.tenant_id or "" for one in batch],
        "addresses": [one.address for one in batch],
        "reasons": [one.reason.value for one in batch],
        "sources": [one.source for one in batch],
        "strengths": STRENGTHS,
    }
    return int(await connection.scalar(_ADD, values) or 0)


def _place(line: Suppression) -> Place:
    return Place(line.address, line.tenant_id or "")


# `xmax` is 0 in a row that this statement has made.
_ADD = text(f"""
    WITH done AS (
        INSERT INTO suppressions (tenant_id, address, reason, source)
        SELECT * FROM unnest(CAST(:tenants AS text[]), CAST(:addresses AS text[]),
                             CAST(:reasons AS text[]), CAST(:sources AS text[]))
        ON CONFLICT (tenant_id, address)
            DO UPDATE SET reason = excluded.reason, source = excluded.source
            WHERE {STRONGER}
        RETURNING xmax = 0 AS is_new
    )
    SELECT count(*) FILTER (WHERE is_new) FROM done
""")  # noqa: S608  parts of ours
_REMOVE = text("""
    DELETE FROM suppressions WHERE tenant_id = :tenant_id AND address = :address RETURNING 1
""")
_REASON = text("""
    SELECT reason FROM suppressions WHERE tenant_id = :tenant_id AND address = :address
""")
# Where to begin is one condition: with two the index is read from the first of them.
_BEGINNING = "address >= :prefix"
_FURTHER = "(address, tenant_id) > (:after, :after_tenant)"


def _page(whose: str, place: str) -> TextClause:
    return text(f"""
        SELECT address, reason, tenant_id, source, created_at FROM suppressions
        WHERE {whose} AND {place} AND address < :end
        ORDER BY address, tenant_id LIMIT :limit
    """)  # noqa: S608  parts of ours


# By whether it is one tenant's, and whether it goes on from a place.
_PAGES = {
    (one, further): _page(
        "tenant_id = :tenant_id" if one else "true", _FURTHER if further else _BEGINNING
    )
    for one in (False, True)
    for further in (False, True)
}
