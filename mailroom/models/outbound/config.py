"""`[outbound]` of mailroom.toml: how hard messages are tried, and where they go."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from mailroom.models.base import Frozen
from mailroom.models.durations import Duration
from mailroom.models.outbound.bounces import BounceRule
from mailroom.models.outbound.dkim import DkimSection
from mailroom.models.outbound.health import HealthSection
from mailroom.models.outbound.item import DEFAULT_MAX_ATTEMPTS, Attempts
from mailroom.models.outbound.routing import (
    Deadline,
    HostName,
    Nameserver,
    Port,
    TlsPolicy,
    TlsSection,
)
from mailroom.models.outbound.suppression import SuppressedAddress
from mailroom.models.patterns import matches

MOST_RATE = 1_000_000
LEAST_WEIGHT, MOST_WEIGHT = 0.001, 1_000.0
"""Temporal takes no weights beyond."""

ThrottleRate = Annotated[float, Field(gt=0, le=MOST_RATE, description="messages per minute")]


class QueueSection(Frozen):
    """`[[outbound.queues]]`: a queue, or several by a pattern such as `*.example.com`."""

    name: str
    throttle_rate: ThrottleRate | None = None


class OutboundSection(Frozen):
    """RFC 5321 §4.5.4.1: half an hour at least between two tries, four to five days in all."""

    first_retry: Duration = timedelta(minutes=30)
    longest_retry: Duration = timedelta(hours=6)
    max_attempts: Attempts = DEFAULT_MAX_ATTEMPTS
    expires_after: Duration = timedelta(days=5)
    connections: int = Field(default=10, ge=1, le=1_000, description="to one destination at once")
    throttle_rate: ThrottleRate = Field(default=6_000, description="of a queue without its own")
    bounce_domain: HostName | None = Field(
        default=None, description="where bounces are to go: VERP addresses at this domain"
    )
    bounces: tuple[BounceRule, ...] = Field(
        default=(), description="what refusals mean; tried before what is known of public servers"
    )
    queues: tuple[QueueSection, ...] = ()
    health: HealthSection = HealthSection()
    hostname: HostName | None = Field(default=None, description="what we say in EHLO")
    port: Port = Field(default=25, description="of mail servers that an MX record names")
    nameservers: tuple[Nameserver, ...] = Field(default=(), description="the system's if empty")
    allow_private: bool = Field(
        default=False, description="whether the DNS may send mail to loopback and intranets"
    )
    deadline: Deadline = Field(
        default=timedelta(minutes=5), description="from connecting to the end of the message"
    )
    tls: tuple[TlsSection, ...] = ()
    dkim: tuple[DkimSection, ...] = ()
    unsubscribe_mailto: SuppressedAddress | None = Field(
        default=None, description="who reads wishes to be left out, besides the link"
    )

    def tls_of(self, domain: str) -> TlsPolicy | None:
        """The first that fits; None where none was asked for."""
        return next((t.policy for t in self.tls if matches(t.domain.lower(), domain)), None)

    def weight(self, queue_name: str) -> float:
        """A queue's share, and its rate as a multiple of what is usual."""
        weight = (self.rate_of(queue_name) or self.throttle_rate) / self.throttle_rate
        return min(max(weight, LEAST_WEIGHT), MOST_WEIGHT)

    def rate_of(self, queue_name: str) -> float | None:
        """Its own messages per minute, where it has a rate of its own."""
        return next((q.throttle_rate for q in self.queues if matches(q.name, queue_name)), None)
