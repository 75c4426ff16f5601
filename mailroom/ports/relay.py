"""What operators ask of a relay that delivers for us and keeps queues of its own."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from mailroom.models.outbound.kumo_queues import Which
from mailroom.models.outbound.relay import Detected, KumoMTAMessageDetails, KumoMTAQueueResponse
from mailroom.models.outbound.scopes import SuspensionScope
from mailroom.models.outbound.suspensions import Held, HeldQueue, Suspension
from mailroom.ports import Permanent, Transient


class RelayAway(Transient):
    """Nobody answers there."""


class NotThere(Permanent):
    """The relay has no such queue or message, or can't do what it was asked at all."""


class Suspensions(Protocol):
    async def current(self) -> Sequence[Suspension]: ...


class QueuesHeld(Protocol):
    async def suspended(self) -> Sequence[HeldQueue]: ...


class RelayAdmin(Protocol):
    """Raises `RelayAway`, and `Transient` and `Permanent` with what the relay says."""

    async def detect(self) -> Detected: ...

    async def hold(self, held: Held) -> None:
        """Until its end. What somebody else holds there stays as it is."""

    async def lift(self, scope: SuspensionScope | None, name: str) -> None:
        """What we hold there, and nobody else's; without a scope it is a queue."""

    async def align(self, ours: Callable[[], Awaitable[Sequence[Held]]]) -> int:
        """Holds there what we hold, and no more: a relay forgets. How much was different."""

    async def bounce(self, which: Which, reason: str) -> None:
        """All that is there and meant. Raises `Permanent` without any criterion: that is all."""

    async def rebind(self, which: Which, data: Mapping[str, str], reason: str) -> None:
        """The same with other `campaign`, `tenant` or `routing_domain`; as `bounce`."""

    async def queues(self, limit: int, name: str | None = None) -> KumoMTAQueueResponse:
        """Those with the most messages, or the one of this name."""

    async def message(self, id: str) -> KumoMTAMessageDetails: ...
