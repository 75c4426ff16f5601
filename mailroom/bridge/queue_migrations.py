"""Migrations from the old queue: its records are checked, imported in batches, and given back.

They need no flag: a migration is the way out of the old model.
"""

import hashlib
import json
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, JsonValue

from mailroom.adapters.postgres.queue_migrations import BadRecords, NoMigration, OutOfOrder
from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.problems import Problem
from mailroom.bridge.queue_legacy import sender_of
from mailroom.models.base import Frozen
from mailroom.models.outbound.legacy_migration import (
    Batch,
    GivenBack,
    MigrationReport,
    RolledBack,
    Took,
)

# Before the routes that take any old ID.
router = APIRouter(prefix="/queue/legacy/migrations", tags=["queue"], route_class=ApiRoute)

MOST_RECORDS, MOST_ERRORS = 10_000, 1_000
MOST_POSITION = 2**31 - MOST_RECORDS - 1

Records = Annotated[list[JsonValue], Field(max_length=MOST_RECORDS)]
Position = Annotated[int, Field(ge=0, le=MOST_POSITION, description="of the first, from 0")]


class ToCheck(Frozen):
    records: Records
    offset: Position = 0


class NewMigration(Frozen):
    """All records of the input, or the first ones, and then `last` is false. An input that was
    begun and not ended goes on: it is known by its `digest`."""

    records: Records
    sender: str | None = Field(default=None, max_length=320)
    source: str | None = Field(default=None, max_length=300, pattern=r"^[^\x00]*$")
    digest: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", description="SHA-256")
    last: bool = True
    skip_invalid: bool = False


class More(ToCheck):
    last: bool
    skip_invalid: bool = False


class MigrationList(Frozen):
    items: list[MigrationReport]


class RecordPage(Frozen):
    """`next_cursor` leads to the next page; None on the last."""

    items: list[GivenBack]
    next_cursor: int | None


@router.post("/check")
async def check(given: ToCheck, the: The, who: Operator) -> Batch:
    """What an import would do, and the messages that it would replace; changes nothing."""
    return await the.migrations.check(given.records, given.offset)


@router.post("", status_code=HTTPStatus.CREATED)
async def migrate(given: NewMigration, the: The, who: Operator) -> Took:
    """Imports old records. Nothing of a batch is imported where one of its records is wrong, unless
    `skip_invalid` says so."""
    sender = sender_of(the, given.sender)
    digest = given.digest or _digest(given.records)
    begun = await the.migrations.begin(digest, sender, given.source)
    if begun.sender != sender:
        detail = f"This input was begun with the sender {begun.sender}; go on with that one."
        raise Problem(HTTPStatus.CONFLICT, detail, migration_id=str(begun.id))
    first = More(records=given.records, last=given.last, skip_invalid=given.skip_invalid)
    return await _taken(the, begun.id, first)


@router.get("")
async def migrations(
    the: The, who: Operator, limit: Annotated[int, Query(ge=1, le=200)] = 20
) -> MigrationList:
    """Newest first."""
    return MigrationList(items=await the.migrations.latest(limit))


@router.get("/{id}")
async def migration(id: UUID, the: The, who: Operator) -> MigrationReport:
    try:
        return await the.migrations.report(id)
    except NoMigration as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error


@router.post("/{id}/records")
async def more(id: UUID, given: More, the: The, who: Operator) -> Took:
    """The next batch; one that was taken already changes nothing."""
    return await _taken(the, id, given)


@router.get("/{id}/records")
async def records(
    id: UUID,
    the: The,
    who: Operator,
    cursor: Annotated[int, Query(ge=-1, le=MOST_POSITION)] = -1,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
) -> RecordPage:
    """The old records as they came, in their order, also after a rollback."""
    try:
        found = await the.migrations.records(id, cursor, limit + 1)
    except NoMigration as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
    items = found[:limit]
    return RecordPage(items=items, next_cursor=items[-1].position if len(found) > limit else None)


@router.post("/{id}/rollback")
async def roll_back(id: UUID, the: The, who: Operator) -> RolledBack:
    """Removes what was imported and puts back what was replaced; messages that have their content
    by now are kept, and named."""
    try:
        return await the.migrations.roll_back(id)
    except NoMigration as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error


@router.delete("/{id}", status_code=HTTPStatus.NO_CONTENT)
async def forget(id: UUID, the: The, who: Operator) -> None:
    """Removes the old records and the migration; the messages stay, and it can't be rolled back any
    more."""
    try:
        await the.migrations.forget(id)
    except OutOfOrder as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error
    except NoMigration as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error


async def _taken(the: Context, id: UUID, given: More) -> Took:
    try:
        return await the.migrations.take(
            id, given.offset, given.records, last=given.last, skip_invalid=given.skip_invalid
        )
    except BadRecords as error:
        errors = [one.model_dump() for one in error.problems[:MOST_ERRORS]]
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors=errors) from error
    except OutOfOrder as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error
    except NoMigration as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error


def _digest(records: list[JsonValue]) -> str:
    return hashlib.sha256(json.dumps(records).encode()).hexdigest()
