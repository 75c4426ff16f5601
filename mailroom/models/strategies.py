"""Experiments with delivery: which letter is handled which way, so that ways can be compared."""

import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum

from pydantic import Field, model_validator

from mailroom.models.agent_mail import Delivery
from mailroom.models.base import Frozen

CONTROL = "control"
"""The arm of the letters that no strategy gets: they go as they always do."""
WHOLE = 100.0


class Notification(StrEnum):
    """Of a letter that waits in the inbox."""

    ONCE = "once"
    NONE = "none"


class Strategy(Frozen):
    """`[[agents.strategies]]`: an arm, and what is other in it."""

    name: str = Field(pattern=r"\A[a-z0-9][a-z0-9_-]{0,39}\z")
    share: float = Field(gt=0, le=WHOLE, description="percent of the letters")
    delivery: Delivery | None = None
    notification: Notification | None = None

    @model_validator(mode="after")
    def _another_way(self) -> "Strategy":
        if self.name == CONTROL:
            raise ValueError(f"{CONTROL} is the arm of the letters that no strategy gets.")
        if self.delivery is None and self.notification is None:
            raise ValueError(
                f"The strategy {self.name} changes nothing; give it a delivery or a notification."
            )
        return self


def apart(strategies: Iterable[Strategy]) -> None:
    """ValueError with a sentence where a letter can't be given to one arm."""
    names: set[str] = set()
    shares = 0.0
    for each in strategies:
        if each.name in names:
            raise ValueError(f"Two strategies have the name {each.name}.")
        names.add(each.name)
        shares += each.share
    if shares > WHOLE + 1e-6:
        raise ValueError(f"The shares of the strategies are {shares:g} %; 100 % is all there is.")


def strategy_of(letter_id: str, strategies: Sequence[Strategy]) -> str | None:
    """The arm of a letter, always the same; None is the control arm."""
    place, end = _place(letter_id), 0.0
    for each in strategies:
        end += each.share
        if place < end:
            return each.name
    return None


def _place(letter_id: str) -> float:
    """From 0 up to 100, evenly spread. A word of our own before the ID keeps it apart from other
    hashes of it."""
    digest = hashlib.sha256(f"strategy\0{letter_id}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:6]) / (1 << 48) * WHOLE
