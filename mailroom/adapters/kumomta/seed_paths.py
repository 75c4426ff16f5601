"""The admin interface as seed 004, section 7, names it: queues are suspended and resumed by their
names in the path, and listed with their state."""

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote

from pydantic import AwareDatetime, Field

from mailroom.adapters.kumomta.shapes import Shape
from mailroom.adapters.kumomta.wire import KumoWire
from mailroom.models.outbound.relay import KumoMTAMessageDetails, KumoMTAQueue, RelayQueueState
from mailroom.ports.relay import NotThere

LISTED = "/api/admin/bounce/v1/list-scheduled-queues"
INSPECTED = ("/api/admin/bounce/v1/inspect-message", "/api/admin/inspect-message/v1")


class _Queue(Shape):
    name: str
    message_count: int = Field(ge=0)
    state: RelayQueueState = RelayQueueState.ACTIVE


class _Queues(Shape):
    queues: tuple[_Queue, ...] = ()


class _Response(Shape):
    code: int
    message: str = ""


class _Message(Shape):
    id: str
    queue: str
    recipient: str
    sender: str
    size: int = Field(ge=0)
    attempts: int = Field(ge=0)
    next_attempt: AwareDatetime
    last_response: _Response | None = None


class SeedAdmin:
    def __init__(self, wire: KumoWire) -> None:
        self._wire = wire

    async def queues(self) -> list[KumoMTAQueue]:
        found = await self._wire.read("GET", LISTED, _Queues)
        return [KumoMTAQueue.model_validate(one.model_dump()) for one in found.queues]

    async def message(self, id: str) -> KumoMTAMessageDetails:
        """Under the path that the seed's listing has, or the one that KumoMTA's had."""
        return KumoMTAMessageDetails.model_validate((await self._inspected(id)).model_dump())

    async def _inspected(self, id: str) -> _Message:
        first, second = (f"{path}/{quote(id, safe='')}" for path in INSPECTED)
        try:
            return await self._wire.read("GET", first, _Message)
        except NotThere:
            return await self._wire.read("GET", second, _Message)

    async def suspend(self, domain: str, reason: str, length: timedelta) -> None:
        body = {"reason": reason, "duration": f"{max(int(length.total_seconds()), 1)}s"}
        await self._wire.tell("POST", f"/api/admin/suspend/v1/{quote(domain, safe='')}", json=body)

    async def resume(self, domain: str) -> None:
        path = f"/api/admin/resume-scheduled-queue/v1/{quote(domain, safe='')}"
        await self._wire.tell("POST", path)

    async def held(self) -> Sequence[str]:
        return [one.name for one in await self.queues() if one.state is RelayQueueState.SUSPENDED]
