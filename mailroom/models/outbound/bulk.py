"""An operation over many messages: how far it is, how it ended, what it leaves behind."""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue

from mailroom.models.base import Frozen
from mailroom.models.outbound.kumo_queues import Which
from mailroom.models.outbound.message import Change
from mailroom.models.outbound.operations import QueueOperationResult
from mailroom.models.outbound.words import MessageQueueStatus, QueueOperationType
from mailroom.models.outbound.words import QueueOperationType as Op

UNCONFIRMED_MOST = 1_000
"""So many messages, and no more, are changed without being asked about."""
CONFIRM_WITHIN = timedelta(hours=1)
MOST_ERRORS, SAMPLED = 100, 10


class Scope(StrEnum):
    """What can be suspended as a whole, with what comes later."""

    QUEUE = "queue"
    DOMAIN = "domain"
    CAMPAIGN = "campaign"
    TENANT = "tenant"
    POOL = "pool"


class Whole(Frozen):
    """A queue, domain, campaign, tenant or pool, suspended or opened as a whole."""

    scope: Scope
    name: str
    until: AwareDatetime | None = None


GIVES_UP = frozenset({Op.BOUNCE, Op.CANCEL, Op.PURGE})
FOR_RELAYS = GIVES_UP | {Op.REBIND}
"""What a relay has is told to it as well."""


class OperationStatus(StrEnum):
    PLANNING = "planning"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    RUNNING = "running"
    COMPLETED = "completed"
    ABANDONED = "abandoned"

    @property
    def ended(self) -> bool:
        return self in (OperationStatus.COMPLETED, OperationStatus.ABANDONED)


class OperationRef(Frozen):
    """As its workflow gets it: what it is about stands in the store, since addresses may be in
    it."""

    id: UUID
    operation: QueueOperationType
    dry_run: bool = False
    confirmed: bool = False
    whole: bool = Field(default=False, description="it is about a whole queue, domain, ...")


class OperationProgress(Frozen):
    """`messages` are meant, `done` of them were looked at, `affected` have changed."""

    status: OperationStatus = OperationStatus.PLANNING
    messages: int = 0
    done: int = 0
    affected: int = 0
    failed: int = 0

    @property
    def is_done(self) -> bool:
        return self.done >= self.messages

    def asks(self, ref: OperationRef) -> bool:
        """What is suspended as a whole is opened as easily."""
        return self.messages > UNCONFIRMED_MOST and not ref.confirmed


class SampleMessage(Frozen):
    id: UUID
    recipient: str
    status: MessageQueueStatus
    queue_name: str
    subject: str | None = None


class OperationView(OperationProgress):
    """An entry of the audit trail. Of `errors`, of a sentence for each message that did not
    follow, the first hundred."""

    id: UUID
    operation: QueueOperationType
    dry_run: bool
    queue_name: str | None = None
    message_ids: list[UUID] | None = None
    filter: dict[str, JsonValue] | None = None
    metadata: dict[str, JsonValue] | None = None
    whole: Whole | None = Field(default=None, description="held, or opened, with what comes later")
    reason: str | None = None
    requested_by: str
    created_at: AwareDatetime
    confirmed_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    sample: list[SampleMessage] = Field(default=[])
    result: QueueOperationResult | None = None


class Reach(StrEnum):
    """How a message took an operation."""

    CHANGED = "changed"
    BUSY = "busy"
    SAME = "same"
    ENDED = "ended"
    RELAYED = "relayed"
    UNKNOWN = "unknown"
    EMPTY = "empty"
    MISSING = "missing"


class Reached(Frozen):
    """`due_later`: its workflow may not have begun. `blob` is the body of what was purged."""

    id: UUID
    reach: Reach
    change: Change | None = None
    queue_name: str = ""
    due_later: bool = False
    blob: str | None = None


class RelayOrder(Frozen):
    """An operation as a relay takes it: by these names, and no others."""

    which: Which
    rebound: dict[str, str] = Field(default={}, description="of a rebind; else they are bounced")
    reason: str


class OperationFilter(Frozen):
    """Which entries of the audit trail; `before` is the place of the last one of a page."""

    operation: QueueOperationType | None = None
    status: OperationStatus | None = None
    before: AwareDatetime | None = None
    before_id: UUID | None = None


class OperationPage(Frozen):
    """The newest first; `next_cursor` leads to older ones."""

    items: list[OperationView]
    next_cursor: str | None = None
