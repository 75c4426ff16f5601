"""The answers of KumoMTA's admin interface. What it says besides is ignored.

https://docs.kumomta.com/reference/http/kumod/
"""

import re
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
)

# KumoMTA writes lengths of time as "4m 59s 12ms".
_PIECE = re.compile(
    r"(?P<number>\d+)(?P<unit>years?|months?|days?|hours?|h|minutes?|min|m|s|ms|us|µs|ns)(?![a-z])"
)
_YEAR, _MONTH = 365.25 * 86_400, 30.44 * 86_400
_SECONDS = {
    **{"year": _YEAR, "month": _MONTH, "day": 86_400, "hour": 3_600, "h": 3_600, "minute": 60},
    **{"min": 60, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9},
}


def _length(value: object) -> object:
    if not isinstance(value, str):
        return value
    pieces = list(_PIECE.finditer(value))
    if not pieces or _PIECE.sub("", value).strip():
        raise ValueError(f"{value[:50]!r} is no length of time as KumoMTA writes it")
    return timedelta(seconds=sum(int(p["number"]) * _seconds(p["unit"]) for p in pieces))


def _seconds(unit: str) -> float:
    return _SECONDS.get(unit) or _SECONDS[unit.removesuffix("s")]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Length = Annotated[timedelta, BeforeValidator(_length)]
Addresses = Annotated[list[str], BeforeValidator(_as_list)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Machine(Shape):
    """`version` begins with the date of the release."""

    hostname: str
    version: str
    process_kind: str = Field(description="kumod, or another program of KumoMTA's")


class Suspension(Shape):
    """Of scheduled queues; what is not given matches all."""

    id: UUID
    campaign: str | None = None
    tenant: str | None = None
    domain: str | None = None
    reason: str
    duration: Length = Field(description="what is left of it")


class ReadyQueueSuspension(Shape):
    id: UUID
    name: str
    reason: str
    duration: Length = Field(description="what is left of it")
    expires: AwareDatetime


class Bounced(Shape):
    """The counts are of older servers: now it bounces after it has answered."""

    id: UUID
    bounced: dict[str, int] = {}
    total_bounced: int = 0


class BounceEntry(Shape):
    """A bounce that still goes on, with what it has bounced by now."""

    id: UUID
    campaign: str | None = None
    tenant: str | None = None
    domain: str | None = None
    routing_domain: str | None = None
    reason: str
    duration: Length = Field(description="what is left of it")
    bounced: dict[str, int] = {}
    total_bounced: int = 0


class KumoMessage(Shape):
    sender: str
    recipient: Addresses
    meta: dict[str, JsonValue] = {}
    data: str | None = Field(default=None, description="if the body was asked for")
    due: AwareDatetime | None = None
    num_attempts: int | None = None
    scheduling: JsonValue = None


class InspectedMessage(Shape):
    """`id` is KumoMTA's spool ID, as in its log."""

    id: str
    message: KumoMessage


class InspectedQueue(Shape):
    queue_name: str
    messages: list[InspectedMessage] = []
    num_scheduled: int
    delayed_metric: int
    last_changed: AwareDatetime
    now: AwareDatetime
    queue_config: dict[str, JsonValue] = {}


class ByQueue(Shape):
    """A figure by queue; the others of its metrics have other shapes."""

    value: dict[str, dict[str, FiniteFloat]] = {}


class QueueCounts(Shape):
    """Of its metrics, how many messages are where. A queue that idles is left out after a while."""

    scheduled_count: ByQueue = ByQueue()
    ready_count: ByQueue = ByQueue()

    @property
    def scheduled(self) -> dict[str, float]:
        return self.scheduled_count.value.get("queue", {})

    @property
    def ready(self) -> dict[str, float]:
        """By name of the ready queue, which stands behind the protocol: `smtp_client:source->site`.
        What has no colon is a sum."""
        by_service = self.ready_count.value.get("service", {})
        return {
            name: count
            for service, count in by_service.items()
            for _, colon, name in [service.partition(":")]
            if colon
        }
