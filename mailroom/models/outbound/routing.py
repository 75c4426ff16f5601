"""How mail servers are found and spoken to, as `[outbound]` of mailroom.toml says it."""

import ipaddress
import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from mailroom.models.base import Frozen
from mailroom.models.durations import Length, within

DNS_PORT = 53


class TlsPolicy(StrEnum):
    """Of a connection to a mail server. Without a policy of its own a domain's is opportunistic
    (RFC 7435): encrypted where that works, whoever the server is."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    VERIFIED = "verified"

    @property
    def insists(self) -> bool:
        """Nothing is sent in the clear."""
        return self in (TlsPolicy.REQUIRED, TlsPolicy.VERIFIED)


class TlsSection(Frozen):
    """`[[outbound.tls]]`: a recipient's domain or a smarthost, or several by a pattern such as
    `*.example.com`."""

    domain: str
    policy: TlsPolicy


_PLACE = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<plain>[^\[\]:]+))(?::(?P<port>\d{1,5}))?")


def nameserver_place(given: str) -> tuple[str, int]:
    """Address and port. ValueError with a sentence otherwise."""
    found = _PLACE.fullmatch(given)
    try:
        address = str(ipaddress.ip_address((found["six"] or found["plain"]) if found else given))
        port = int(found["port"] or DNS_PORT) if found else DNS_PORT
    except ValueError as error:
        raise ValueError(
            f"{given[:60]!r} is no name server; one is an address with or without a port, such as "
            "192.0.2.53, 127.0.0.1:5353 or [2001:db8::53]:53"
        ) from error
    if not 0 < port < 1 << 16:
        raise ValueError(f"{port} is no port; the one of a name server is usually {DNS_PORT}")
    return address, port


def _checked(given: str) -> str:
    nameserver_place(given)
    return given


def _host_name(given: str) -> str:
    if not re.fullmatch(r"(?!-)[a-zA-Z0-9.-]{1,253}|\[[0-9a-fA-F:.IPv]+\]", given):
        raise ValueError(f"{given[:60]!r} is no host name, such as mail.example.org")
    return given


Nameserver = Annotated[str, AfterValidator(_checked)]
HostName = Annotated[str, AfterValidator(_host_name)]
# With the ten minutes that an answer to the dot may take, it is within the time of one attempt.
Deadline = Annotated[Length, within(timedelta(minutes=10))]
Port = Annotated[int, Field(ge=1, le=65_535)]
