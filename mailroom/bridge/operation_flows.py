"""What the edges ask of operations' workflows."""

from datetime import timedelta
from uuid import UUID

from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from mailroom.bridge.flows import NoAnswerYet, NotRunning, answered
from mailroom.models.names import MAIL_TASK_QUEUE, queue_operation_id
from mailroom.models.outbound.bulk import OperationRef
from workflows.queue_operation import QueueOperationWorkflow
from workflows.search_attributes import MAIL_KIND

TIMEOUT = timedelta(seconds=10)


class OperationFlows:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, ref: OperationRef) -> None:
        """Once for each ID, however often it is asked for."""
        await self._begin(ref)

    async def never_begin(self, ref: OperationRef) -> None:
        """Abandoned before anything else, whether its workflow has begun or never did."""
        await self._begin(ref, start_signal="abandon")

    async def _begin(self, ref: OperationRef, start_signal: str | None = None) -> None:
        async with answered(TIMEOUT):
            try:
                await self._client.start_workflow(
                    QueueOperationWorkflow.run,
                    ref,
                    id=queue_operation_id(ref.id),
                    task_queue=MAIL_TASK_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    search_attributes=TypedSearchAttributes(
                        [SearchAttributePair(MAIL_KIND, "queue_operation")]
                    ),
                    static_summary=f"an operator's {ref.operation}",
                    start_signal=start_signal,
                )
            except WorkflowAlreadyStartedError:
                return

    async def at_rest(self, id: UUID, within: timedelta) -> None:
        """Returns when it has ended, or waits for somebody, or after this time."""
        handle = self._client.get_workflow_handle_for(
            QueueOperationWorkflow.run, queue_operation_id(id)
        )
        try:
            async with answered(within):
                _ = await handle.execute_update(QueueOperationWorkflow.at_rest)
        except (NoAnswerYet, NotRunning):
            return

    async def confirm(self, id: UUID) -> None:
        """Raises `NotRunning` where it has ended."""
        await self._say(id, "confirm")

    async def abandon(self, id: UUID) -> None:
        await self._say(id, "abandon")

    async def _say(self, id: UUID, word: str) -> None:
        handle = self._client.get_workflow_handle(queue_operation_id(id))
        async with answered(TIMEOUT):
            await handle.signal(word)
