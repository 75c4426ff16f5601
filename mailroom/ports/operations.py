"""What the steps of operators' operations need of the world."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from mailroom.models.outbound.bulk import (
    OperationProgress,
    OperationStatus,
    Reached,
    RelayOrder,
    Scope,
    Whole,
)
from mailroom.models.outbound.message import Change, OutboundInput
from mailroom.models.outbound.operations import QueueOperationResult


class OperationStore(Protocol):
    """Operations, each with the messages that are still to do."""

    async def plan(self, id: UUID) -> OperationProgress:
        """Which messages are meant, once and for all; a dry run only counts them."""

    async def enter(self, id: UUID, status: OperationStatus) -> None: ...

    async def share(self, id: UUID, limit: int, *, at_relay: bool) -> Sequence[Reached]:
        """Changes the next messages. The same ones again until they are `told`. `at_relay`: also
        what a relay has, which is told as well."""

    async def order(self, id: UUID) -> RelayOrder | None:
        """What a relay is told; None where it can't be said in its words."""

    async def words(self, id: UUID) -> Sequence[str | int] | None:
        """What a single message's workflow is told with the operation's name; None where it knows
        no words for it."""

    async def orphans(self, ids: Sequence[UUID]) -> Sequence[OutboundInput]:
        """Messages as workflows get them, where none of theirs runs any more."""

    async def unused(self, blobs: Collection[str]) -> Collection[str]:
        """Those that no row refers to."""

    async def told(
        self,
        id: UUID,
        affected: Mapping[UUID, str],
        same: Collection[UUID],
        failed: Mapping[UUID, str],
    ) -> OperationProgress:
        """What became of messages of a share: queues of those that follow, sentences for those
        that don't."""

    async def whole(self, id: UUID) -> tuple[Whole, str] | None:
        """What is suspended or opened as a whole, and why."""

    async def counted(self, id: UUID, whole: Whole) -> OperationProgress:
        """The messages that this holds, or held."""

    async def finish(
        self, id: UUID, status: OperationStatus, error: str | None = None
    ) -> QueueOperationResult:
        """The result; what it is about can't be changed afterwards."""


class OperatedFlows(Protocol):
    """What operations ask of messages' workflows."""

    async def adopt(self, id: UUID, change: Change, *, due_later: bool) -> bool:
        """Tells it how an operation has left its message; False where none runs."""

    async def tell(self, id: UUID, order: str, *args: str | int) -> bool: ...

    async def take_up(self, message: OutboundInput) -> None:
        """Starts one where it was lost."""

    async def end(self, id: UUID, reason: str) -> None:
        """Its message is gone."""


class Holds(Protocol):
    """Queues, domains, campaigns, tenants and pools as a whole."""

    async def hold(self, scope: Scope, name: str, reason: str, until: datetime | None) -> None: ...

    async def release(self, scope: Scope, name: str, reason: str) -> None: ...
