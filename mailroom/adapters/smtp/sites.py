"""Where messages for a domain are taken: a smarthost, or the servers that the DNS names."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mailroom.adapters.smtp.resolver import Dns, NoSuchName
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.domains import ascii_domain
from mailroom.models.outbound.hosts import (
    Address,
    host_name,
    in_order,
    is_domain,
    literal,
    may_be_sent_to,
)
from mailroom.models.outbound.routing import TlsPolicy
from mailroom.ports.outbound import Refused

# Of a domain that names a thousand; enough for every real one.
MOST_HOSTS, MOST_SERVERS = 6, 8


@dataclass(frozen=True)
class Site:
    """The servers of one destination, best first. Domains with the same servers and policy are one
    destination, as a mailbox provider's customers are. `addresses`: of a host that is given as
    one."""

    name: str
    hosts: tuple[str, ...]
    policy: TlsPolicy
    addresses: tuple[Address, ...] = ()

    @property
    def key(self) -> tuple[frozenset[str], TlsPolicy]:
        return frozenset(self.hosts), self.policy


@dataclass(frozen=True)
class Server:
    """`address` is what is connected to, `host` whose certificate is expected."""

    host: str
    address: str
    port: int

    @property
    def name(self) -> str:
        where = f"{self.host}:{self.port}"
        return where if self.host == self.address else f"{where} ({self.address})"


class Sites(Protocol):
    """Both raise `Refused` and `Deferred`."""

    async def site_of(self, domain: str) -> Site: ...

    async def servers(self, site: Site) -> Sequence[Server]:
        """To be tried in this order; at least one."""


class OneSite:
    """A smarthost; it gets everything."""

    def __init__(self, host: str, port: int, policy: TlsPolicy) -> None:
        self._site = Site(host, (host,), policy)
        self._server = Server(host, host, port)

    async def site_of(self, domain: str) -> Site:
        return self._site

    async def servers(self, site: Site) -> Sequence[Server]:
        return [self._server]


class MxSites:
    """RFC 5321 §5.1."""

    def __init__(self, dns: Dns, terms: OutboundSection, ourselves: str) -> None:
        self._dns = dns
        self._terms = terms
        self._ourselves = ourselves

    async def site_of(self, domain: str) -> Site:
        name = ascii_domain(domain)
        policy = self._terms.tls_of(name) or TlsPolicy.OPPORTUNISTIC
        if address := literal(name):
            return Site(name, (str(address),), policy, (address,))
        if not is_domain(name):
            raise Refused(f"5.1.2 {domain[:100]!r} is no domain.")
        try:
            exchanges = await self._dns.exchanges(name)
        except NoSuchName as error:
            raise Refused(f"5.1.2 There is no such domain: {name}.") from error
        if not exchanges:
            return Site(name, (name,), policy)  # its own address is its mail server's
        if all(exchange.null for exchange in exchanges):
            raise Refused(f"5.1.10 The domain {name} takes no mail (null MX).")
        hosts = in_order(exchanges, self._ourselves, random.random)
        if not hosts:
            raise Refused(_none_of_use(name, [e.name for e in exchanges], self._ourselves))
        return Site(name, tuple(hosts[:MOST_HOSTS]), policy)

    async def servers(self, site: Site) -> Sequence[Server]:
        if site.addresses:
            found: list[tuple[str, Address]] = [(str(a), a) for a in site.addresses]
        else:
            found = await self._found(site)
        private = self._terms.allow_private
        usable = [(h, a) for h, a in found if may_be_sent_to(a, allow_private=private)]
        if found and not usable:
            raise Refused(
                f"5.4.4 The mail servers of {site.name} have no public address; if they are yours, "
                "set allow_private in [outbound] of mailroom.toml."
            )
        if not usable:
            raise Refused(f"5.4.4 The mail servers of {site.name} have no address.")
        return [Server(h, str(a), self._terms.port) for h, a in usable[:MOST_SERVERS]]

    async def _found(self, site: Site) -> list[tuple[str, Address]]:
        """Every address of every host; one that the DNS is silent about does not stop others."""
        answers = await asyncio.gather(*map(self._addresses, site.hosts), return_exceptions=True)
        found: list[tuple[str, Address]] = []
        problem: BaseException | None = None
        for host, answer in zip(site.hosts, answers, strict=True):
            if isinstance(answer, BaseException):
                problem = answer
            else:
                found += [(host, address) for address in answer]
        if not found and problem:
            raise problem
        return found

    async def _addresses(self, host: str) -> list[Address]:
        """In an order of chance: neither IPv6 nor IPv4 is better, and many have one of both."""
        kinds = [self._dns.addresses(host, ipv6=ipv6) for ipv6 in (True, False)]
        answers = await asyncio.gather(*kinds, return_exceptions=True)
        found = [address for answer in answers if isinstance(answer, list) for address in answer]
        if not found:
            for answer in answers:
                if isinstance(answer, BaseException) and not isinstance(answer, NoSuchName):
                    raise answer
        random.shuffle(found)
        return found


def _none_of_use(domain: str, names: Sequence[str], ourselves: str) -> str:
    if any(host_name(name) == ourselves.lower() for name in names):
        return f"5.4.6 The mail of {domain} would come back to us: its MX record is {ourselves}."
    return f"5.4.4 The MX records of {domain} name no host."
