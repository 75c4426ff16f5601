"""Routing rules: which letters are redirected, copied, delayed or given another priority."""

import hashlib
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from mailroom.models.agent_addresses import address_of
from mailroom.models.agent_mail import MOST_SUBJECT, Letter, Priority, resolved_delivery
from mailroom.models.base import Frozen
from mailroom.models.durations import Duration, shown
from mailroom.models.patterns import matches, pattern_of


def _listed(given: object) -> object:
    return (given,) if isinstance(given, str) else given


Address = Annotated[str, AfterValidator(address_of)]
Patterns = Annotated[
    tuple[Annotated[str, AfterValidator(pattern_of)], ...], BeforeValidator(_listed)
]
Part = Annotated[str, Field(min_length=1, max_length=MOST_SUBJECT)]


class Match(Frozen):
    """Every condition that is given must hold; of several values one is enough."""

    model_config = ConfigDict(populate_by_name=True)

    sender: Patterns = Field(default=(), alias="from")
    to: Patterns = ()
    subject: Annotated[tuple[Part, ...], BeforeValidator(_listed)] = Field(
        default=(), description="parts of it, any case"
    )
    priority: Annotated[tuple[Priority, ...], BeforeValidator(_listed)] = ()

    def holds(self, letter: Letter) -> bool:
        subject = letter.subject.casefold()
        return (
            (not self.sender or any(matches(each, letter.sender) for each in self.sender))
            and (not self.to or any(matches(each, letter.to) for each in self.to))
            and (not self.subject or any(each.casefold() in subject for each in self.subject))
            and (not self.priority or letter.priority in self.priority)
        )


class MailRule(Frozen):
    """`[[agents.rules]]`."""

    name: str = Field(min_length=1, max_length=100, description="shown in the letter's timeline")
    match: Match
    redirect: Address | None = None
    copy_to: Annotated[tuple[Address, ...], BeforeValidator(_listed)] = Field(
        default=(), alias="copy"
    )
    priority: Priority | None = None
    delay: Duration | None = None
    stop: bool = Field(default=False, description="the rules after it are left out")

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="after")
    def _does_something(self) -> "MailRule":
        if self.match == Match():
            raise ValueError(
                f'The rule {self.name!r} has no condition; match = {{ to = "*" }} is every letter.'
            )
        if not (self.redirect or self.copy_to or self.priority or self.delay or self.stop):
            raise ValueError(
                f"The rule {self.name!r} does nothing; give it redirect, copy, priority, delay or "
                "stop."
            )
        if set(self.match.to) == {self.redirect}:
            raise ValueError(f"The rule {self.name!r} redirects {self.redirect} to itself.")
        return self


class Routed(Frozen):
    """The letter, which comes first, and its copies; `applied` says which rules did what."""

    letters: tuple[Letter, ...]
    applied: tuple[str, ...] = ()


def by_priority(letter: Letter) -> Letter:
    delivery = resolved_delivery(letter.delivery, letter.priority)
    return letter.model_copy(update={"delivery": delivery})


def routed(
    letter: Letter, rules: Iterable[MailRule], settled: Callable[[Letter], Letter] = by_priority
) -> Routed:
    """The letter as the rules want it.

    All rules look at the letter as it was sent, so a redirected one is not matched again and no
    letter goes in circles. `settled` decides last, for every letter, what `auto` means for it.
    """
    now, copies, applied = letter, dict[str, Letter](), list[str]()
    for number, rule in enumerate(rules, 1):
        if not rule.match.holds(letter):
            continue
        before, now = now, _changed(now, rule)
        made = {to: _copy(now, to) for to in rule.copy_to if to not in copies and to != now.to}
        copies |= made
        applied.append(f"rule {number} ({rule.name}): {_done(rule, before, now, made)}")
        if rule.stop:
            break
    others = [copy for to, copy in copies.items() if to != now.to]
    return Routed(letters=tuple(map(settled, (now, *others))), applied=tuple(applied))


def copy_id(letter_id: str, to: str) -> str:
    """The same for the same letter and address: routed twice, a letter is copied once."""
    return hashlib.sha256(f"copy\0{letter_id}\0{to}".encode()).hexdigest()[:32]


def _copy(letter: Letter, to: str) -> Letter:
    return letter.model_copy(update={"id": copy_id(letter.id, to), "to": to})


def _changed(letter: Letter, rule: MailRule) -> Letter:
    changes: dict[str, object] = {}
    if rule.redirect:
        changes["to"] = rule.redirect
    if rule.priority:
        changes["priority"] = rule.priority
    if rule.delay:
        # From when it was sent, not from now: routed again it is the same letter.
        wanted = letter.sent_at + rule.delay
        changes["not_before"] = max(wanted, letter.not_before or wanted)
    return letter.model_copy(update=changes)


def _done(rule: MailRule, before: Letter, now: Letter, copies: Iterable[str]) -> str:
    """In words, such as "redirected to night/worker, copied to overseer"."""
    copied = ", ".join(copies)
    said = {
        f"redirected to {now.to}": now.to != before.to,
        f"copied to {copied}": copied,
        f"priority {now.priority}": now.priority != before.priority,
        f"delayed by {shown(rule.delay or timedelta(0))}": now.not_before != before.not_before,
        "no rules after it": rule.stop,
    }
    return ", ".join(words for words, done in said.items() if done) or "nothing to change"
