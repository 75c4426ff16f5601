"""What a suspension is about: everything to a domain, of a campaign, of a tenant, from a pool."""

from enum import StrEnum

from mailroom.models.outbound.domains import ascii_domain
from mailroom.models.outbound.hosts import is_domain, literal


class SuspensionScope(StrEnum):
    """A message is in the scope whose field it has: `domain` is its recipient's."""

    DOMAIN = "domain"
    CAMPAIGN = "campaign"
    TENANT = "tenant"
    POOL = "pool"


def compared(scope: SuspensionScope, name: str) -> str:
    """The name as messages have it. ValueError for a domain that no message can have."""
    if scope is not SuspensionScope.DOMAIN:
        return name
    domain = ascii_domain(name.strip())
    if not is_domain(domain) and literal(domain) is None:
        raise ValueError(f"{name[:60]!r} is no domain, such as example.com")
    return domain
