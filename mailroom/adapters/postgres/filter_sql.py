"""A filter as a condition on `message_queue AS m`."""

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.search_words import (
    LABELS,
    is_whole,
    labels_of,
    tsqueries_of,
    words_of,
)
from mailroom.models.outbound.words import MessageQueueStatus, QueueState


class Where(NamedTuple):
    """`sql` is "true" where every message is meant; `values` are its parameters."""

    sql: str
    values: Mapping[str, object]


def where(selection: MessageSelection, label: str | None = None) -> Where:
    """Words and labels are found by one index, all of them at once; `label` is one that all of
    these messages have."""
    conditions, values = conditions_of(selection)
    given = given_of(selection)
    labelled = {name: value for name, value in given.items() if name in LABELS}
    if label or given.keys() & _BY_WORDS or len(labelled) > 1:
        for name, value in labelled.items():
            if is_whole(value):
                del conditions[name], values[f"f_{name}"]
            else:
                # What a label begins like needs no second index, which would be read in vain.
                conditions[name] = f"({conditions[name]}) IS TRUE"
        words = words_of(selection.search_query or "")
        for number, query in enumerate(labels_of(given, label)):
            conditions[f"label {number}"] = _WITH_LABEL.format(number)
            values[f"f_label_{number}"] = query
        for number, query in enumerate(tsqueries_of(words)):
            conditions[f"word {number}"] = _WITH_WORD.format(number)
            values[f"f_word_{number}"] = query
        if _RARE.issuperset(values.get("f_status", ["none"])):  # type: ignore[arg-type]
            conditions["status"] = _WITH_STATUS
    return Where(" AND ".join(conditions.values()) or "true", values)


def stands_in_orders(given: Collection[str]) -> bool:
    """The indexes of orders answer it by themselves, and one of them begins with what is asked."""
    fields = set(given)
    return fields <= IN_ORDERS and not fields <= {"campaign_id", "pool_name", "queue_name"}


def row_by_row(selection: MessageSelection) -> Where:
    """The same, by the fields themselves: for rows that are looked at one after the other, and for
    indexes that have all of these fields."""
    conditions, values = conditions_of(selection)
    if words := words_of(selection.search_query or ""):
        conditions["words"] = _WITH_WORDS
        values["f_words"] = " & ".join(tsqueries_of(words))
    return Where(" AND ".join(conditions.values()) or "true", values)


def conditions_of(selection: MessageSelection) -> tuple[dict[str, str], dict[str, object]]:
    """By field; words that are searched for are not among them."""
    given = given_of(selection)
    conditions = {name: _CONDITIONS[name] for name in given if name in _CONDITIONS}
    values = {f"f_{name}": _value(name, given[name]) for name in conditions}
    if QueueState.ACTIVE in values.get("f_queue_state", []):  # type: ignore[operator]
        conditions["queue_state"] = _NOT_IN_OTHER_STATES
    return conditions, values


def as_known(words: Sequence[str], known: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """The values of what asks for words, where all words are known that begin so."""
    queries = tsqueries_of(words, known)
    each = {f"f_word_{number}": query for number, query in enumerate(queries)}
    return {"f_words": " & ".join(queries), **each}


def given_of(selection: MessageSelection) -> dict[str, object]:
    given = selection.model_dump(exclude_none=True, exclude=_NO_CONDITIONS)
    if "domains" in given and ("domain" in given or len(given["domains"]) == 1):
        # Both, and no contradiction: the one is meant.
        given["domain"] = given.get("domain", given.pop("domains")[0])
        given.pop("domains", None)
    return given


def _value(name: str, value: object) -> object:
    if name in _LISTS and not isinstance(value, list):
        value = [value]
    if isinstance(value, list):
        return [each.value if isinstance(each, Enum) else each for each in value]
    return value.value if isinstance(value, Enum) else value


_NO_CONDITIONS = {"limit", "offset", "sort_by", "sort_order"}
_LISTS = {"status", "queue_state"}
# There is no other index of these.
_BY_WORDS = {"search_query", "tags", "sender", "routing_domain", "pool_name"}
IN_ORDERS = {
    "status",
    "queue_state",
    "queue_name",
    "domain",
    "domains",
    "campaign_id",
    "tenant_id",
    "pool_name",
    "created_after",
    "created_before",
    "scheduled_after",
    "scheduled_before",
    "min_attempts",
    "max_attempts",
    "bounce_type",
    "min_size_bytes",
    "max_size_bytes",
    "priority",
}
"""What the indexes of orders know of a message."""
# Few messages are in one of these.
_RARE = {each.value for each in MessageQueueStatus} - {MessageQueueStatus.DELIVERED.value}
_WITH_STATUS = "ARRAY[m.status] && CAST(:f_status AS text[])"
# What is upper and lower case is PostgreSQL's to say on both sides.
_WITH_WORDS = "m.words @@ CAST(lower(CAST(:f_words AS text)) AS tsquery)"
# The index finds rows that fit several simple ones in half the time that it takes to find those
# that fit one made of them.
_WITH_WORD = "m.words @@ CAST(lower(CAST(:f_word_{0} AS text)) AS tsquery)"
_WITH_LABEL = "m.words @@ CAST(:f_label_{0} AS tsquery)"
# As `queue_state` of a message is shown: a word that has ended is over, and queues of which nothing
# was said are active.
_LASTS = "(q.until IS NULL OR q.until > now() OR q.set_by = 'health')"
_IN_STATES = f"""
    m.queue_name = ANY(ARRAY(SELECT q.queue_name FROM queues AS q
                             WHERE q.state = ANY(:f_queue_state) AND {_LASTS}))
"""  # noqa: S608
_NOT_IN_OTHER_STATES = f"""
    m.queue_name <> ALL(ARRAY(SELECT q.queue_name FROM queues AS q
                              WHERE q.state <> ALL(:f_queue_state) AND {_LASTS}))
"""  # noqa: S608
_CONDITIONS = {
    "status": "m.status = ANY(:f_status)",
    "queue_state": _IN_STATES,
    "queue_name": "m.queue_name = :f_queue_name",
    "domain": "m.domain = :f_domain",
    "domains": "m.domain = ANY(:f_domains)",
    "sender": "m.sender = :f_sender",
    "recipient": "m.recipient = :f_recipient",
    "routing_domain": "m.routing_domain = :f_routing_domain",
    "campaign_id": "m.campaign_id = :f_campaign_id",
    "tenant_id": "m.tenant_id = :f_tenant_id",
    "pool_name": "m.pool_name = :f_pool_name",
    "created_after": "m.created_at >= :f_created_after",
    "created_before": "m.created_at < :f_created_before",
    "scheduled_after": "m.scheduled_at >= :f_scheduled_after",
    "scheduled_before": "m.scheduled_at < :f_scheduled_before",
    "tags": "m.tags @> CAST(:f_tags AS text[])",
    "min_attempts": "m.num_attempts >= :f_min_attempts",
    "max_attempts": "m.num_attempts <= :f_max_attempts",
    "bounce_type": "m.bounce_classification = :f_bounce_type",
    "min_size_bytes": "m.size_bytes >= :f_min_size_bytes",
    "max_size_bytes": "m.size_bytes <= :f_max_size_bytes",
    "priority": "m.priority = :f_priority",
}
