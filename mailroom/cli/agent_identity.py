"""As whom `mailroom agent` asks, and with which token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import typer

from mailroom.adapters.settings import Settings, load_settings
from mailroom.cli.client import Bridge, bridge, token_of
from mailroom.models.agent_addresses import OVERSEER, address_of


@dataclass(frozen=True)
class Me:
    """`token` is that of the address, or the operator's, which may act as anybody."""

    address: str
    token: str
    settings: Settings

    @property
    def is_overseer(self) -> bool:
        return self.address == OVERSEER

    @property
    def named(self) -> str | None:
        """None where only the token says who it is."""
        only_token = self.is_overseer and self.settings.mailroom_agent_token
        return None if only_token else self.address


def whoami(said: str | None = None) -> Me:
    """From `--as`, else MAILROOM_AGENT, else the overseer."""
    settings = load_settings()
    own = settings.mailroom_agent_token
    token = own.get_secret_value() if own else token_of(settings)
    return Me(in_form(said) if said else settings.mailroom_agent, token, settings)


def in_form(address: str) -> str:
    try:
        return address_of(address)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@asynccontextmanager
async def asked_as(me: Me) -> AsyncIterator[Bridge]:
    async with bridge(me.settings, me.token) as to:
        yield to
