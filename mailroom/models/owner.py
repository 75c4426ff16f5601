"""Whose mail it is, and what they want of it."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from mailroom.models.base import Frozen
from mailroom.models.rules import Rule, any_sender
from mailroom.models.templates import Template


class Hours(Frozen):
    """The time of day in which an owner wants texts; over midnight where it ends before it
    begins."""

    begin: time
    end: time

    @model_validator(mode="after")
    def _some_time(self) -> "Hours":
        if self.begin == self.end:
            raise ValueError("Hours that end when they begin are none; leave them out.")
        return self

    def contain(self, moment: time) -> bool:
        if self.begin < self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; one is Europe/Berlin") from error
    return name


class Owner(Frozen):
    id: str = Field(description="opaque; the only thing of an owner that Temporal indexes")
    name: str = Field(default="", description="signs the drafts")
    addresses: tuple[str, ...] = Field(
        default=(), description="own addresses; empty means whatever address a mail came to"
    )
    phone: str | None = Field(default=None, description="E.164")
    language: str = Field(default="", description="of drafts; that of the mail where empty")
    zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    hours: Hours | None = Field(default=None, description="texts wait for them; always if none")
    vips: tuple[str, ...] = Field(default=(), description="addresses, or domains as @example.org")
    vips_at_any_hour: bool = True
    send_after: timedelta = Field(default=timedelta(0), description="an approved reply waits")
    delegate: str | None = Field(default=None, description="ID of who is asked in their place")
    delegate_after: timedelta = Field(
        default=timedelta(hours=12), gt=timedelta(0), description="without an answer"
    )
    html_replies: bool = Field(default=True, description="as HTML too, beside the text")
    rules: tuple[Rule, ...] = ()
    templates: tuple[Template, ...] = Field(default=(), description="tried before those of all")

    @property
    def email(self) -> str | None:
        """Where the owner is told what can't be texted."""
        return self.addresses[0] if self.addresses else None

    @property
    def timezone(self) -> tzinfo:
        return UTC if self.zone == "UTC" else ZoneInfo(self.zone)

    def is_vip(self, sender: str) -> bool:
        return any_sender(self.vips, sender)


def may_text_at(owner: Owner, now: datetime, *, vip: bool) -> datetime:
    """The first moment from `now` on at which the owner wants a text."""
    local = now.astimezone(owner.timezone)
    if not owner.hours or (vip and owner.vips_at_any_hour) or owner.hours.contain(local.time()):
        return now
    opening = local.replace(
        hour=owner.hours.begin.hour, minute=owner.hours.begin.minute, second=0, microsecond=0
    )
    if opening <= local:
        opening += timedelta(days=1)
    return opening.astimezone(UTC)
