"""Messages of Beads (`bd`), as Gas Town keeps its mail: an issue of which the title is the subject,
the description the body, the assignee the recipient, and labels say the rest.

The JSON is that of `bd list --json` (beads, internal/types/types.go: Issue), and what the labels
mean that of gastown, internal/mail/types.go (BeadsMessage.ParseLabels) and delivery.go.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, StrictStr, ValidationError

from mailroom.models.agent_addresses import address_of, is_announcement, is_group
from mailroom.models.agent_mail import Priority
from mailroom.models.base import Frozen
from mailroom.models.durations import Duration
from mailroom.models.given_letter import (
    GivenLetter,
    NoLetter,
    letter_id,
    recipients,
    sane,
    thread_id,
)
from mailroom.models.new_letter import NewLetter

DEAD = "dead-letter"
"""The label of seed 000."""
NO_SENDER = "beads/"
"""Who sends what says nothing of its sender."""
SOURCE = "beads:"

# What it is called is an argument of a command: none begins with a dash.
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}", re.ASCII)
DONE = frozenset({DEAD, "read", "delivery:acked"})
"""Labels of messages that have been dealt with, though they are open."""
OPEN = "open"
PRIORITIES = (Priority.URGENT, Priority.HIGH, Priority.NORMAL, Priority.LOW, Priority.LOW)
"""0 to 4 (mail.PriorityFromInt)."""


class BeadsSection(Frozen):
    """`[agents.beads]`."""

    enabled: bool = False
    every: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=30)
    folder: str | None = Field(default=None, description="where bd is run; else the worker's")


class BeadsPolled(Frozen):
    """`known`: taken before; `refused`: no letters; `deferred`: the next poll tries again."""

    new: int = 0
    known: int = 0
    refused: int = 0
    deferred: int = 0


def _or_normal(given: object) -> object:
    known = isinstance(given, int) and 0 <= given < len(PRIORITIES)
    return PRIORITIES[given] if known else Priority.NORMAL  # type: ignore[call-overload]


class BeadsMessage(BaseModel):
    id: Annotated[str, Field(pattern=rf"\A{ID.pattern}\z")]
    title: StrictStr
    description: StrictStr = ""
    assignee: StrictStr = ""
    status: StrictStr = OPEN
    priority: Annotated[Priority, BeforeValidator(_or_normal)] = Priority.NORMAL
    created_at: AwareDatetime | None = None
    labels: tuple[StrictStr, ...] = ()
    sender: StrictStr = ""
    pinned: bool = False

    @property
    def source(self) -> str:
        return f"{SOURCE}{self.id}"

    @property
    def is_open(self) -> bool:
        return self.status == OPEN and not DONE.intersection(self.labels)

    def said(self, name: str) -> Iterator[str]:
        """What labels such as `from:mayor/` say of it."""
        for label in self.labels:
            if label.startswith(f"{name}:"):
                yield label.removeprefix(f"{name}:")

    def letter(self, now: datetime) -> GivenLetter:
        """Raises `NoLetter`."""
        to, *cc = recipients([self.assignee or self._nobody(), *self.said("cc")])
        if is_group(to) or is_announcement(to):
            raise NoLetter(f"It is for {to}, which is nobody's address.")
        thread = next(self.said("thread"), "")
        try:
            new = NewLetter(
                to=to,
                subject=self.title,
                body=self.description,
                priority=self.priority,
                pinned=self.pinned,
            )
            return GivenLetter(
                id=letter_id(self.id, to, self.title, self.description),
                sender=address_of(next(self.said("from"), self.sender) or NO_SENDER),
                new=new,
                sent_at=sane(self.created_at, now),
                cc=tuple(cc),
                thread=thread_id(thread) if thread else None,
            )
        except ValidationError as error:
            raise NoLetter(_sentence(error)) from None
        except ValueError as error:
            raise NoLetter(f"from: {str(error).rstrip('.')}.") from None

    def _nobody(self) -> str:
        raise NoLetter("It has no assignee.")


def messages(items: Iterable[object]) -> Iterator[BeadsMessage | NoLetter]:
    """Each that is open, once; what can't be read as the reason."""
    seen: set[str] = set()
    for item in items:
        given = item.items() if isinstance(item, dict) else ()
        try:
            message = BeadsMessage.model_validate({k: v for k, v in given if v is not None})
        except ValidationError as error:
            yield NoLetter(_sentence(error))
            continue
        if message.is_open and message.id not in seen:
            seen.add(message.id)
            yield message


def beads_id(source: str | None) -> str | None:
    """Of a letter that came from Beads."""
    if source is None or not source.startswith(SOURCE):
        return None
    found = source.removeprefix(SOURCE)
    return found if ID.fullmatch(found) else None


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"])) or "the message"
    return f"{field}: {first['msg'].removeprefix('Value error, ').rstrip('.')}."
