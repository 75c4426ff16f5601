"""What operators do in one word stands in the audit trail beside operations over many messages."""

from uuid import UUID

from mailroom.bridge.auth import Caller
from mailroom.bridge.context import Context
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.operation_request import OperationRequest
from mailroom.models.outbound.queues import SetState
from mailroom.models.outbound.scopes import SuspensionScope
from mailroom.models.outbound.suspensions import Suspend
from mailroom.models.outbound.words import QueueOperationType as Op
from mailroom.models.outbound.words import QueueState

_FIELDS = {
    SuspensionScope.DOMAIN: "domain",
    SuspensionScope.CAMPAIGN: "campaign_id",
    SuspensionScope.TENANT: "tenant_id",
    SuspensionScope.POOL: "pool_name",
}


def by(who: Caller) -> str:
    return "operator, on the page" if who.csrf else "operator"


def order_of(id: UUID, operation: Op, words: dict[str, object]) -> OperationRequest:
    """`words`: reason, queue_name, priority, as far as they were given. Raises ValidationError for
    words that this operation does not know."""
    reason = words.pop("reason", None) or None
    asked = {"operation": operation, "message_ids": [id], "reason": reason, "metadata": words}
    return OperationRequest.model_validate(asked)


async def note_state(the: Context, who: Caller, queue_name: str, wanted: SetState) -> None:
    opens = wanted.state is QueueState.ACTIVE
    metadata = wanted.model_dump(mode="json", include={"state", "until"}, exclude_none=True)
    # Not every state is a suspension: it is said in its own words.
    request = OperationRequest.model_construct(
        operation=Op.RESUME if opens else Op.SUSPEND,
        queue_name=queue_name,
        reason=wanted.reason,
        metadata=metadata,
    )
    await the.operations.note(request, by(who))


async def note_hold(
    the: Context, who: Caller, scope: SuspensionScope, name: str, wanted: Suspend
) -> None:
    until = {"until": wanted.until.isoformat()} if wanted.until else None
    await the.operations.note(
        OperationRequest(
            operation=Op.SUSPEND,
            filter=_only(scope, name),
            reason=wanted.reason,
            metadata=until,
        ),
        by(who),
    )


async def note_release(the: Context, who: Caller, scope: SuspensionScope, name: str) -> None:
    request = OperationRequest(operation=Op.RESUME, filter=_only(scope, name))
    await the.operations.note(request, by(who))


def _only(scope: SuspensionScope, name: str) -> MessageSelection:
    return MessageSelection.model_validate({_FIELDS[scope]: name})
