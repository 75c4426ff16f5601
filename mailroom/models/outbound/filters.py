"""Which messages are meant (seed 004, section 2.2)."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, ValidationInfo, field_validator

from mailroom.models.base import Frozen
from mailroom.models.outbound.domains import ascii_domain
from mailroom.models.outbound.item import MessagePriority
from mailroom.models.outbound.search_words import MOST_WORDS, words_of
from mailroom.models.outbound.words import (
    BounceType,
    MessageQueueStatus,
    QueueSortField,
    QueueState,
    SortOrder,
)

DEFAULT_LIMIT, MOST = 50, 1_000
# Each page by offset counts all rows before it anew; a cursor does not.
FARTHEST_OFFSET = 10_000
LONGEST_TERM, LONGEST_SEARCH, MOST_TERMS = 500, 200, 100
_MOST_ATTEMPTS, _MOST_BYTES = 2**31 - 1, 2**63 - 1


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL, and UTF-8 has no half of a character."""
    if "\0" in text:
        raise ValueError("it has a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("it has half of a character that takes two in UTF-16") from error
    return text


def _searchable(text: str) -> str:
    words = words_of(text)
    if not words:
        raise ValueError("there is no word in it; name the beginning of one")
    if len(words) > MOST_WORDS:
        raise ValueError(f"it has {len(words)} words; name {MOST_WORDS} at most")
    return text


Storable = Annotated[str, AfterValidator(_storable)]
Term = Annotated[str, Field(min_length=1, max_length=LONGEST_TERM), AfterValidator(_storable)]
Domain = Annotated[Term, AfterValidator(lambda given: ascii_domain(given.strip()))]
"""In any spelling; messages have them in ASCII."""
Domains = Annotated[list[Domain], Field(min_length=1, max_length=MOST_TERMS)]
Terms = Annotated[list[Term], Field(min_length=1, max_length=MOST_TERMS)]
Search = Annotated[
    str,
    Field(max_length=LONGEST_SEARCH),
    AfterValidator(_storable),
    AfterValidator(_searchable),
]
Attempts = Annotated[int, Field(ge=0, le=_MOST_ATTEMPTS)]
Bytes = Annotated[int, Field(ge=0, le=_MOST_BYTES)]
_LOWER_OF = {
    "created_before": "created_after",
    "scheduled_before": "scheduled_after",
    "max_attempts": "min_attempts",
    "max_size_bytes": "min_size_bytes",
}


class QueueFilter(Frozen):
    """What is not given does not matter; of a list, one has to fit."""

    status: MessageQueueStatus | list[MessageQueueStatus] | None = None
    queue_state: QueueState | list[QueueState] | None = None

    domain: Domain | None = None
    domains: Domains | None = None
    sender: Term | None = None
    recipient: Term | None = None
    routing_domain: Term | None = None

    campaign_id: Term | None = None
    tenant_id: Term | None = None
    pool_name: Term | None = None

    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None
    scheduled_after: AwareDatetime | None = None
    scheduled_before: AwareDatetime | None = None

    search_query: Search | None = Field(
        default=None, description="words or their beginnings, in recipient, sender and subject"
    )
    tags: Terms | None = Field(default=None, description="all of them")

    min_attempts: Attempts | None = None
    max_attempts: Attempts | None = None
    bounce_type: BounceType | None = None

    min_size_bytes: Bytes | None = None
    max_size_bytes: Bytes | None = None
    priority: MessagePriority | None = None

    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MOST)
    offset: int = Field(default=0, ge=0)
    sort_by: QueueSortField = QueueSortField.CREATED_AT
    sort_order: SortOrder = SortOrder.DESC

    @field_validator("status", "queue_state")
    @classmethod
    def _one_at_least(cls, given: object) -> object:
        if given == []:
            raise ValueError("name one, or leave it out")
        return given

    @field_validator("domains")
    @classmethod
    def _has_the_one_domain(
        cls, domains: list[str] | None, info: ValidationInfo
    ) -> list[str] | None:
        one = info.data.get("domain")
        if domains and one and one not in domains:
            raise ValueError("`domain` is none of them, so that no message fits; give one of both")
        return domains

    @field_validator("created_before", "scheduled_before")
    @classmethod
    def _later(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        lower = _LOWER_OF[str(info.field_name)]
        begin = info.data.get(lower)
        if end is not None and begin is not None and end <= begin:
            raise ValueError(f"it has to be later than {lower}")
        return end

    @field_validator("max_attempts", "max_size_bytes")
    @classmethod
    def _no_less(cls, most: int | None, info: ValidationInfo) -> int | None:
        lower = _LOWER_OF[str(info.field_name)]
        least = info.data.get(lower)
        if most is not None and least is not None and most < least:
            raise ValueError(f"it is less than {lower}")
        return most

    @field_validator("offset")
    @classmethod
    def _near(cls, offset: int) -> int:
        if offset > FARTHEST_OFFSET:
            raise ValueError(f"it may be {FARTHEST_OFFSET:,} at most; follow next_cursor instead")
        return offset


class MessageSelection(QueueFilter):
    """The seed's filter, and the queue: what lists, exports, saved filters and operations take."""

    queue_name: Term | None = None
