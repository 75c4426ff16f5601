"""What becomes of old records, given the messages that are there already."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from pydantic import JsonValue

from mailroom.models.outbound.legacy_check import BadRecord, FieldProblem, read_record, shown
from mailroom.models.outbound.legacy_migration import (
    Batch,
    Became,
    Counts,
    Existing,
    KeptMessage,
    Record,
    RecordProblem,
)
from mailroom.models.outbound.legacy_records import as_text, record_of, uuid_of


def read_all(values: list[JsonValue], offset: int) -> tuple[list[Record], list[RecordProblem]]:
    """The records that are in order, and what is wrong with the others. Of two with one ID the
    first counts."""
    good: dict[UUID, Record] = {}
    problems: list[RecordProblem] = []
    for position, value in enumerate(values, offset):
        try:
            item = read_record(value)
        except BadRecord as error:
            problems += [of_record(one, position, value) for one in error.problems]
            continue
        record = Record(position=position, id=uuid_of(item.id), item=item, value=value)
        first = good.setdefault(record.id, record)
        if first is not record:
            problems.append(same_id(record, first.position))
    return list(good.values()), problems


def same_id(record: Record, position: int) -> RecordProblem:
    return RecordProblem(
        position=record.position,
        id=record.item.id,
        field="id",
        message=f"record {position + 1} of the input has the same",
    )


def of_record(problem: FieldProblem, position: int, value: JsonValue) -> RecordProblem:
    old_id = value.get("id") if isinstance(value, dict) else None
    return RecordProblem(
        position=position,
        id=shown(old_id) if isinstance(old_id, str) else None,
        field=problem.field,
        message=problem.message,
    )


def became_of(record: Record, existing: Existing | None) -> Became:
    """The same record again changes nothing, whatever happened to its message."""
    if existing is None:
        return Became.IMPORTED
    known = record_of(existing.message)
    if known == record.item.model_dump(mode="json", exclude_unset=True):
        return Became.UNCHANGED
    return Became.REPLACED if known is not None and existing.untouched else Became.KEPT


def why_kept(existing: Existing) -> str:
    if record_of(existing.message) is None:
        return "a message that did not come from the old queue has this ID"
    return "its message has its content by now, and goes its way"


def plan(
    records: Sequence[Record],
    existing: Mapping[UUID, Existing],
    problems: Sequence[RecordProblem],
) -> tuple[Batch, dict[UUID, Became]]:
    """What becomes of the records."""
    became = {record.id: became_of(record, existing.get(record.id)) for record in records}
    kept = [_kept(one, existing[one.id]) for one in records if became[one.id] is Became.KEPT]
    before = [existing[id].message for id, what in became.items() if what is Became.REPLACED]
    words = list(became.values())
    counts = Counts(
        **{each.value: words.count(each) for each in Became},
        refused=len({problem.position for problem in problems}),
    )
    batch = Batch(counts=counts, problems=tuple(problems), kept=tuple(kept), before=tuple(before))
    return batch, became


def _kept(record: Record, existing: Existing) -> KeptMessage:
    return KeptMessage(
        position=record.position,
        id=record.id,
        status=existing.message.status,
        reason=why_kept(existing),
    )


def remembered(record: Record, existing: Existing | None, became: Became) -> dict[str, JsonValue]:
    """As it is written down, with the message that it replaces."""
    replaced = existing.message.model_dump(mode="json") if existing else None
    return {
        "position": record.position,
        "id": str(record.id),
        "record": as_text(record.value),
        "outcome": became.value,
        "replaced": replaced if became is Became.REPLACED else None,
    }
