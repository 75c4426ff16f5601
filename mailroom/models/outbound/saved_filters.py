"""A filter of messages under a name."""

from typing import Annotated, Any

from pydantic import AwareDatetime, Field, JsonValue

from mailroom.models.base import Frozen
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.submission import ShortName

MOST_SAVED = 500

# It is a part of a path.
FilterName = Annotated[ShortName, Field(pattern=r"^[^/]+$")]


class SavedFilter(Frozen):
    """`selection` says what was given when it was saved, and nothing else."""

    name: str
    selection: dict[str, JsonValue]
    created_at: AwareDatetime


class SavedFilters(Frozen):
    items: list[SavedFilter]


def merged(saved: SavedFilter | None, given: MessageSelection) -> MessageSelection:
    """What is given goes before what was saved. Raises ValidationError where they contradict."""
    said: dict[str, Any] = dict(saved.selection) if saved else {}
    known = MessageSelection.model_fields
    said |= {name: getattr(given, name) for name in given.model_fields_set if name in known}
    return MessageSelection.model_validate(said)
