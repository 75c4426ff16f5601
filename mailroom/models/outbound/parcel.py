"""A message as a courier gets it."""

from uuid import UUID

from pydantic import Field

from mailroom.models.base import Frozen
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.words import DeliveryProtocol


class Parcel(Frozen):
    """`sender` is the envelope's, to which bounces go."""

    id: UUID
    message_id: str
    sender: str
    recipient: str
    domain: str
    routing_domain: str | None = None
    campaign_id: str | None = None
    tenant_id: str | None = None
    pool_name: str | None = None

    @property
    def destination(self) -> str:
        """Whose mail servers get it."""
        return self.routing_domain or self.domain


class Taken(Frozen):
    """A server has it; `relayed`: one that goes on trying by itself, and tells us later."""

    response: SmtpResponse
    protocol: DeliveryProtocol = DeliveryProtocol.SMTP
    relayed: bool = Field(default=False)
