"""What operators do to messages and queues (seed 004, section 2.3)."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue, StringConstraints

from mailroom.models.base import Frozen
from mailroom.models.outbound.submission import Name
from mailroom.models.outbound.words import QueueOperationType
from mailroom.models.text import one_line

MOST_IDS = 10_000
LONGEST_REASON = 500

_Reason = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, pattern=r"^[^\x00]*$", min_length=1, max_length=LONGEST_REASON
    ),
    AfterValidator(one_line),
]


class QueueOperation(Frozen):
    operation: QueueOperationType
    queue_name: Name | None = Field(default=None, description="of a whole queue")
    message_ids: list[UUID] | None = Field(
        default=None, min_length=1, max_length=MOST_IDS, description="of single messages"
    )
    reason: _Reason | None = Field(default=None, description="for the audit trail")
    metadata: dict[str, JsonValue] | None = Field(
        default=None,
        description="`queue_name` or `routing_domain` of a rebind, `priority` of a set_priority, "
        "`until` or `for` of a suspension",
    )


class QueueOperationResult(Frozen):
    """`success`: it went to its end, and every message that was meant has followed."""

    success: bool
    operation: QueueOperationType
    affected_messages: int
    affected_queues: list[str]
    errors: list[str] | None = None
    timestamp: AwareDatetime
