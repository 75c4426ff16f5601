"""Names and addresses of mail servers, as strangers' DNS gives them."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address

from mailroom.models.base import Frozen

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
# Hosts have no underscores, but there are mail domains that do.
_DOMAIN = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)
LONGEST_NAME = 253

Address = IPv4Address | IPv6Address


class Exchange(Frozen):
    """Of an MX record; the lower its preference the better."""

    preference: int
    name: str

    @property
    def null(self) -> bool:
        """RFC 7505 §3: who has this takes no mail."""
        return self.name == "."


def host_name(given: str) -> str | None:
    """In lower case, without the root's dot; None for what is none. What looks like an address
    (RFC 1123 §2.1) is none, whatever the DNS says about it."""
    name = given.lower().removesuffix(".")
    if len(name) > LONGEST_NAME or not _HOST.fullmatch(name):
        return None
    return None if name.rpartition(".")[2].isdecimal() else name


def is_domain(ascii_name: str) -> bool:
    """Whether the DNS may be asked about it."""
    return len(ascii_name) <= LONGEST_NAME and bool(_DOMAIN.fullmatch(ascii_name))


def literal(domain: str) -> Address | None:
    """The address of `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3)."""
    if not (domain.startswith("[") and domain.endswith("]")):
        return None
    inner = domain[1:-1]
    try:
        is_ipv6 = inner[:5].lower() == "ipv6:"
        return IPv6Address(inner[5:]) if is_ipv6 else IPv4Address(inner)
    except ValueError:
        return None


def may_be_sent_to(address: Address, *, allow_private: bool) -> bool:
    """Whoever writes an MX record, or a recipient's address, must not choose a server of ours."""
    inside = getattr(address, "ipv4_mapped", None) or address
    if inside.is_multicast or inside.is_unspecified:
        return False
    return allow_private or inside.is_global


def address_of(given: str) -> Address:
    return ipaddress.ip_address(given)


def in_order(
    exchanges: Iterable[Exchange], ourselves: str, chance: Callable[[], float]
) -> list[str]:
    """The best first, in an order of chance among equals. RFC 5321 §5.1: where we are one of them,
    those that are no better than we are would only send it back."""
    named = [(e.preference, name) for e in exchanges if (name := host_name(e.name))]
    ours = min((pref for pref, name in named if name == ourselves.lower()), default=None)
    better = [(pref, chance(), name) for pref, name in named if ours is None or pref < ours]
    return list(dict.fromkeys(name for *_, name in sorted(better)))
