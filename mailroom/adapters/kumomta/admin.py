"""What operators ask of KumoMTA: its queues held, moved, bounced and looked into.

Its suspensions live in its memory, and end after five minutes if not told otherwise.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from mailroom.adapters.kumomta.server import KumoServer
from mailroom.adapters.kumomta.shapes import (
    Bounced,
    BounceEntry,
    InspectedMessage,
    InspectedQueue,
    Machine,
    Metric,
    ReadyQueueSuspension,
    Suspension,
)
from mailroom.models.base import Frozen
from mailroom.models.text import one_line
from mailroom.ports import Permanent, Transient

LONGEST_QUOTE = 300
NOT_FOUND = 404

Answer = TypeVar("Answer")


class Which(Frozen):
    """Which scheduled queues are meant, `campaign:tenant@domain!routing_domain`; what is not given
    matches all. With `queue_names` nothing else matters."""

    campaign: str | None = None
    tenant: str | None = None
    domain: str | None = None
    routing_domain: str | None = None
    queue_names: tuple[str, ...] = ()

    @property
    def given(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_defaults=True)


class _Made(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: UUID


class KumoAdmin:
    """Raises `Permanent` for what it refuses, and `Transient` where it can't be reached."""

    def __init__(self, http: httpx.AsyncClient, server: KumoServer) -> None:
        self._http = http
        self._server = server

    async def machine(self) -> Machine:
        return await self._ask("GET", "/api/machine-info", Machine)

    async def suspend(self, which: Which, reason: str, length: timedelta) -> UUID:
        """Nothing given suspends all queues."""
        if which.routing_domain:
            raise Permanent("KumoMTA can't suspend by routing domain; name the queues.")
        body = which.given | {"reason": reason, "duration": _words(length)}
        return (await self._ask("POST", "/api/admin/suspend/v1", _Made, json=body)).id

    async def suspensions(self) -> list[Suspension]:
        return await self._ask("GET", "/api/admin/suspend/v1", list[Suspension])

    async def lift(self, id: UUID) -> bool:
        """False if there is no such suspension (any more)."""
        return await self._delete("/api/admin/suspend/v1", id)

    async def suspend_ready_queue(self, name: str, reason: str, length: timedelta) -> UUID:
        """`name` is `source->site@protocol`, as its log's `egress_source` and `site` are."""
        body = {"name": name, "reason": reason, "duration": _words(length)}
        return (await self._ask("POST", "/api/admin/suspend-ready-q/v1", _Made, json=body)).id

    async def ready_queue_suspensions(self) -> list[ReadyQueueSuspension]:
        return await self._ask("GET", "/api/admin/suspend-ready-q/v1", list[ReadyQueueSuspension])

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
        return await self._ask("POST", "/api/admin/bounce/v1", Bounced, json=body)

    async def bounces(self) -> list[BounceEntry]:
        return await self._ask("GET", "/api/admin/bounce/v1", list[BounceEntry])

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
        await self._ask("POST", "/api/admin/rebind/v1", dict[str, Any], json=body)

    async def message(self, spool_id: str, *, want_body: bool = False) -> InspectedMessage:
        """For one that it does not have (any more) KumoMTA answers 500, which is `Transient`."""
        asked = {"id": spool_id, "want_body": want_body}
        path = "/api/admin/inspect-message/v1"
        return await self._ask("GET", path, InspectedMessage, params=asked)

    async def scheduled_queue(
        self, queue_name: str, *, limit: int = 5, want_body: bool = False
    ) -> InspectedQueue:
        asked = {"queue_name": queue_name, "limit": limit, "want_body": want_body}
        return await self._ask("GET", "/api/admin/inspect-sched-q/v1", InspectedQueue, params=asked)

    async def metrics(self) -> dict[str, Metric]:
        return await self._ask("GET", "/metrics.json", dict[str, Metric])

    async def _ask(self, method: str, path: str, kind: type[Answer], **asked: Any) -> Answer:
        return _read(_successful(await self._send(method, path, **asked)), kind)

    async def _delete(self, path: str, id: UUID) -> bool:
        response = await self._send("DELETE", path, json={"id": str(id)})
        if response.status_code == NOT_FOUND:
            return False
        _successful(response)
        return True

    async def _send(self, method: str, path: str, **asked: Any) -> httpx.Response:
        try:
            return await self._http.request(
                method,
                f"{self._server.url}{path}",
                auth=self._server.auth or httpx.USE_CLIENT_DEFAULT,
                **asked,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # httpx's sentences may hold the URL.
            raise Transient(f"KumoMTA can't be reached ({type(error).__name__}).") from None


def _some(what: str, which: Which) -> None:
    """KumoMTA takes a request without any criterion for all the queues that it has."""
    if not any(which.given.values()):
        raise Permanent(
            f"A {what} without a criterion is one of every queue; give a domain, a campaign, a "
            "tenant or a routing domain."
        )


def _successful(response: httpx.Response) -> httpx.Response:
    status = response.status_code
    if response.is_success:
        return response
    if status in (401, 403):
        raise Permanent(
            f"KumoMTA does not let us in ({status}). Add this machine to trusted_hosts of its HTTP "
            "listener, or correct KUMOMTA_USER and KUMOMTA_PASSWORD."
        )
    sentence = f"KumoMTA answered {status}: {one_line(response.text, LONGEST_QUOTE) or 'no reason'}"
    raise Permanent(sentence) if response.is_client_error else Transient(sentence)


def _read(response: httpx.Response, kind: type[Answer]) -> Answer:
    try:
        return TypeAdapter(kind).validate_json(response.content)
    except ValidationError:
        raise Permanent(
            "KumoMTA answered something else than it documents; is KUMOMTA_URL its address?"
        ) from None


def _words(length: timedelta) -> str:
    return f"{max(int(length.total_seconds()), 1)}s"
