"""Executions of mails in Temporal, with their histories (port `Executions`)."""

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from mailroom.models.names import of_one_mail
from mailroom.ports import Transient


class TemporalExecutions:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def remove(self, workflow_id: str) -> bool:
        try:
            latest = await self._latest(workflow_id)
            if latest and latest.status is WorkflowExecutionStatus.RUNNING:
                return False
            await self.delete(workflow_id)
        except RPCError as error:
            raise Transient(f"Temporal refused: {error.message}") from error
        return True

    async def delete(self, workflow_id: str) -> int:
        """The latest run, though it runs, and those before it; how many. Raises `RPCError`."""
        number = 0
        for each in of_one_mail(workflow_id):
            if latest := await self._latest(each):
                number += await self._delete_up_to(latest)
        return number

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
