"""What the DNS says of a domain's mail servers. Its answers are a stranger's words."""

import time
from collections.abc import Sequence
from functools import cached_property

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
from dns.resolver import NXDOMAIN, Answer, CacheKey, LRUCache, NoAnswer

from mailroom.models.outbound.hosts import Address, Exchange, address_of
from mailroom.models.outbound.routing import nameserver_place
from mailroom.ports.outbound import Deferred

LOOKUP_SECONDS = 15.0
ANSWERS_KEPT = 20_000
# A domain that moves, or says so by mistake, is not left to a lifetime of its own choice.
LONGEST_YES, LONGEST_NO = 3_600, 300


class NoSuchName(Exception):
    """Nothing of that name exists."""


class _Cache(LRUCache):
    def put(self, key: CacheKey, value: Answer) -> None:
        longest = LONGEST_NO if value.rrset is None else LONGEST_YES
        value.expiration = min(value.expiration, time.time() + longest)
        super().put(key, value)


class Dns:
    def __init__(
        self, nameservers: Sequence[str] = (), lookup_seconds: float = LOOKUP_SECONDS
    ) -> None:
        """Those of the system where none are given."""
        self._nameservers = nameservers
        self._lookup_seconds = lookup_seconds

    async def exchanges(self, domain: str) -> list[Exchange]:
        """None of them where it has no MX record. Raises `NoSuchName` and `Deferred`."""
        answer = await self._ask(domain, dns.rdatatype.MX)
        return [
            Exchange(preference=record.preference, name=record.exchange.to_text())
            for record in answer or ()
        ]

    async def addresses(self, host: str, *, ipv6: bool) -> list[Address]:
        """Raises `NoSuchName` and `Deferred`."""
        kind = dns.rdatatype.AAAA if ipv6 else dns.rdatatype.A
        return [address_of(record.address) for record in await self._ask(host, kind) or ()]

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> Answer | None:
        try:
            # With its dot: names of this machine's own network are not tried.
            absolute = dns.name.from_text(f"{name}.")
            return await self._resolver.resolve(absolute, kind, search=False)
        except NoAnswer:
            return None
        except NXDOMAIN as error:
            raise NoSuchName(name) from error
        except (dns.exception.DNSException, OSError) as error:
            kind_name = dns.rdatatype.to_text(kind)
            raise Deferred(
                f"4.4.3 The DNS did not say what {kind_name} records {name} has "
                f"({type(error).__name__})."
            ) from error

    @cached_property
    def _resolver(self) -> dns.asyncresolver.Resolver:
        """Made when it is needed: a machine without any DNS has no use for it."""
        resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
        if self._nameservers:
            resolver.nameservers = [
                dns.nameserver.Do53Nameserver(*nameserver_place(given))
                for given in self._nameservers
            ]
        resolver.cache = _Cache(ANSWERS_KEPT)
        resolver.lifetime = self._lookup_seconds
        return resolver
