"""The orders of lists, as PostgreSQL walks along their indexes."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mailroom.adapters.postgres.filter_sql import Where
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.places import KEYS, Place
from mailroom.models.outbound.search_words import SCHEDULED
from mailroom.models.outbound.words import QueueSortField as Sort
from mailroom.models.outbound.words import SortOrder

# Conditions that the order's index itself can keep, so that nothing outside them is walked past.
_ALIGNED: Mapping[Sort, Sequence[str]] = {
    Sort.CREATED_AT: ("created_after", "created_before"),
    Sort.SCHEDULED_AT: ("scheduled_after", "scheduled_before"),
    Sort.PRIORITY: ("priority", "created_after", "created_before"),
    Sort.NUM_ATTEMPTS: ("min_attempts", "max_attempts", "created_after", "created_before"),
    Sort.SIZE_BYTES: ("min_size_bytes", "max_size_bytes"),
    Sort.RECIPIENT: ("recipient",),
    Sort.DOMAIN: ("domain",),
}
# Many messages have the same in these fields: the first one is told apart by its time, in an array
# of this type.
_SHARED = {Sort.PRIORITY: "numeric", Sort.NUM_ATTEMPTS: "numeric", Sort.DOMAIN: "text"}
_SCHEDULED = Where("m.scheduled_at IS NOT NULL", {})
_NOT_SCHEDULED = Where("m.scheduled_at IS NULL", {})
# Their indexes go on by `created_at`: the first that is given leads the way by time.
_LEADING = ("campaign_id", "domain", "bounce_type", "tenant_id", "priority")


class Walk(NamedTuple):
    """A part of a list: rows that one index has in this order. All have `label`, if any."""

    where: Where
    order: str
    label: str | None = None


class Order:
    def __init__(self, selection: MessageSelection) -> None:
        self._sort = selection.sort_by
        self._keys = KEYS[self._sort]
        self._down = selection.sort_order is SortOrder.DESC
        self._all_scheduled = bool(selection.scheduled_after or selection.scheduled_before)

    @property
    def is_wide(self) -> bool:
        """Its index knows what most filters ask about."""
        return self._sort is not Sort.RECIPIENT

    @property
    def columns(self) -> str:
        return ", ".join(f"m.{key}" for key in self._keys)

    @property
    def by(self) -> str:
        """Rows without the field are the last ones, whatever the direction."""
        first = "m.scheduled_at IS NULL, " if self._sort is Sort.SCHEDULED_AT else ""
        return first + self._by(self._keys)

    def first(self, which: str) -> str:
        """Of those rows, what the first one has in the field of the order; also when it was made,
        where many have the same there."""
        best, key = "max" if self._down else "min", f"m.{self._keys[0]}"
        if self._sort not in _SHARED:
            return f"ARRAY[{best}({key}) FILTER (WHERE {which})]"
        moment = f"CAST(extract(epoch FROM m.created_at) AS {_SHARED[self._sort]})"
        return f"{best}(ARRAY[{key}, {moment}]) FILTER (WHERE {which})"

    def near(self, after: Where, first: Sequence[Any]) -> Where:
        """Of those rows, those that are no farther than what `first` has found."""
        key, *made = first
        keys = [key, *(datetime.fromtimestamp(float(moment), UTC) for moment in made)]
        sign = ">=" if self._down else "<="
        return _both(after, _compared("n", self._keys[: len(keys)], keys, sign))

    @property
    def typed(self) -> str:
        """The columns, as rows are taken apart into them."""
        return ", ".join(f"{key} {_TYPES[key]}" for key in self._keys)

    def bounds(self, given: Collection[str]) -> list[str]:
        """Of these conditions, those that the index of this order keeps by itself."""
        found = [name for name in _ALIGNED[self._sort] if name in given]
        if self._sort is Sort.CREATED_AT:
            found += [name for name in _LEADING if name in given][:1]
        return found

    def after(self, place: Place | None) -> Where:
        """Of all rows, those that come after it."""
        if place is None:
            return Where("true", {})
        if place.keys[0] is None:
            return _both(_NOT_SCHEDULED, self._after(self._keys[1:], place.keys[1:]))
        later = self._after(self._keys, place.keys)
        if self._sort is Sort.SCHEDULED_AT:
            return Where(f"(m.scheduled_at IS NULL OR {later.sql})", later.values)
        return later

    def walks(self, place: Place | None) -> list[Walk]:
        """One behind the other they are the list."""
        if self._sort is not Sort.SCHEDULED_AT:
            return [Walk(self.after(place), self._by(self._keys))]
        without = place is not None and place.keys[0] is None
        found = []
        if not without:
            later = self._after(self._keys, place.keys) if place else Where("true", {})
            there = _both(_SCHEDULED, later)
            found.append(Walk(there, self._by(self._keys), SCHEDULED))
        if not self._all_scheduled:
            later = self.after(place) if without else _NOT_SCHEDULED
            found.append(Walk(later, self._by(self._keys[1:])))
        return found

    def up_to(self, walk: Walk, keys: Sequence[object]) -> Walk:
        """No farther than a row with these keys."""
        given = {key: one for key, one in zip(self._keys, keys, strict=True) if one is not None}
        sign = ">=" if self._down else "<="
        end = _compared("h", list(given), list(given.values()), sign)
        return walk._replace(where=_both(walk.where, end))

    def _by(self, keys: Sequence[str]) -> str:
        return ", ".join(f"m.{key} {'DESC' if self._down else 'ASC'}" for key in keys)

    def _after(self, keys: Sequence[str], values: Sequence[object]) -> Where:
        return _compared("k", keys, values, "<" if self._down else ">")


def _compared(prefix: str, keys: Sequence[str], values: Sequence[object], sign: str) -> Where:
    names = ", ".join(f"m.{key}" for key in keys)
    bound = ", ".join(f"CAST(:{prefix}_{key} AS {_TYPES[key]})" for key in keys)
    named = {f"{prefix}_{key}": value for key, value in zip(keys, values, strict=True)}
    return Where(f"({names}) {sign} ({bound})", named)


def _both(condition: Where, other: Where) -> Where:
    return Where(f"{condition.sql} AND {other.sql}", {**condition.values, **other.values})


_TYPES = {
    "created_at": "timestamptz",
    "scheduled_at": "timestamptz",
    "priority": "smallint",
    "num_attempts": "integer",
    "size_bytes": "bigint",
    "recipient": "text",
    "domain": "text",
    "id": "uuid",
}
