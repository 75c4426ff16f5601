"""What operators ask of KumoMTA: its queues held, moved, bounced and looked into.

Its suspensions live in its memory, and end after five minutes if not told otherwise.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict

from mailroom.adapters.kumomta.server import KumoServer
from mailroom.adapters.kumomta.shapes import (
    Bounced,
    BounceEntry,
    InspectedMessage,
    InspectedQueue,
    Machine,
    QueueCounts,
    ReadyQueueSuspension,
    Suspension,
)
from mailroom.adapters.kumomta.wire import KumoWire
from mailroom.models.outbound.kumo_queues import Which
from mailroom.ports import Permanent
from mailroom.ports.relay import NotThere


class _Made(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: UUID


class KumoAdmin:
    """Raises `Permanent` for what it refuses, `NotThere` for what it does not know, `Transient` for
    its errors, and `RelayAway` where it can't be reached."""

    def __init__(self, http: httpx.AsyncClient, server: KumoServer) -> None:
        self.wire = KumoWire(http, server)

    async def machine(self) -> Machine:
        return await self.wire.read("GET", "/api/machine-info", Machine)

    async def suspend(self, which: Which, reason: str, length: timedelta) -> UUID:
        """Nothing given suspends all queues."""
        if which.routing_domain:
            raise Permanent("KumoMTA can't suspend by routing domain; name the queues.")
        body = which.given | {"reason": reason, "duration": _words(length)}
        return (await self.wire.read("POST", "/api/admin/suspend/v1", _Made, json=body)).id

    async def suspensions(self) -> list[Suspension]:
        return await self.wire.read("GET", "/api/admin/suspend/v1", list[Suspension])

    async def lift(self, id: UUID) -> bool:
        """False if there is no such suspension (any more)."""
        return await self._delete("/api/admin/suspend/v1", id)

    async def suspend_ready_queue(self, name: str, reason: str, length: timedelta) -> UUID:
        """`name` is `source->site@protocol`, as its log's `egress_source` and `site` are."""
        body = {"name": name, "reason": reason, "duration": _words(length)}
        return (await self.wire.read("POST", "/api/admin/suspend-ready-q/v1", _Made, json=body)).id

    async def ready_queue_suspensions(self) -> list[ReadyQueueSuspension]:
        return await self.wire.read(
            "GET", "/api/admin/suspend-ready-q/v1", list[ReadyQueueSuspension]
        )

    async def lift_ready_queue(self, id: UUID) -> bool:
        return await self._delete("/api/admin/suspend-ready-q/v1", id)

    async def bounce(
        self,
        which: Which,
        reason: str,
        length: timedelta | None = None,
        *,
        suppress_logging: bool = False,
    ) -> Bounced:
        """Bounces what is there and, for `length` (five minutes), what comes. Without its log we
        don't hear of what it bounces."""
        _some("bounce", which)
        body = which.given | {"reason": reason, "suppress_logging": suppress_logging}
        if length is not None:
            body["duration"] = _words(length)
        return await self.wire.read("POST", "/api/admin/bounce/v1", Bounced, json=body)

    async def bounces(self) -> list[BounceEntry]:
        return await self.wire.read("GET", "/api/admin/bounce/v1", list[BounceEntry])

    async def end_bounce(self, id: UUID) -> bool:
        return await self._delete("/api/admin/bounce/v1", id)

    async def rebind(
        self, which: Which, data: Mapping[str, str], reason: str, *, always_flush: bool = False
    ) -> None:
        """`data` goes into the messages' meta items: `routing_domain`, `tenant`, `campaign`,
        `queue`. It moves them after it has answered."""
        _some("rebind", which)
        if which.queue_names:
            raise Permanent("KumoMTA can't rebind by names of queues; give domain or campaign.")
        body = which.given | {"data": dict(data), "reason": reason, "always_flush": always_flush}
        await self.wire.read("POST", "/api/admin/rebind/v1", dict[str, Any], json=body)

    async def message(self, spool_id: str, *, want_body: bool = False) -> InspectedMessage:
        """For one that it does not have (any more) KumoMTA answers 500, which is `Transient`."""
        asked = {"id": spool_id, "want_body": want_body}
        path = "/api/admin/inspect-message/v1"
        return await self.wire.read("GET", path, InspectedMessage, params=asked)

    async def scheduled_queue(
        self, queue_name: str, *, limit: int = 5, want_body: bool = False
    ) -> InspectedQueue:
        asked = {"queue_name": queue_name, "limit": limit, "want_body": want_body}
        return await self.wire.read(
            "GET", "/api/admin/inspect-sched-q/v1", InspectedQueue, params=asked
        )

    async def queue_counts(self) -> QueueCounts:
        return await self.wire.read("GET", "/metrics.json", QueueCounts)

    async def _delete(self, path: str, id: UUID) -> bool:
        try:
            await self.wire.tell("DELETE", path, json={"id": str(id)})
        except NotThere:
            return False
        return True


def _some(what: str, which: Which) -> None:
    """KumoMTA takes a request without any criterion for all the queues that it has."""
    if not any(which.given.values()):
        raise Permanent(
            f"A {what} without a criterion is one of every queue; give a domain, a campaign, a "
            "tenant or a routing domain."
        )


def _words(length: timedelta) -> str:
    return f"{max(int(length.total_seconds()), 1)}s"
