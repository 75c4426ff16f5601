"""What tests of outbound messages do: submit, wait, look."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from house import House
from temporalio.client import WorkflowExecutionStatus
from world import eventually

from mailroom.models.names import outbound_id
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.message import OutboundProgress
from workflows.outbound_message import OutboundMessageWorkflow

CONFIG = """
[outbound]
connections = 4
bounce_domain = "bounces.mailroom.test"
hostname = "mailroom.test"
"""


@dataclass
class Outbound:
    house: House
    http: httpx.AsyncClient
    marker: str

    def to(self, what: str) -> str:
        """An address of this test at which the sink does `what`."""
        return f"{what}+{self.marker}@example.com"

    def message(self, what: str = "take", **more: object) -> dict[str, object]:
        known: dict[str, object] = {
            "sender": "news@company.com",
            "recipient": self.to(what),
            "headers": {"Subject": f"Hello {self.marker}"},
            "text": "Hello",
            "queue_name": self.marker,
            # Tests skip days, which the clock that expiry is computed by does not know.
            "expires_at": "2036-01-01T00:00:00Z",
        }
        return known | more

    async def submit(self, what: str = "take", **more: object) -> UUID:
        response = await self.http.post("/queue/messages", json=self.message(what, **more))
        assert response.status_code == 202, response.text
        [id] = response.json()["accepted"]
        return UUID(id)

    async def item(self, id: UUID) -> MessageQueueItem:
        response = await self.http.get(f"/queue/messages/{id}")
        assert response.status_code == 200, response.text
        return MessageQueueItem.model_validate(response.json()["item"])

    async def timeline(self, id: UUID) -> list[dict[str, Any]]:
        response = await self.http.get(f"/queue/messages/{id}")
        assert response.status_code == 200, response.text
        lines: list[dict[str, Any]] = response.json()["timeline"]
        return lines

    async def events(self, id: UUID) -> list[str]:
        return [line["type"].removeprefix("message.") for line in await self.timeline(id)]

    async def reached(self, id: UUID, status: str, **fields: object) -> MessageQueueItem:
        """The message, once it is there."""
        found = await self.item(id)

        async def is_there() -> bool:
            nonlocal found
            found = await self.item(id)
            shown = found.model_dump()
            return found.status == status and all(shown[f] == v for f, v in fields.items())

        try:
            await eventually(is_there, 20)
        except TimeoutError:
            raise AssertionError(f"it is {found!r} and not {status} {fields}") from None
        return found

    async def ended(self, id: UUID) -> MessageQueueItem:
        """The message, once its workflow is over; time is skipped until then."""
        handle = self.house.client.get_workflow_handle(outbound_id(id))

        async def is_over() -> bool:
            if (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING:
                return True
            item = await self.item(id)
            if item.status in ("deferred", "scheduled") and item.next_attempt_at:
                await self._skip_to(item.next_attempt_at)
            return False

        await eventually(is_over, 60)
        return await self.item(id)

    async def _skip_to(self, at: datetime) -> None:
        left = at - await self.house.env.get_current_time()
        if left > timedelta():
            await self.house.env.sleep(left)

    async def progress(self, id: UUID) -> OutboundProgress:
        handle = self.house.client.get_workflow_handle_for(
            OutboundMessageWorkflow.run, outbound_id(id)
        )
        return await handle.query(OutboundMessageWorkflow.status)

    async def tell(self, id: UUID, order: str, **more: object) -> None:
        response = await self.http.post(f"/queue/messages/{id}/{order}", json=more)
        assert response.status_code == 202, response.text
