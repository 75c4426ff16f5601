"""Which way outbound messages go: MAILROOM_OUTBOUND_ROUTE."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial

import httpx

from mailroom.adapters.kumomta.courier import KumoCourier
from mailroom.adapters.kumomta.server import kumo_server_of
from mailroom.adapters.settings import BadConfiguration, Settings
from mailroom.adapters.smtp.courier import SmtpCourier
from mailroom.adapters.smtp.opening import Terms
from mailroom.adapters.smtp.resolver import Dns
from mailroom.adapters.smtp.sites import MxSites, OneSite
from mailroom.adapters.smtp.smarthost import Smarthost, smarthost_of
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.hosts import host_name
from mailroom.models.outbound.parcel import Parcel, Taken
from mailroom.models.outbound.routing import TlsPolicy
from mailroom.ports.outbound import Courier, Deferred

CATCHER, MX, KUMOMTA = "catcher", "mx", "kumomta"
NO_ROUTE = (
    "MAILROOM_OUTBOUND_ROUTE is not set, so nothing leaves; set it to smtp://host:port, mx or "
    "kumomta."
)


def route_of(settings: Settings) -> str:
    """One of the words, or a smarthost's URL, which may hold a password."""
    route = settings.mailroom_outbound_route
    given = route.get_secret_value().strip() if route else CATCHER
    return given.lower() if "://" not in given else given


def courier_of(settings: Settings, outbound: OutboundSection, http: httpx.AsyncClient) -> Courier:
    """Raises `BadConfiguration`."""
    route = route_of(settings)
    match route:
        case "catcher":
            return NoRoute()
        case "kumomta":
            server = kumo_server_of(settings)
            if server is None:
                raise BadConfiguration(
                    "KUMOMTA_URL is not set, and MAILROOM_OUTBOUND_ROUTE is kumomta; set it to the "
                    "address of KumoMTA's HTTP listener."
                )
            return KumoCourier(http, server, outbound.connections)
        case "mx":
            return SmtpWhenNeeded(partial(_by_mx, outbound), outbound.hostname)
    if "://" not in route:
        raise BadConfiguration(
            # It is not quoted: a URL that was mistyped may hold a password.
            "MAILROOM_OUTBOUND_ROUTE can't be read; it has to be catcher, mx, kumomta or "
            "smtp://host:port."
        )
    host = smarthost_of(route, settings.mailroom_outbound_password)
    return SmtpWhenNeeded(partial(_by_smarthost, outbound, host), outbound.hostname)


def _by_mx(outbound: OutboundSection, ourselves: str) -> SmtpCourier:
    sites = MxSites(Dns(outbound.nameservers), outbound, ourselves)
    terms = Terms(ourselves, TlsPolicy.OPPORTUNISTIC, stranger=True)
    return SmtpCourier(sites, outbound, terms)


def _by_smarthost(outbound: OutboundSection, host: Smarthost, ourselves: str) -> SmtpCourier:
    policy = host.policy(outbound.tls_of(host.host))
    terms = Terms(ourselves, policy, implicit=host.implicit, login=host.login)
    return SmtpCourier(OneSite(host.host, host.port, policy), outbound, terms)


class NoRoute:
    """Messages wait until there is one."""

    async def deliver(
        self, parcel: Parcel, data: bytes, before_dot: Callable[[], Awaitable[None]]
    ) -> Taken:
        raise Deferred(NO_ROUTE, of_domain=False)


class SmtpWhenNeeded:
    """This machine's name may be a question to the DNS, which a start does not wait for."""

    def __init__(self, make: Callable[[str], SmtpCourier], ourselves: str | None) -> None:
        self._make = make
        self._ourselves = ourselves
        self._courier: SmtpCourier | None = None

    async def deliver(
        self, parcel: Parcel, data: bytes, before_dot: Callable[[], Awaitable[None]]
    ) -> Taken:
        if self._courier is None:
            ourselves = self._ourselves or await own_name()
            self._courier = self._courier or self._make(ourselves)
        return await self._courier.deliver(parcel, data, before_dot)


async def own_name() -> str:
    """As EHLO wants it (RFC 5321 §4.1.1.1), where the machine has such a name."""
    return host_name(await asyncio.to_thread(socket.getfqdn)) or "localhost"
