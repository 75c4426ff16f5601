"""Where a page of a sorted list of messages begins: a cursor."""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from mailroom.models.base import Frozen
from mailroom.models.outbound.filters import Attempts, Bytes, MessageSelection, Storable
from mailroom.models.outbound.item import MessagePriority
from mailroom.models.outbound.words import QueueSortField as Sort

LONGEST_CURSOR = 2_000
# What decides among rows that are equal by the field; each list has an index in this order.
KEYS: dict[Sort, tuple[str, ...]] = {
    Sort.CREATED_AT: ("created_at", "id"),
    Sort.SCHEDULED_AT: ("scheduled_at", "created_at", "id"),
    Sort.PRIORITY: ("priority", "created_at", "id"),
    Sort.NUM_ATTEMPTS: ("num_attempts", "created_at", "id"),
    Sort.SIZE_BYTES: ("size_bytes", "created_at", "id"),
    Sort.RECIPIENT: ("recipient", "id"),
    Sort.DOMAIN: ("domain", "created_at", "id"),
}
_TYPES: dict[str, TypeAdapter[object]] = {
    "created_at": TypeAdapter(AwareDatetime),
    "scheduled_at": TypeAdapter(AwareDatetime | None),
    "priority": TypeAdapter(MessagePriority),
    "num_attempts": TypeAdapter(Attempts),
    "size_bytes": TypeAdapter(Bytes),
    "recipient": TypeAdapter(Storable),
    "domain": TypeAdapter(Storable),
    "id": TypeAdapter(UUID),
}


class Place(Frozen):
    """The last row that was shown, by the keys of its list."""

    keys: tuple[object, ...]


def cursor_of(selection: MessageSelection, keys: Sequence[object]) -> str:
    """It fits the same filter in the same order only."""
    shown = [each.isoformat() if isinstance(each, datetime) else each for each in keys]
    shown = [str(each) if isinstance(each, UUID) else each for each in shown]
    content = json.dumps([_shape(selection), *shown], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def place_of(selection: MessageSelection, cursor: str) -> Place:
    """Raises ValueError with what is wrong with it."""
    try:
        content = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        shape, *keys = json.loads(content)
        names = KEYS[selection.sort_by]
        if shape == _shape(selection):
            values = zip(names, keys, strict=True)
            return Place(keys=tuple(_TYPES[name].validate_python(key) for name, key in values))
    except (ValueError, TypeError, ValidationError, RecursionError) as error:
        raise ValueError("this is no cursor of ours") from error
    raise ValueError("it is of a list with another filter or order; begin without one")


def _shape(selection: MessageSelection) -> str:
    which = selection.model_dump_json(exclude_none=True, exclude={"limit", "offset"})
    return hashlib.sha256(which.encode()).hexdigest()[:12]
