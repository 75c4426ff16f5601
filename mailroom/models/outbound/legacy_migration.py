"""A migration of old records: what becomes of each, and how far it is."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue

from mailroom.models.base import Frozen
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.legacy import QueueItem
from mailroom.models.outbound.legacy_check import FieldProblem
from mailroom.models.outbound.words import MessageQueueStatus


class MigrationStatus(StrEnum):
    RUNNING = "running"
    COMPLETE = "complete"
    ROLLED_BACK = "rolled_back"


class Became(StrEnum):
    """What became of a record. `kept`: a message with its ID is there that did not come from the
    old queue, or has its content by now; it stays as it is."""

    IMPORTED = "imported"
    UNCHANGED = "unchanged"
    REPLACED = "replaced"
    KEPT = "kept"


class RecordProblem(FieldProblem):
    position: int = Field(description="in the file, from 0")
    id: str | None = None


class Record(Frozen):
    """A record that is in order. `value` is the JSON object as it came."""

    position: int
    id: UUID = Field(description="of the message")
    item: QueueItem
    value: JsonValue


class Existing(Frozen):
    """A message that is there already; `untouched`: it has no content and was never tried."""

    message: MessageQueueItem
    untouched: bool


class KeptMessage(Frozen):
    """A message that was left as it is, and why."""

    position: int
    id: UUID
    status: MessageQueueStatus
    reason: str


class Counts(Frozen):
    imported: int = 0
    unchanged: int = 0
    replaced: int = 0
    kept: int = 0
    refused: int = 0


class Batch(Frozen):
    """What becomes of some records. `before` are the messages that they replace."""

    counts: Counts = Counts()
    problems: tuple[RecordProblem, ...] = ()
    kept: tuple[KeptMessage, ...] = ()
    before: tuple[MessageQueueItem, ...] = ()


class Migration(Frozen):
    """`done` records of the input have been dealt with, in its order."""

    id: UUID
    status: MigrationStatus
    digest: str = Field(description="SHA-256 of the input")
    source: str | None
    sender: str
    done: int
    refused: int
    began_at: AwareDatetime
    ended_at: AwareDatetime | None


class MigrationReport(Migration):
    counts: Counts


class Took(Batch):
    """A batch that was imported."""

    migration: Migration


class RolledBack(Frozen):
    """`kept` are messages that have gone on since, a thousand of them at most."""

    migration: Migration
    removed: int
    restored: int
    kept: list[KeptMessage]
    kept_count: int


class GivenBack(Frozen):
    """A record as it came."""

    position: int
    id: UUID
    became: Became
    record: JsonValue
