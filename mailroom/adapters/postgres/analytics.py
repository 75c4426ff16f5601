"""Figures by day, sender and source, and the latest edits."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Row, RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres import figures_sql as sql
from mailroom.models.draft_diff import draft_diff
from mailroom.models.figures import Amounts, Answers, Day, Failures, Figures, KeptEdit, Rates
from mailroom.ports import Blobs, Permanent

MOST_DAYS = 366
SENDERS = 20
EDITS = 20

_WORDS = {
    "user_approved": "approve",
    "user_edit_requested": "edit",
    "user_ignored": "ignore",
    "timeout": "none",
}

Rows = Sequence[RowMapping]


class PostgresAnalytics:
    def __init__(self, engine: AsyncEngine, blobs: Blobs) -> None:
        self._engine = engine
        self._blobs = blobs

    async def figures(self, days: int, owners: Sequence[str] | None = None) -> Figures:
        """Of these owners' mails, or of everybody's, in the last `days` days of UTC."""
        now = datetime.now(UTC)
        first = now.date() - timedelta(days=min(days, MOST_DAYS) - 1)
        values: dict[str, object] = {
            "since": datetime.combine(first, time(), UTC),
            "everybody": owners is None,
            "owners": list(owners or ()),
        }
        most, latest = {**values, "limit": SENDERS}, {**values, "limit": EDITS}
        async with self._engine.connect() as connection:
            mails = (await connection.execute(sql.MAILS, values)).mappings().all()
            events = (await connection.execute(sql.EVENTS, values)).mappings().all()
            senders = (await connection.execute(sql.SENDERS, most)).mappings().all()
            sources = (await connection.execute(sql.SOURCES, most)).mappings().all()
            edits = (await connection.execute(sql.EDITS, latest)).all()
        amounts = _amounts(mails, events)
        each = [first + timedelta(days=n) for n in range((now.date() - first).days + 1)]
        return Figures(
            total=amounts[None],
            days=[Day(day=day, **dict(amounts[day])) for day in each],
            senders=[Rates.model_validate(dict(row)) for row in senders],
            sources=[Rates.model_validate(dict(row)) for row in sources],
            edits=[edit for row in edits if (edit := await self._edit(row))],
        )

    async def _edit(self, row: Row[tuple[object, ...]]) -> KeptEdit | None:
        try:
            before, after = await self._blobs.get(row.before), await self._blobs.get(row.after)
        except Permanent:
            # Retention took it.
            return None
        return KeptEdit(
            workflow_id=row.workflow_id,
            sender=row.sender,
            subject=row.subject,
            at=row.at,
            instructions=row.instructions,
            diff=draft_diff(before.decode(), after.decode()),
        )


def _amounts(mails: Rows, events: Rows) -> dict[date | None, Amounts]:
    """By day, and by None all together; a day on which nothing happened has zeros."""
    happened: dict[date | None, list[RowMapping]] = defaultdict(list)
    for row in events:
        happened[_day(row)].append(row)
    came = {_day(row): row for row in mails}
    known: dict[date | None, Amounts] = defaultdict(Amounts)
    for day in {*happened, *came}:
        known[day] = _amount(came.get(day), happened[day])
    return known


def _day(row: RowMapping) -> date | None:
    return row["day"].astimezone(UTC).date() if row["day"] else None


def _amount(came: RowMapping | None, happened: Rows) -> Amounts:
    times = {_WORDS[row["type"]]: row["times"] for row in happened if row["type"] in _WORDS}
    failed = {row["stage"]: row["times"] for row in happened if row["type"] == "failed"}
    return Amounts(
        mails=came["mails"] if came else 0,
        texts=_sum(happened, "texts"),
        answers=Answers.model_validate(times),
        response_seconds=_rounded(came["response_seconds"]) if came else None,
        edits_per_draft=_rounded(came["edits_per_draft"]) if came else None,
        failures=Failures.model_validate(failed),
        input_tokens=_sum(happened, "input_tokens"),
        output_tokens=_sum(happened, "output_tokens"),
    )


def _sum(rows: Rows, name: str) -> int:
    return sum(int(row[name] or 0) for row in rows)


def _rounded(value: object) -> float | None:
    return None if value is None else round(float(str(value)), 3)
