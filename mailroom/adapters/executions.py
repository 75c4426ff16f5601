"""Executions of mails in Temporal, with their histories (port `Executions`)."""

from collections.abc import AsyncIterator

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from mailroom.models.names import is_email_reply, reopened_id
from mailroom.ports import Transient


class TemporalExecutions:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def remove(self, workflow_id: str) -> bool:
        try:
            found = [each async for each in self._of_one(workflow_id)]
            if any(each.status is WorkflowExecutionStatus.RUNNING for each in found):
                return False
            for each in reversed(found):
                await self._delete_up_to(each)
        except RPCError as error:
            raise Transient(f"Temporal refused: {error.message}") from error
        return True

    async def delete(self, workflow_id: str) -> int:
        """The latest run, though it runs, and those before it; how many. Raises `RPCError`."""
        found = [each async for each in self._of_one(workflow_id)]
        return sum([await self._delete_up_to(each) for each in reversed(found)])

    async def _of_one(self, workflow_id: str) -> AsyncIterator[WorkflowExecutionDescription]:
        """The latest run of a mail, and of the workflows in which it went on."""
        latest, number = await self._latest(workflow_id), 0
        while latest:
            yield latest
            if not is_email_reply(workflow_id):
                return
            number += 1
            latest = await self._latest(reopened_id(workflow_id, number))

    async def _latest(self, workflow_id: str) -> WorkflowExecutionDescription | None:
        try:
            return await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    async def _delete_up_to(self, latest: WorkflowExecutionDescription) -> int:
        # The latest goes last: as long as it is there, the others are looked for.
        found = self._client.list_workflows(f'WorkflowId = "{latest.id}"')
        earlier = {run.run_id async for run in found} - {latest.run_id}
        for run in (*sorted(earlier), latest.run_id):
            await self._delete_run(latest.id, run)
        return len(earlier) + 1

    async def _delete_run(self, workflow_id: str, run_id: str) -> None:
        request = DeleteWorkflowExecutionRequest(
            namespace=self._client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        )
        try:
            await self._client.workflow_service.delete_workflow_execution(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
