"""What operations over many messages ask of their workflows (port `OperatedFlows`)."""

from contextlib import suppress
from uuid import UUID

from mailroom.bridge.flows import NotRunning
from mailroom.bridge.message_flows import MessageFlows
from mailroom.models.outbound.message import Change, OutboundInput


class OperatedFlows:
    """False where no workflow of the message runs."""

    def __init__(self, flows: MessageFlows) -> None:
        self._flows = flows

    async def adopt(self, id: UUID, change: Change, *, due_later: bool) -> bool:
        # One that is not due hears nothing, and has to be asked whether it has begun.
        say = self._flows.tell if due_later else self._flows.signal
        try:
            await say(id, "adopt", change)
        except NotRunning:
            return False
        return True

    async def tell(self, id: UUID, order: str, *args: str | int) -> bool:
        try:
            await self._flows.tell(id, order, *args)
        except NotRunning:
            return False
        return True

    async def take_up(self, message: OutboundInput) -> None:
        await self._flows.take_up(message)

    async def end(self, id: UUID, reason: str) -> None:
        with suppress(NotRunning):
            await self._flows.terminate(id, reason)
