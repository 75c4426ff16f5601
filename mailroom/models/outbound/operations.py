"""What operators do to messages and queues (seed 004, section 2.3)."""

from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue

from mailroom.models.base import Frozen
from mailroom.models.outbound.words import QueueOperationType


class QueueOperation(Frozen):
    operation: QueueOperationType
    queue_name: str | None = Field(default=None, description="of a whole queue")
    message_ids: list[UUID] | None = Field(default=None, description="of single messages")
    reason: str | None = Field(default=None, description="for the audit trail")
    metadata: dict[str, JsonValue] | None = Field(
        default=None, description="`queue_name` of a rebind, `priority` of a set_priority"
    )


class QueueOperationResult(Frozen):
    success: bool
    operation: QueueOperationType
    affected_messages: int
    affected_queues: list[str]
    errors: list[str] | None = None
    timestamp: AwareDatetime
