"""How the letters to an address are handled; `[agents]` in mailroom.toml says it for all."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from mailroom.models.agent_addresses import tmux_names, tmux_template
from mailroom.models.agent_mail import Delivery, Priority, resolved_delivery
from mailroom.models.base import Frozen
from mailroom.models.breaker import BreakerTerms
from mailroom.models.durations import Duration, Length, Never, within
from mailroom.models.patterns import pattern_of
from mailroom.models.strategies import Notification

MOST_TOGETHER = 20
"""Letters that a webhook takes at once."""
MOST_RETRIES = 12
"""The pauses double: after twelve a pause of five minutes has become a week."""
LONGEST_PAUSE = timedelta(days=30)
LONGEST_CONFIRMATION = timedelta(minutes=1)
"""That a client may ask for: a worker's slot is taken for that long by each of its letters."""


class Overflow(StrEnum):
    """What becomes of a letter to a full queue; nothing is dropped silently."""

    DROP_OLDEST = "drop-oldest"
    REJECT = "reject"
    DEAD_LETTER = "dead-letter"


class Sessions(StrEnum):
    """Which of an address' sessions get a letter; `latest` falls back to the one before it."""

    ALL = "all"
    LATEST = "latest"


class Retry(Frozen):
    """Of a session that doesn't confirm: max_attempts retries after the first try (seed 002)."""

    max_attempts: int = Field(default=3, ge=0, le=MOST_RETRIES)
    initial_delay: Duration = timedelta(seconds=1)
    backoff_multiplier: float = Field(default=2.0, ge=1, le=10)
    max_delay: Duration = timedelta(seconds=10)


class OfflineQueue(Frozen):
    """For who has no session; without it such a letter has failed at once (seed 002)."""

    enabled: bool = True
    max_queue_size: int = Field(default=100, ge=1, le=1_000_000)
    ttl: Duration = timedelta(hours=24)
    overflow: Overflow = Overflow.DROP_OLDEST


class Batch(Frozen):
    """Letters that go to a recipient together, unless they interrupt."""

    size: int = Field(default=20, ge=1, le=MOST_TOGETHER)
    within: Duration = timedelta(seconds=1)


def _command(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words or not words[0].strip() or any("\0" in word for word in words):
        raise ValueError('a command is a list of words, such as ["notify-send", "mail"]')
    return words


def _web_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = None
    if not usable:
        raise ValueError("it has to be an address such as https://agent.example/mail")
    if parts.username or parts.password:
        raise ValueError("it holds a password; mailroom.toml is no place for secrets")
    return url


Command = Annotated[tuple[str, ...], AfterValidator(_command)]
Pause = Annotated[Length, within(LONGEST_PAUSE)]


class Handling(Frozen):
    """What holds for every address, and can be another for some."""

    tmux: tuple[Annotated[str, AfterValidator(tmux_template)], ...] = Field(
        default=("{address}",), description="what the tmux session is called; the first alive"
    )
    retries: int = Field(default=3, ge=0, le=MOST_RETRIES)
    retry_after: Pause = Field(default=timedelta(minutes=5), description="doubling")
    retry_after_by_priority: dict[Priority, Pause] = Field(default={})
    acknowledge_within: Never = Field(
        default=timedelta(minutes=10), description="of urgent letters, which else escalate"
    )
    ttl: Never = Field(default=None, description="of letters that don't say theirs")
    retry: Retry = Retry()
    offline_queue: OfflineQueue = OfflineQueue()
    delivery_timeout: Duration = Field(
        default=timedelta(seconds=5), description="for a session to confirm"
    )
    sessions: Sessions = Sessions.LATEST
    batch: Batch = Batch()
    breaker: BreakerTerms = BreakerTerms()
    delivery: Delivery = Field(default=Delivery.AUTO, description="what `auto` means")
    delivery_by_priority: dict[Priority, Delivery] = Field(default={})
    notification: Notification = Notification.ONCE


class Mailbox(Handling):
    """`[[agents.mailboxes]]`: what is other for an address, or for all like `rig/*`."""

    address: Annotated[str, AfterValidator(pattern_of)]
    webhook: Annotated[str, AfterValidator(_web_address)] | None = None
    webhook_secret_env: str | None = Field(
        default=None,
        pattern=r"\A[A-Za-z_][A-Za-z0-9_]*\z",
        description="variable with the secret it is signed with",
    )
    command: Command | None = Field(default=None, description="run for every letter")

    @model_validator(mode="after")
    def _signed(self) -> "Mailbox":
        if bool(self.webhook) != bool(self.webhook_secret_env):
            raise ValueError(f"{self.address}: webhook and webhook_secret_env belong together.")
        return self

    @property
    def tmux_sessions(self) -> list[str]:
        return tmux_names(self.tmux, self.address)

    def settled(self, wanted: Delivery, priority: Priority) -> Delivery:
        """What the sender wanted; of `auto`, what the recipient wants, else what the priority
        says."""
        if wanted is Delivery.AUTO:
            wanted = self.delivery_by_priority.get(priority, self.delivery)
        return resolved_delivery(wanted, priority)

    @property
    def has_own_delivery(self) -> bool:
        return self.delivery is not Delivery.AUTO or bool(self.delivery_by_priority)


class Wishes(Frozen):
    """What an agent's client says when it registers (seed 002's configuration), over what
    mailroom.toml says for its address; of a table only what it has."""

    retry: Retry | None = None
    offline_queue: OfflineQueue | None = None
    delivery_timeout: Annotated[Length, within(LONGEST_CONFIRMATION)] | None = None

    def over(self, mailbox: Mailbox) -> Mailbox:
        given = {name: getattr(self, name) for name in self.model_fields_set}
        tables = {
            name: getattr(mailbox, name).model_copy(update=table.model_dump(exclude_unset=True))
            for name, table in given.items()
            if isinstance(table, Frozen)
        }
        said = {name: value for name, value in given.items() if value is not None}
        return mailbox.model_copy(update=said | tables)
