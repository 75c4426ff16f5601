"""Whose mail it is."""

from pydantic import Field

from mailroom.models.base import Frozen


class Owner(Frozen):
    id: str = Field(description="opaque; the only thing of an owner that Temporal indexes")
    name: str = Field(default="", description="signs the drafts")
    addresses: tuple[str, ...] = Field(
        default=(), description="own addresses; empty means whatever address a mail came to"
    )
    phone: str | None = Field(default=None, description="E.164")

    @property
    def email(self) -> str | None:
        """Where the owner is told what can't be texted."""
        return self.addresses[0] if self.addresses else None
