"""Removes one person's mail: executions first, so that nothing writes a row anew, then the rows,
then the bodies that nobody else refers to."""

from collections.abc import Collection

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from mailroom.adapters.executions import TemporalExecutions
from mailroom.adapters.postgres.forgetting import PostgresForgetting
from mailroom.adapters.temporal import TemporalUnavailable
from mailroom.ports import Blobs

BATCH = 200


class Forgotten(BaseModel):
    """How much was removed."""

    mails: int = 0
    drafts: int = 0
    texts: int = 0
    events: int = 0
    blobs: int = 0
    executions: int = 0


class Forgetting:
    def __init__(self, client: Client, store: PostgresForgetting, blobs: Blobs) -> None:
        self._client = client
        self._store = store
        self._blobs = blobs

    async def forget(self, owners: Collection[str], address: str) -> Forgotten:
        """All mail from this address to these owners; repeated, it goes on where it broke off."""
        total = Forgotten()
        while mails := await self._store.find(owners, address, BATCH):
            for mail in mails:
                total.executions += await self._delete_executions(mail.workflow_id)
            deleted = await self._store.delete([mail.workflow_id for mail in mails])
            total.mails += deleted.mails
            total.drafts += deleted.drafts
            total.texts += deleted.texts
            total.events += deleted.events
            for blob in await self._store.unreferred([one for one in deleted.blobs if one]):
                await self._blobs.discard(blob)
                total.blobs += 1
        return total

    async def _delete_executions(self, workflow_id: str) -> int:
        """The waiting one is ended; that and its earlier runs go with their histories."""
        try:
            await self._terminate(workflow_id)
            return await TemporalExecutions(self._client).delete(workflow_id)
        except RPCError as error:
            raise TemporalUnavailable(f"Temporal refused: {error.message}") from error

    async def _terminate(self, workflow_id: str) -> None:
        try:
            await self._client.get_workflow_handle(workflow_id).terminate("forgotten")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
