"""Letters as people and agents look at them: lists, inboxes, one letter. Nothing here writes."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres import letter_sql as sql
from mailroom.models.agent_mail import Letter, Priority, event_owner
from mailroom.models.letter_rows import (
    LARGEST_NUMBER,
    InboxCursor,
    InboxPage,
    LetterEvent,
    LetterFilter,
    LetterPage,
    LetterRow,
)
from mailroom.models.sessions import Confirmation

FIRST_RANK = Priority.URGENT.rank
MOST_FOUND = 2
"""Letters that an abbreviated ID may mean: more than one is too many."""


class Found(LetterRow):
    """`blob` has the body where it is long; `mine`: whether the caller may read it."""

    blob: str | None
    mine: bool


class PostgresLetterViews:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(
        self, wanted: LetterFilter, cursor: int | None = None, limit: int = 50
    ) -> LetterPage:
        """Newest first; `cursor` is the `next_cursor` of the page before."""
        statement, values = sql.page(wanted)
        before = LARGEST_NUMBER if cursor is None else cursor
        rows = await self._all(statement, **values, cursor=before, limit=limit + 1)
        return _page(rows, limit)

    async def thread(
        self, thread: str, mine: str | None, cursor: int | None = None, limit: int = 200
    ) -> LetterPage:
        """Oldest first: those of the thread that are to or from `mine`, or all."""
        rows = await self._all(
            sql.THREAD, thread=thread, mine=mine, cursor=cursor or 0, limit=limit + 1
        )
        return _page(rows, limit)

    async def inbox(
        self,
        address: str,
        *,
        unread: bool = True,
        by_priority: bool = True,
        cursor: InboxCursor | None = None,
        limit: int = 50,
    ) -> InboxPage:
        """Pinned ones first, then what is unread, or all but what is over."""
        rows: list[RowMapping] = []
        if cursor is None or cursor.pinned:
            statement = sql.inbox(sql.PINNED, by_priority=by_priority)
            rows += await self._inbox(statement, address, cursor, limit + 1)
            cursor = None
        if len(rows) <= limit:
            which = sql.UNREAD if unread else sql.ALL
            statement = sql.inbox(which, by_priority=by_priority)
            rows += await self._inbox(statement, address, cursor, limit + 1 - len(rows))
        more = len(rows) > limit
        return InboxPage(
            items=[row_of(row) for row in rows[:limit]],
            next_cursor=_place(rows[limit - 1]).text() if more else None,
        )

    async def find(self, prefix: str, mine: str | None = None) -> list[Found]:
        """Letters whose IDs begin so, two at most, those of `mine` first."""
        rows = await self._all(sql.FIND, prefix=prefix, mine=mine, limit=MOST_FOUND)
        return [Found.model_validate(_values(row)) for row in rows]

    async def rows(self, ids: Sequence[str]) -> list[LetterRow]:
        return [row_of(row) for row in await self._all(sql.ROWS, ids=list(ids))]

    async def letter(self, letter_id: str) -> tuple[Letter, int] | None:
        """As a workflow gets it, and the last step that is written down."""
        rows = await self._all(sql.LETTER, id=letter_id)
        if not rows:
            return None
        known = {name: value for name, value in rows[0].items() if name != "step"}
        priority = Priority.of_rank(rows[0]["priority"])
        return Letter.model_validate({**known, "priority": priority}), int(rows[0]["step"])

    async def timeline(self, letter_id: str, to: str) -> list[LetterEvent]:
        rows = await self._all(sql.TIMELINE, owner=event_owner(to), id=letter_id)
        return [LetterEvent.model_validate(dict(row)) for row in rows]

    async def confirmation(self, letter_id: str, kept: timedelta) -> Confirmation | None:
        """Of a delivery not longer ago than that."""
        rows = await self._all(sql.CONFIRMATION, id=letter_id, kept=kept)
        return Confirmation.model_validate(dict(rows[0])) if rows else None

    async def matching(
        self, wanted: LetterFilter, after: int = 0, limit: int = 500
    ) -> list[tuple[int, str]]:
        """Numbers and IDs of the letters that match, oldest first, beginning after a number."""
        statement, values = sql.matching(wanted)
        rows = await self._all(statement, **values, after=after, limit=limit)
        return [(int(row["number"]), str(row["id"])) for row in rows]

    async def count(self, wanted: LetterFilter) -> int:
        statement, values = sql.count(wanted)
        return int((await self._all(statement, **values))[0]["letters"])

    async def _inbox(
        self, statement: str, address: str, cursor: InboxCursor | None, limit: int
    ) -> Sequence[RowMapping]:
        return await self._all(
            statement,
            to=address,
            rank=cursor.rank if cursor else FIRST_RANK + 1,
            sent_at=cursor.sent_at if cursor else None,
            number=cursor.number if cursor else 0,
            limit=limit,
        )

    async def _all(self, statement: str, **values: object) -> Sequence[RowMapping]:
        async with self._engine.connect() as connection:
            return (await connection.execute(text(statement), values)).mappings().all()


def row_of(row: RowMapping) -> LetterRow:
    return LetterRow.model_validate(_values(row))


def _values(row: RowMapping) -> dict[str, object]:
    known = {name: value for name, value in row.items() if name != "number"}
    return {**known, "priority": Priority.of_rank(row["priority"])}


def _page(rows: Sequence[RowMapping], limit: int) -> LetterPage:
    more = len(rows) > limit
    items = [row_of(row) for row in rows[:limit]]
    return LetterPage(items=items, next_cursor=rows[limit - 1]["number"] if more else None)


def _place(row: RowMapping) -> InboxCursor:
    return InboxCursor(
        pinned=row["pinned"], rank=row["priority"], sent_at=row["sent_at"], number=row["number"]
    )
