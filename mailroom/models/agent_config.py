"""`[agents]` in mailroom.toml: who there is, where letters go, what holds for each address."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from pydantic import Field, field_validator

from mailroom.models.agent_addresses import OVERSEER, address_of, is_group
from mailroom.models.agent_handling import Command, Handling, Mailbox
from mailroom.models.agent_mail import Delivery, Letter, Priority, Terms
from mailroom.models.agent_rules import Address, MailRule, Routed, routed
from mailroom.models.base import Frozen
from mailroom.models.beads import BeadsSection
from mailroom.models.durations import Duration
from mailroom.models.patterns import matches
from mailroom.models.strategies import CONTROL, Notification, Strategy, apart, strategy_of

MiB = 1024 * 1024


class AgentsSection(Handling):
    """What stands here holds for every address; `mailboxes` say what is other for some."""

    enable_priority_processing: bool = Field(default=True, description="else by age alone")
    addresses: tuple[Address, ...] = Field(default=(), description="known from the start")
    groups: dict[str, tuple[Address, ...]] = Field(default={})
    overseer_owner: str | None = Field(default=None, description="ID of the owner who is texted")
    scan_every: Duration = timedelta(seconds=30)
    scan_every_by_priority: dict[Priority, Duration] = Field(default={})
    lease: Duration = Field(default=timedelta(hours=1), description="of a session")
    confirmations_kept: Duration = timedelta(hours=1)
    max_body_bytes: int = Field(default=MiB, ge=1, le=50 * MiB)
    hooks: tuple[Command, ...] = Field(default=(), description="run on MailReceived")
    mailboxes: tuple[Mailbox, ...] = Field(default=(), description="later ones have precedence")
    rules: tuple[MailRule, ...] = ()
    strategies: tuple[Strategy, ...] = ()
    beads: BeadsSection = BeadsSection()

    @field_validator("groups")
    @classmethod
    def _named(cls, groups: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        named = {f"@{name.strip().removeprefix('@').lower()}": groups[name] for name in groups}
        if len(named) < len(groups):
            raise ValueError("Two groups have the same name.")
        for name, members in named.items():
            if not is_group(name):
                raise ValueError(f"{name[:60]!r} can't be the name of a group; one is staff.")
            if not members:
                raise ValueError(f"The group {name} has no members.")
        return named

    @field_validator("mailboxes")
    @classmethod
    def _once(cls, mailboxes: tuple[Mailbox, ...]) -> tuple[Mailbox, ...]:
        seen: set[str] = set()
        for each in mailboxes:
            if each.address in seen:
                raise ValueError(f"Two mailboxes have the address {each.address}.")
            seen.add(each.address)
        return mailboxes

    @field_validator("strategies")
    @classmethod
    def _one_arm_each(cls, strategies: tuple[Strategy, ...]) -> tuple[Strategy, ...]:
        apart(strategies)
        return strategies

    @property
    def known(self) -> frozenset[str]:
        """Every address that the file names. Sessions and letters make others known."""
        members = (each for group in self.groups.values() for each in group)
        boxes = (each.address for each in self.mailboxes if "*" not in each.address)
        ruled = (each for rule in self.rules for each in (rule.redirect, *rule.copy_to) if each)
        return frozenset((OVERSEER, *self.addresses, *members, *boxes, *ruled))

    def for_address(self, address: str) -> Mailbox:
        """What holds for it: its own mailboxes over what holds for all."""
        address = address_of(address)
        values = {name: getattr(self, name) for name in Handling.model_fields}
        for each in self.mailboxes:
            if matches(each.address, address):
                values = _overlaid(values, each)
        return Mailbox.model_validate(values | {"address": address})

    def scan_pause(self, priority: Priority) -> timedelta:
        return self.scan_every_by_priority.get(priority, self.scan_every)

    def routed(self, letter: Letter, rules: Iterable[MailRule] | None = None) -> Routed:
        """As the rules (or others, for a dry run) want it, each letter ready for its workflow."""
        return routed(letter, self.rules if rules is None else rules, self.settled)

    def settled(self, letter: Letter) -> Letter:
        """With its arm, its delivery and its end; what the sender said stays as it is."""
        box = self.for_address(letter.to)
        name = self._arm(letter, box)
        arm = self._strategy(name)
        changes = {
            "strategy": name,
            "delivery": box.settled((arm and arm.delivery) or letter.delivery, letter.priority),
            "expires_at": letter.expires_at or (box.ttl and letter.sent_at + box.ttl),
        }
        return letter.model_copy(update=changes)

    def notification_of(self, letter: Letter) -> Notification:
        """Of a letter that waits in its recipient's inbox."""
        arm = self._strategy(letter.strategy)
        return (arm and arm.notification) or self.for_address(letter.to).notification

    def _arm(self, letter: Letter, box: Mailbox) -> str | None:
        # Experiments are made with what goes as `auto` to somebody without a wish of their own.
        if not self.strategies or letter.delivery is not Delivery.AUTO or box.has_own_delivery:
            return letter.strategy
        return strategy_of(letter.id, self.strategies) or CONTROL

    def _strategy(self, name: str | None) -> Strategy | None:
        return next((each for each in self.strategies if each.name == name), None)


def terms_of(box: Mailbox, priority: Priority) -> Terms:
    return Terms(
        retries=box.retries,
        retry_after=box.retry_after_by_priority.get(priority, box.retry_after),
        confirm_within=box.delivery_timeout,
        confirm_retries=box.retry.max_attempts,
        confirm_pause=box.retry.initial_delay,
        confirm_longest_pause=box.retry.max_delay,
        confirm_backoff=box.retry.backoff_multiplier,
        acknowledge_within=box.acknowledge_within if priority is Priority.URGENT else None,
        queue_ttl=box.offline_queue.ttl,
    )


def _overlaid(values: dict[str, Any], box: Mailbox) -> dict[str, Any]:
    """`values`, and over them what the file says for `box`; of a table only the keys it has."""
    given = {name: getattr(box, name) for name in box.model_fields_set - {"address"}}
    of_all: dict[str, Any] = {
        f"{name}_by_priority": {} for name in given if f"{name}_by_priority" in values
    }
    tables = {
        name: values[name].model_copy(update=table.model_dump(exclude_unset=True))
        for name, table in given.items()
        if isinstance(table, Frozen)
    }
    return values | of_all | given | tables
