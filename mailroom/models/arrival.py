"""A mail that comes in, whatever brought it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Arrival:
    """A mail and its envelope. `sender` None: not known (imported); "": the null path. `why_not`
    is why it is only shown, where its source knows that it can't or needn't be answered."""

    raw: bytes
    sender: str | None
    recipients: Sequence[str]
    why_not: str | None = None


@dataclass(frozen=True)
class Accepted:
    workflow_id: str
    message_id: str
    new: bool
