"""Rows of `queue_operations`, read: what they mean, and what came of them."""

from collections.abc import Mapping

from sqlalchemy import RowMapping

from mailroom.adapters.postgres.filter_sql import Where, where
from mailroom.adapters.postgres.queue_operations_sql import MEANT
from mailroom.models.outbound.bulk import OperationStatus, RelayOrder
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.kumo_queues import Which
from mailroom.models.outbound.operations import QueueOperationResult
from mailroom.models.outbound.words import QueueOperationType as Op


def result_of(row: RowMapping) -> QueueOperationResult:
    return QueueOperationResult(
        success=row["status"] == OperationStatus.COMPLETED and not row["failed"],
        operation=row["operation"],
        affected_messages=row["affected"],
        affected_queues=row["affected_queues"],
        errors=row["errors"] or None,
        timestamp=row["finished_at"],
    )


def meant_by(row: RowMapping) -> Where:
    if row["message_ids"] is not None:
        return Where("m.id = ANY(CAST(:ids AS uuid[]))", {"ids": row["message_ids"]})
    meant = where(MessageSelection.model_validate(row["selection"]))
    values = {**meant.values, "meant": MEANT[Op(row["operation"])]}
    return Where(f"({meant.sql}) AND m.status = ANY(:meant)", values)


_RELAYS_WORDS = {
    "campaign_id": "campaign",
    "tenant_id": "tenant",
    "domain": "domain",
    "routing_domain": "routing_domain",
}


def relay_order(row: RowMapping) -> RelayOrder | None:
    """A relay knows no queue of ours, no status and no tag."""
    chosen = row["selection"] or {}
    if not chosen or chosen.keys() - _RELAYS_WORDS.keys():
        return None
    rebound = {}
    if row["operation"] == Op.REBIND:
        if not (row["metadata"] or {}).get("routing_domain"):
            return None
        rebound = {"routing_domain": row["metadata"]["routing_domain"]}
    which = Which(**{_RELAYS_WORDS[name]: value for name, value in chosen.items()})
    reason = row["reason"] or f"{row['operation']} by an operator"
    return RelayOrder(which=which, rebound=rebound, reason=reason)


def words_of(row: RowMapping) -> dict[str, object]:
    words = row["metadata"] or {}
    return {
        "reason": row["reason"],
        "queue_name": words.get("queue_name"),
        "routing_domain": words.get("routing_domain"),
        "priority": words.get("priority"),
    }


def detail_of(row: RowMapping) -> dict[str, object]:
    known = words_of(row) | {"operation": str(row["id"]), "by": row["requested_by"]}
    return {name: value for name, value in known.items() if value is not None}


def used_by(statement: str, values: Mapping[str, object]) -> dict[str, object]:
    """A statement knows only its own."""
    return {name: value for name, value in values.items() if f":{name}" in statement}
