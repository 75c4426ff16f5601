"""Names of KumoMTA's queues, and which of them are meant.

https://docs.kumomta.com/reference/queues/
"""

from typing import Any, Self

from mailroom.models.base import Frozen


class Which(Frozen):
    """Which scheduled queues are meant; what is not given matches all. With `queue_names` nothing
    else matters."""

    campaign: str | None = None
    tenant: str | None = None
    domain: str | None = None
    routing_domain: str | None = None
    queue_names: tuple[str, ...] = ()

    @property
    def given(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_defaults=True)


class KumoQueueName(Frozen):
    """`campaign:tenant@domain!routing_domain`; `campaign:@domain`, `tenant@domain` and `domain`
    where there is less. An empty part says nothing."""

    domain: str
    campaign: str | None = None
    tenant: str | None = None
    routing_domain: str | None = None

    @classmethod
    def of(cls, name: str) -> Self:
        """As KumoMTA reads it: the first of each sign parts it, whatever comes then."""
        prefix, at, rest = name.partition("@")
        if not at:
            prefix, rest = "", name
        domain, _, routing_domain = rest.partition("!")
        campaign, colon, tenant = prefix.partition(":")
        if not colon:
            campaign, tenant = "", prefix
        return cls(
            domain=domain,
            campaign=campaign or None,
            tenant=tenant or None,
            routing_domain=routing_domain or None,
        )

    def __str__(self) -> str:
        campaign = f"{self.campaign}:" if self.campaign else ""
        at = "@" if self.campaign or self.tenant else ""
        routed = f"!{self.routing_domain}" if self.routing_domain else ""
        return f"{campaign}{self.tenant or ''}{at}{self.domain}{routed}"

    def is_meant(self, campaign: str | None, tenant: str | None, domain: str | None) -> bool:
        """By a suspension with these criteria; None matches all."""
        asked = ((campaign, self.campaign), (tenant, self.tenant), (domain, self.domain))
        return all(wanted is None or wanted == its for wanted, its in asked)
