"""What the edges and steps ask of outbound messages' workflows."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from mailroom.adapters.temporal import TemporalUnavailable
from mailroom.bridge.flows import NotRunning, answered
from mailroom.models.names import MAIL_TASK_QUEUE, outbound_id
from mailroom.models.outbound.message import Change, OutboundInput, OutboundMessage
from mailroom.models.outbound.orders import temporal_priority
from mailroom.models.outbound.words import MessageQueueStatus
from mailroom.ports import Permanent
from workflows.outbound_display import summary
from workflows.outbound_message import OutboundMessageWorkflow
from workflows.search_attributes import (
    MAIL_KIND,
    MAIL_PRIORITY,
    MAIL_QUEUE,
    MAIL_STATE,
    MAIL_TENANT,
)

START_TIMEOUT = timedelta(seconds=10)
SOON = timedelta(minutes=1)

Said = str | int | Change


class MessageFlows:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, message: OutboundMessage) -> bool:
        """Starts the message's workflow, a scheduled one's when it is due; False if it was started
        before. Raises `Permanent`, and `TemporalUnavailable`; then it may have been started all the
        same."""
        delay = _delay(message)
        try:
            await self._client.start_workflow(
                OutboundMessageWorkflow.run,
                OutboundInput(message=message),
                id=outbound_id(message.id),
                task_queue=MAIL_TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                search_attributes=_search_attributes(message),
                static_summary=summary(message),
                priority=Priority(priority_key=temporal_priority(message.priority)),
                rpc_timeout=START_TIMEOUT,
                # Until then it costs a row of Temporal's, and nothing of a worker's.
                start_delay=delay,
                request_eager_start=delay is None,
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                raise Permanent(f"Temporal refuses the message: {error.message}") from error
            raise TemporalUnavailable(
                f"Temporal did not take the message: {error.message}"
            ) from error
        return True

    async def wake(self, id: UUID) -> None:
        """A workflow that has ended needs none."""
        with suppress(NotRunning):
            await self.signal(id, "wake")

    async def reported(self, id: UUID, status: MessageQueueStatus, reason: str) -> None:
        with suppress(NotRunning):
            await self.signal(id, "reported", status.value, reason)

    async def tell(self, id: UUID, order: str, *args: Said) -> None:
        """What a person says. Raises `NotRunning` where the workflow has ended."""
        handle = self._client.get_workflow_handle(outbound_id(id))
        async with answered(START_TIMEOUT):
            found = await handle.describe()
            if _is_delayed(found):
                await self._begin_early(handle, order, args)
            else:
                await handle.signal(order, args=list(args))

    async def _begin_early(
        self, handle: WorkflowHandle[Any, Any], order: str, args: Sequence[Said]
    ) -> None:
        """A workflow hears nothing before its start delay is over (Temporal 1.29), which may be
        months. A run without delay takes the place of the one that has not begun, and waits by a
        timer."""
        message = await self._message(handle)
        with suppress(WorkflowAlreadyStartedError):  # it has begun, and ended, since the look
            await self._client.start_workflow(
                OutboundMessageWorkflow.run,
                OutboundInput(message=message),
                id=handle.id,
                task_queue=MAIL_TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
                search_attributes=_search_attributes(message),
                static_summary=summary(message),
                priority=Priority(priority_key=temporal_priority(message.priority)),
                start_signal=order,
                start_signal_args=list(args),
            )

    async def _message(self, handle: WorkflowHandle[Any, Any]) -> OutboundMessage:
        """As its workflow was given it."""
        async for event in handle.fetch_history_events():
            given = event.workflow_execution_started_event_attributes.input.payloads
            [found] = await self._client.data_converter.decode(given, [OutboundInput])
            assert isinstance(found, OutboundInput)
            return found.message
        raise AssertionError("a history begins with its start")

    async def signal(self, id: UUID, order: str, *args: Said) -> None:
        """Raises `NotRunning` where the workflow has ended."""
        handle = self._client.get_workflow_handle(outbound_id(id))
        async with answered(START_TIMEOUT):
            await handle.signal(order, args=list(args))

    async def take_up(self, message: OutboundInput) -> None:
        """Where a message waits and nobody looks after it: its workflow was ended by hand, or a
        bridge died before it could start one."""
        with suppress(WorkflowAlreadyStartedError):
            async with answered(START_TIMEOUT):
                await self._client.start_workflow(
                    OutboundMessageWorkflow.run,
                    message,
                    id=outbound_id(message.message.id),
                    task_queue=MAIL_TASK_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    search_attributes=_search_attributes(message.message),
                    static_summary=summary(message.message),
                    priority=Priority(priority_key=temporal_priority(message.message.priority)),
                )

    async def terminate(self, id: UUID, reason: str) -> None:
        """Raises `NotRunning` where the workflow has ended."""
        handle = self._client.get_workflow_handle(outbound_id(id))
        async with answered(START_TIMEOUT):
            await handle.terminate(reason=reason)


def _is_delayed(found: WorkflowExecutionDescription) -> bool:
    """One that is due in a moment hears it in a moment, and must not be ended in between."""
    begins = found.execution_time
    running = found.status is WorkflowExecutionStatus.RUNNING
    return running and begins is not None and begins - datetime.now(UTC) > SOON


def _delay(message: OutboundMessage) -> timedelta | None:
    if message.scheduled_at is None:
        return None
    left = message.scheduled_at - datetime.now(UTC)
    return left if left > timedelta(0) else None


def _search_attributes(message: OutboundMessage) -> TypedSearchAttributes:
    state = MessageQueueStatus.SCHEDULED if message.scheduled_at else MessageQueueStatus.READY
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(MAIL_KIND, "outbound"),
        SearchAttributePair(MAIL_STATE, state.value),
        SearchAttributePair(MAIL_QUEUE, message.queue_name),
        SearchAttributePair(MAIL_PRIORITY, temporal_priority(message.priority)),
    ]
    if message.tenant_id:
        pairs.append(SearchAttributePair(MAIL_TENANT, message.tenant_id))
    return TypedSearchAttributes(pairs)
