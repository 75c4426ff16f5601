"""What edges and steps ask of the workflows of queues."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy

from mailroom.bridge.flows import answered
from mailroom.models.names import MAIL_TASK_QUEUE, queue_release_id
from mailroom.models.outbound.queues import QueueRef
from mailroom.models.outbound.scopes import SuspensionScope
from workflows.queue_release import QueueReleaseWorkflow
from workflows.search_attributes import MAIL_KIND

TIMEOUT = timedelta(seconds=10)


class QueueFlows:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def look_after(self, queue_name: str, scope: SuspensionScope | None = None) -> None:
        """One for each queue; one that runs looks again."""
        async with answered(TIMEOUT):
            await self._client.start_workflow(
                QueueReleaseWorkflow.run,
                QueueRef(queue_name=queue_name, scope=scope),
                id=queue_release_id(queue_name, scope),
                task_queue=MAIL_TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                start_signal="look_again",
                search_attributes=TypedSearchAttributes(
                    [SearchAttributePair(MAIL_KIND, "queue_release")]
                ),
                static_summary=f"the end of a {scope or 'queue'}'s suspension",
            )
