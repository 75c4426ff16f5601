"""A filter of messages as a form or an address has it: what is empty stands for all, and a time
without a zone is UTC. The names are those of `GET /queue/messages`. Pure."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError

from mailroom.models.base import Frozen
from mailroom.models.outbound.domains import ascii_domain
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.words import QueueSortField, SortOrder

SORTS = {"sort_by", "sort_order"}
_PAGING = {"limit", "offset"}
_SEVERAL = {"status", "queue_state"}
_LISTS = {"domains", "tags"}
_TIMES = {"created_after", "created_before", "scheduled_after", "scheduled_before"}
_DOMAINS = {"domain", "domains"}
_BARE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
LABELS: Mapping[str, str] = {
    "status": "Status",
    "search_query": "Words",
    "domain": "Domain",
    "queue_name": "Queue",
    "campaign_id": "Campaign",
    "recipient": "Recipient",
    "sender": "Sender",
    "domains": "Domains",
    "routing_domain": "Routed to",
    "tenant_id": "Tenant",
    "pool_name": "Pool",
    "tags": "Tags",
    "queue_state": "Queue's state",
    "bounce_type": "Bounce",
    "priority": "Priority",
    "min_attempts": "Attempts, at least",
    "max_attempts": "Attempts, at most",
    "min_size_bytes": "Bytes, at least",
    "max_size_bytes": "Bytes, at most",
    "created_after": "Submitted after",
    "created_before": "Submitted before",
    "scheduled_after": "Scheduled after",
    "scheduled_before": "Scheduled before",
    "sort_by": "Order",
    "sort_order": "Direction",
}
_TEXT_FIRST = {QueueSortField.RECIPIENT, QueueSortField.DOMAIN, QueueSortField.SCHEDULED_AT}

Typed = Mapping[str, list[str]]


class Filter(Frozen):
    """`typed` is what was given, `selection` what it means; where there are `problems`, nothing."""

    typed: dict[str, list[str]]
    selection: MessageSelection = MessageSelection()
    problems: tuple[str, ...] = ()

    @property
    def query(self) -> str:
        return query_of(self.typed)

    @property
    def criteria(self) -> dict[str, Any]:
        """What an operation takes as its filter."""
        return self.selection.model_dump(mode="json", exclude_unset=True, exclude=SORTS)

    @property
    def is_narrow(self) -> bool:
        return bool(self.typed.keys() - SORTS)

    @property
    def is_unusual(self) -> bool:
        """Whether a field behind the fold is given."""
        usual = {"status", "search_query", "domain", "queue_name", "campaign_id"}
        return bool(self.typed.keys() - usual - SORTS)

    def has(self, name: str, value: str) -> bool:
        return value in self.typed.get(name, ())

    def text(self, name: str) -> str:
        """As the field of a form shows it."""
        if name in _TIMES and not self.problems:
            at: datetime | None = getattr(self.selection, name)
            return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") if at else ""
        return ", ".join(self.typed.get(name, ()))

    def sorted_by(self, field: str) -> str:
        """The query of a click on the head of a column: the other way round, if it is in order."""
        rises = self.selection.sort_order is SortOrder.ASC
        down = rises if self.selection.sort_by == field else field not in _TEXT_FIRST
        order = {"sort_by": [field], "sort_order": ["desc" if down else "asc"]}
        return query_of({**self.typed, **order})

    def direction(self, field: str) -> str | None:
        """For `aria-sort`."""
        if self.selection.sort_by != field:
            return None
        return "descending" if self.selection.sort_order is SortOrder.DESC else "ascending"


def filter_of(pairs: Iterable[tuple[str, str]]) -> Filter:
    typed = _typed(pairs)
    known = {name: each if name in _SEVERAL | _LISTS else each[-1] for name, each in typed.items()}
    try:
        return Filter(typed=typed, selection=MessageSelection.model_validate(known))
    except ValidationError as error:
        return Filter(typed=typed, problems=tuple(problems_of(error)))


def problems_of(error: ValidationError) -> list[str]:
    """A sentence for each field."""
    found: dict[str, str] = {}
    for one in error.errors():
        name = str(one["loc"][0]) if one["loc"] else ""
        words = one["msg"].replace("Value error, ", "").removeprefix("metadata: ")
        if one["type"] == "extra_forbidden":
            words = "there is no such filter"
        label = LABELS.get(name, name[:60])
        found.setdefault(name, f"{label}: {words}." if label else f"{words}.")
    return list(found.values())


def query_of(given: Mapping[str, Any]) -> str:
    """Of what was typed, or of a filter that was saved."""
    pairs = [
        (name, str(value))
        for name, each in given.items()
        for value in (each if isinstance(each, list) else [each])
        if value is not None
    ]
    return urlencode(pairs)


def words_of(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A filter as people read it."""
    return [
        (LABELS.get(name, name), ", ".join(map(str, each)) if isinstance(each, list) else str(each))
        for name, each in given.items()
        if name not in SORTS and each is not None
    ]


def _typed(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in _PAGING:
            continue
        for each in re.split(r"[,\n]", value) if name in _LISTS else [value]:
            if said := each.strip():
                found.setdefault(name, []).append(_as_kept(name, said))
    return found


def _as_kept(name: str, said: str) -> str:
    if name in _DOMAINS:
        return ascii_domain(said)
    return _zoned(said) if name in _TIMES else said


def _zoned(time: str) -> str:
    return f"{time}Z" if _BARE_TIME.fullmatch(time) else time
