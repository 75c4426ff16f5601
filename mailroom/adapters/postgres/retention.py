"""What has outlived its retention (port `RetentionStore`), and what the next run removes."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres import retention_sql as sql
from mailroom.models.base import Frozen
from mailroom.models.names import REASON_LATER_MAIL
from mailroom.models.retention import DueMail, Kept
from mailroom.models.states import MailState, is_final

_FINAL = [state.value for state in MailState if is_final(state)]
# Whether a failed mail can still be mended, its workflow says.
_WHICH: dict[str, object] = {
    "ended": [*_FINAL, MailState.FAILED.value],
    "final": _FINAL,
    "merged": REASON_LATER_MAIL,
}


class Prospect(Frozen):
    """`due`: how many mails the next run removes the bodies, or the rows, of; `last_run` removed
    what was `older_than` that."""

    days: int | None
    due: int
    last_run: datetime | None
    older_than: datetime | None


class PostgresRetention:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def begin(self, what: Kept, older_than: datetime) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(sql.BEGIN, {"what": what.value, "older_than": older_than})

    async def ended(self, what: Kept) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(sql.ENDED, {"what": what.value})

    async def due(
        self, what: Kept, older_than: datetime, after: DueMail | None, limit: int
    ) -> Sequence[DueMail]:
        values = {
            **_WHICH,
            "older_than": older_than,
            "at": after.at if after else None,
            "id": after.workflow_id if after else "",
            "limit": limit,
        }
        async with self._engine.connect() as connection:
            rows = (await connection.execute(sql.DUE[what], values)).mappings()
            return [DueMail.model_validate(dict(row)) for row in rows]

    async def own_blobs(self, workflow_ids: Sequence[str]) -> Collection[str]:
        async with self._engine.connect() as connection:
            return set(await connection.scalars(sql.OWN_BLOBS, {"ids": list(workflow_ids)}))

    async def remove(self, what: Kept, workflow_ids: Sequence[str]) -> None:
        statement = sql.REMOVE_BODIES if what is Kept.BODIES else sql.REMOVE_ROWS
        async with self._engine.connect() as connection:
            await connection.execute(statement, {"ids": list(workflow_ids)})

    async def remove_texts(
        self, what: Kept, older_than: datetime, after: int, limit: int
    ) -> Sequence[int]:
        values = {"older_than": older_than, "after": after, "limit": limit, "final": _FINAL}
        async with self._engine.connect() as connection:
            ids = list(await connection.scalars(sql.REMOVE_TEXTS[what], values))
            if what is Kept.ROWS and not ids:
                await connection.execute(sql.REMOVE_RECEIPTS, {"older_than": older_than})
        return ids

    async def prospect(self, periods: Mapping[Kept, timedelta]) -> dict[Kept, Prospect]:
        """What is due by now, and what the last runs did."""
        now = datetime.now(UTC)
        async with self._engine.connect() as connection:
            runs = {row.what: row for row in await connection.execute(sql.RUNS)}
            due: dict[Kept, int] = {}
            for what, period in periods.items():
                values = {**_WHICH, "older_than": now - period}
                due[what] = int(await connection.scalar(sql.COUNT[what], values) or 0)
        return {
            what: Prospect(
                days=periods[what].days if what in periods else None,
                due=due.get(what, 0),
                last_run=runs[what].ran_at if what in runs else None,
                older_than=runs[what].older_than if what in runs else None,
            )
            for what in Kept
        }
