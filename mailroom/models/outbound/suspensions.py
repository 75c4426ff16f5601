"""Suspensions: what is held whatever queue it is in, until when, and why."""

from typing import Self

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.outbound.queues import End, Reason, SetBy
from mailroom.models.outbound.scopes import SuspensionScope


class Suspend(Frozen):
    """What an operator wants; without an end it holds until somebody releases it."""

    reason: Reason
    until: End | None = None


class Suspension(Frozen):
    scope: SuspensionScope
    name: str = Field(description="the domain, or the ID of the campaign, tenant or pool")
    reason: str
    until: AwareDatetime | None = None
    set_by: SetBy = SetBy.OPERATOR
    created_at: AwareDatetime


class Suspended(Suspension):
    """As it was just said."""

    relay: str | None = Field(
        default=None, description="what KumoMTA said, where it does not hold it yet"
    )


class HeldQueue(Frozen):
    """A queue that an operator suspended or disabled."""

    scope: None = None
    name: str
    reason: str
    until: AwareDatetime | None = None


Held = Suspension | HeldQueue


class SuspensionCursor(Frozen):
    """Where a page of suspensions ended."""

    scope: SuspensionScope
    name: str

    @classmethod
    def of(cls, text: str) -> Self:
        """ValueError where it is none of ours."""
        scope, _, name = text.partition("/")
        if not name or "\0" in name:
            raise ValueError("This is no cursor; take `next_cursor` of the page before.")
        return cls(scope=SuspensionScope(scope), name=name)

    def __str__(self) -> str:
        return f"{self.scope}/{self.name}"
