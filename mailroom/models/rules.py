"""An owner's own triage: what becomes of which mail. The first rule that matches decides."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from pydantic import Field, model_validator

from mailroom.models.base import Frozen


class Action(StrEnum):
    IGNORE = "ignore"
    NOTIFY = "notify"
    DRAFT = "draft"


class Facts(Frozen):
    """What rules look at."""

    sender: str = Field(description="address")
    subject: str
    headers: tuple[tuple[str, str], ...] = ()
    size: int = Field(description="bytes")


class Rule(Frozen):
    """Every condition that is given must hold; of several values one is enough. Any case."""

    name: str = Field(min_length=1, description="shown as the reason")
    action: Action
    sender: tuple[str, ...] = Field(default=(), description="addresses, or @domains")
    subject: tuple[str, ...] = Field(default=(), description="words that occur in it")
    header: dict[str, str] = Field(default={}, description="name to a part of its value")
    larger_than: int | None = Field(default=None, ge=0, description="bytes")

    @model_validator(mode="after")
    def _asks_something(self) -> "Rule":
        if not (self.sender or self.subject or self.header or self.larger_than is not None):
            raise ValueError(f"The rule {self.name!r} has no condition; it would match every mail.")
        return self

    def matches(self, facts: Facts) -> bool:
        return (
            (not self.sender or any_sender(self.sender, facts.sender))
            and (not self.subject or _occurs(self.subject, facts.subject))
            and all(_has(facts.headers, name, part) for name, part in self.header.items())
            and (self.larger_than is None or facts.size > self.larger_than)
        )


def rule_for(rules: Iterable[Rule], facts: Facts) -> Rule | None:
    return next((rule for rule in rules if rule.matches(facts)), None)


def any_sender(wanted: Sequence[str], address: str) -> bool:
    """Whether `address` is one of `wanted`, or of one of its domains (`@example.org`)."""
    address = address.casefold()
    domain = address[address.rfind("@") :]
    return any(each.casefold() in (address, domain) for each in wanted)


def _occurs(parts: Sequence[str], text: str) -> bool:
    return any(part.casefold() in text.casefold() for part in parts)


def _has(headers: Sequence[tuple[str, str]], name: str, part: str) -> bool:
    return any(
        known.casefold() == name.casefold() and part.casefold() in value.casefold()
        for known, value in headers
    )
