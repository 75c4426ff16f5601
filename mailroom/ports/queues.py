"""What the steps of queues and of domains' health need of the world."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from mailroom.models.outbound.health import DomainReading, ScoredDomain
from mailroom.models.outbound.queues import Place, QueueRef, QueueStanding
from mailroom.models.outbound.scopes import SuspensionScope


class QueueStates(Protocol):
    """A circuit is a row of its domain, as an operator's word is. With a scope the name is that of
    a domain, campaign, tenant or pool, which a suspension may hold."""

    async def standing(
        self, queue_name: str, scope: SuspensionScope | None = None
    ) -> QueueStanding: ...

    async def end(
        self, queue_name: str, until: datetime, scope: SuspensionScope | None = None
    ) -> bool:
        """The suspension that was to last until then is over: the queue is active, a circuit half
        open. False where somebody said something else meanwhile."""

    async def overdue(self, limit: int) -> Sequence[QueueRef]:
        """Those whose suspension should have ended some time ago."""

    async def held(
        self, queue_name: str, place: Place, limit: int, scope: SuspensionScope | None = None
    ) -> Sequence[UUID]:
        """Messages that wait for it, in order, after this place."""

    async def stranded(self, limit: int) -> Sequence[UUID]:
        """Messages that were held lately by what holds none any more."""

    async def tidy(self, forget_after: timedelta) -> None:
        """Removes the word on queues that have been active for so long."""


class Circuits(Protocol):
    async def open(self, reasons: dict[str, str]) -> Sequence[str]:
        """The domains whose circuit opened by this; an operator's word stands."""

    async def judge(self) -> Sequence[str]:
        """Half-open circuits whose probe has told: closed now, or open for longer."""

    async def offer_probe(self, domain: str) -> UUID | None:
        """The next message that asks may pass; one that waits, if any does."""


class DomainHealthStore(Protocol):
    async def fold(self, limit: int) -> int:
        """Counts results by domain and hour; how many there were."""

    async def due(self, limit: int) -> tuple[datetime, Sequence[DomainReading]]:
        """The time there, and domains whose score is out of date."""

    async def keep(self, now: datetime, scores: Sequence[ScoredDomain]) -> None: ...

    async def tidy(self) -> None:
        """Removes what is too old to count."""


class QueueCounts(Protocol):
    async def fold(self, limit: int) -> int:
        """Adds up so many changes of messages at most; how many there were."""

    async def tidy(self) -> None:
        """Removes what is too old to be asked for."""


class QueueFlows(Protocol):
    async def look_after(self, queue_name: str, scope: SuspensionScope | None = None) -> None:
        """Something changed about it: its workflow looks, and starts where none runs."""
