"""Old records on their way into the new queue: in batches, each a transaction with the count of how
far the input has been dealt with, so that a kill loses nothing and repeats nothing."""

import asyncio
import json
from collections.abc import Sequence
from uuid import UUID, uuid4

from pydantic import JsonValue
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mailroom.adapters.postgres import queue_migrations_sql as sql
from mailroom.adapters.postgres.queue_rows import item_of, rows_of
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.legacy import QueueItem
from mailroom.models.outbound.legacy_migration import (
    Batch,
    Became,
    Counts,
    Existing,
    GivenBack,
    KeptMessage,
    Migration,
    MigrationReport,
    MigrationStatus,
    Record,
    RecordProblem,
    RolledBack,
    Took,
)
from mailroom.models.outbound.legacy_plan import plan, read_all, remembered, same_id
from mailroom.models.outbound.legacy_records import message_of, without_content
from mailroom.models.outbound.message import OUTBOUND, Event

MOST_KEPT = 1_000


class NoMigration(Exception):
    def __init__(self) -> None:
        super().__init__("There is no such migration.")


class OutOfOrder(Exception):
    """This batch is not the next one, or there is no next one."""


class BadRecords(Exception):
    """Nothing of the batch was imported."""

    def __init__(self, problems: Sequence[RecordProblem]) -> None:
        super().__init__("Some records are not in order; nothing of them was imported.")
        self.problems = problems


class PostgresMigrations:
    def __init__(self, write: AsyncEngine, read: AsyncEngine) -> None:
        # A batch is several statements: all or none of them.
        self._write = write.execution_options(isolation_level="READ COMMITTED")
        self._read = read

    async def begin(self, digest: str, sender: str, source: str | None) -> Migration:
        """A new one, or the one of this input that has not come to its end."""
        values = {"id": uuid4(), "digest": digest, "sender": sender, "source": source}
        async with self._write.begin() as one:
            row = (await one.execute(sql.BEGIN, values)).mappings().one()
        return _migration(row)

    async def check(self, values: list[JsonValue], offset: int) -> Batch:
        """What an import would do; changes nothing."""
        records, problems = await asyncio.to_thread(read_all, values, offset)
        async with self._read.connect() as one:
            existing = await _existing(one, sql.EXISTING, records)
        return plan(records, existing, problems)[0]

    async def take(
        self, id: UUID, offset: int, values: list[JsonValue], *, last: bool, skip_invalid: bool
    ) -> Took:
        """Imports what has not been. Raises `NoMigration`, `OutOfOrder` and `BadRecords`."""
        async with self._write.begin() as one:
            migration = await _locked(one, id)
            rest = _rest(migration, offset, values)
            if rest is None:
                return Took(migration=migration)
            batch = await _imported(one, migration, rest, skip_invalid=skip_invalid)
            values_ = {
                "id": id,
                "done": migration.done + len(rest),
                "refused": migration.refused + batch.counts.refused,
                "last": last,
            }
            row = (await one.execute(sql.ADVANCE, values_)).mappings().one()
        return Took(migration=_migration(row), **dict(batch))

    async def report(self, id: UUID) -> MigrationReport:
        async with self._write.connect() as one:
            row = (await one.execute(sql.ONE, {"id": id})).mappings().first()
            if row is None:
                raise NoMigration
            return await _report(one, row)

    async def latest(self, limit: int) -> list[MigrationReport]:
        """Newest first."""
        async with self._write.connect() as one:
            rows = (await one.execute(sql.LATEST, {"limit": limit})).mappings().all()
            return [await _report(one, row) for row in rows]

    async def records(self, id: UUID, after: int, limit: int) -> list[GivenBack]:
        """In the order of the input; -1 is before the first. Raises `NoMigration`."""
        values = {"id": id, "after": after, "limit": limit}
        async with self._read.connect() as one:
            rows = (await one.execute(sql.RECORDS, values)).mappings().all()
            if not rows and (await one.execute(sql.ONE, {"id": id})).first() is None:
                raise NoMigration
        return [GivenBack(**{**row, "record": json.loads(row["record"])}) for row in rows]

    async def roll_back(self, id: UUID) -> RolledBack:
        """Removes and restores what has not gone on; repeated, it changes nothing."""
        async with self._write.begin() as one:
            migration = await _locked(one, id)
            removed = restored = 0
            if migration.status is not MigrationStatus.ROLLED_BACK:
                values = {"id": id, "owner": OUTBOUND}
                removed = (await one.execute(sql.REMOVE, values)).scalar_one()
                restored = (await one.execute(sql.RESTORE, {"id": id})).scalar_one()
                row = (await one.execute(sql.ROLLED_BACK, {"id": id})).mappings().one()
                migration = _migration(row)
            kept = (await one.execute(sql.GONE_ON, {"id": id, "most": MOST_KEPT})).mappings().all()
            count = int((await one.execute(sql.GONE_ON_COUNT, {"id": id})).scalar_one())
        return RolledBack(
            migration=migration,
            removed=removed,
            restored=restored,
            kept=[KeptMessage.model_validate(dict(row)) for row in kept],
            kept_count=count,
        )

    async def forget(self, id: UUID) -> None:
        """Removes the old records, which name people; the messages stay. Raises `NoMigration`, and
        `OutOfOrder` for one that has not come to its end."""
        async with self._write.begin() as one:
            if (await _locked(one, id)).status is MigrationStatus.RUNNING:
                raise OutOfOrder("This migration is running; let it end, or roll it back first.")
            await one.execute(sql.FORGET, {"id": id})


def _rest(migration: Migration, offset: int, values: list[JsonValue]) -> list[JsonValue] | None:
    """What of a batch has not been dealt with; None where all of it has."""
    if offset > migration.done:
        raise OutOfOrder(f"Record {migration.done + 1} of the input is the next one.")
    if migration.status is MigrationStatus.RUNNING:
        return values[migration.done - offset :]
    if offset + len(values) > migration.done:
        raise OutOfOrder(f"This migration is {migration.status.replace('_', ' ')}.")
    return None


async def _imported(
    one: AsyncConnection, migration: Migration, values: list[JsonValue], *, skip_invalid: bool
) -> Batch:
    # Half a millisecond a record: the loop has others to serve.
    records, problems = await asyncio.to_thread(read_all, values, migration.done)
    records, again = await _new_here(one, migration.id, records)
    problems += again
    if problems and not skip_invalid:
        raise BadRecords(problems)
    existing = await _existing(one, sql.EXISTING_LOCKED, records)
    batch, became = plan(records, existing, problems)
    by_id = {record.id: record for record in records}
    changed = [id for id, what in became.items() if what in (Became.IMPORTED, Became.REPLACED)]
    items = [by_id[id].item for id in changed]
    rows = await asyncio.to_thread(_messages, items, migration.sender)
    await _placed(one, migration.id, rows, [id for id in changed if became[id] is Became.REPLACED])
    notes = [remembered(each, existing.get(each.id), became[each.id]) for each in records]
    await one.execute(sql.REMEMBER, {"migration_id": migration.id, "records": json.dumps(notes)})
    return batch


def _messages(items: Sequence[QueueItem], sender: str) -> list[MessageQueueItem]:
    return [without_content(message_of(item, sender)) for item in items]


async def _new_here(
    one: AsyncConnection, migration_id: UUID, records: list[Record]
) -> tuple[list[Record], list[RecordProblem]]:
    """Without those whose ID another record of the same input had."""
    values = {"id": migration_id, "ids": [record.id for record in records]}
    found = (await one.execute(sql.SEEN, values)).all()
    seen = {row.id: row.position for row in found}
    new = [record for record in records if record.id not in seen]
    return new, [same_id(record, seen[record.id]) for record in records if record.id in seen]


async def _existing(
    one: AsyncConnection, statement: sql.Statement, records: Sequence[Record]
) -> dict[UUID, Existing]:
    # In one order, so that two migrations never wait for each other.
    values = {"ids": sorted(record.id for record in records)}
    rows = (await one.execute(statement, values)).mappings().all()
    return {row["id"]: Existing(message=item_of(row), untouched=row["untouched"]) for row in rows}


async def _placed(
    one: AsyncConnection,
    migration_id: UUID,
    rows: Sequence[MessageQueueItem],
    replaced: Sequence[UUID],
) -> None:
    values = {
        "rows": rows_of(rows),
        "replaced": list(replaced),
        "owner": OUTBOUND,
        "event": Event.SUBMITTED.value,
        "detail": json.dumps({"reason": f"imported by the migration {migration_id}"}),
    }
    placed = int((await one.execute(sql.PLACE, values)).scalar_one())
    if placed != len(rows):
        # Between the look and the insert somebody else submitted one of them.
        raise OutOfOrder("A message with one of these IDs was submitted just now; try again.")


async def _locked(one: AsyncConnection, id: UUID) -> Migration:
    row = (await one.execute(sql.LOCKED, {"id": id})).mappings().first()
    if row is None:
        raise NoMigration
    return _migration(row)


async def _report(one: AsyncConnection, row: RowMapping) -> MigrationReport:
    found = (await one.execute(sql.COUNTS, {"id": row["id"]})).all()
    counted = Counts(**{each.outcome: each.count for each in found}, refused=row["refused"])
    return MigrationReport(**dict(row), counts=counted)


def _migration(row: RowMapping) -> Migration:
    return Migration.model_validate(dict(row))
