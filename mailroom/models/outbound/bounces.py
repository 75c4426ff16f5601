"""What a refusal means: an ordered table of rules, of which the first that fits decides."""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated

from pydantic import Field, model_validator

from mailroom.models.base import Frozen
from mailroom.models.outbound.bounce_table import CATEGORIES, TABLE
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.replies import enhanced_in, is_transient, one_reply
from mailroom.models.outbound.words import BounceType
from mailroom.models.patterns import matches

LONGEST_REASON = 500
# More would make a pattern slow, and is no part of an answer that somebody saw.
LONGEST_PATTERN = 200

_ADDRESS = re.compile(r"[^\s<>@]{1,128}@[\w.-]{1,255}")

Code = Annotated[str, Field(pattern=r"\A([0-9*]{1,3}(\.[0-9*]{1,3}){0,2})?\z", max_length=11)]
Piece = Annotated[str, Field(min_length=3, max_length=LONGEST_PATTERN)]


class BounceRule(Frozen):
    """`[[outbound.bounces]]`. Of what is given, one of each list has to fit; `*` stands for any
    text. A reply that says "try again" is soft, whatever its rule says, unless that is a block."""

    enhanced: tuple[Code, ...] = Field(default=(), description="such as 5.1.1 or *.2.2")
    code: tuple[Code, ...] = Field(default=(), description="of the reply, such as 552 or 4*")
    text: tuple[Piece, ...] = Field(default=(), description="what occurs in the reply, any case")
    type: BounceType
    category: str = Field(pattern=r"\A[a-z0-9]+(-[a-z0-9]+)*\z", max_length=40)
    suppresses: bool = Field(default=False, description="the recipient gets no more mail")

    @model_validator(mode="after")
    def _asks_something(self) -> "BounceRule":
        if not (self.enhanced or self.code or self.text):
            raise ValueError(
                f"The rule {self.category!r} has no condition; give it enhanced, code or text."
            )
        return self

    def fits(self, code: str, enhanced: str, text: str) -> bool:
        return (
            (not self.enhanced or any(matches(one, enhanced) for one in self.enhanced))
            and (not self.code or any(matches(one, code) for one in self.code))
            and (not self.text or any(_occurs(one, text) for one in self.words))
        )

    @cached_property
    def words(self) -> tuple[str, ...]:
        """What is looked for in replies in lower case."""
        return tuple(one.lower() for one in self.text)


class Classification(Frozen):
    """`why` is a sentence of ours, without anything that a server wrote; `reason` has both."""

    type: BounceType
    category: str
    suppresses: bool = False
    why: str
    reason: str


RULES: tuple[BounceRule, ...] = tuple(map(BounceRule.model_validate, TABLE))
"""What public servers answer; those of mailroom.toml are tried before."""


def classify(
    response: SmtpResponse | None, text: str, more: Iterable[BounceRule] = ()
) -> Classification:
    """Of a server's reply, or, without one, of the sentence that says what went wrong. `more`:
    rules of mailroom.toml."""
    said = one_reply(response.message if response else text)
    enhanced = (response.enhanced_code if response else None) or enhanced_in(said)
    code = response.code if response else None
    transient = is_transient(code or _code_of(enhanced), enhanced)
    rule = _first((*more, *RULES), code, enhanced, said)
    if rule is None:
        return _unmatched(said, code, enhanced, transient=transient)
    # RFC 3463 §2: "persistent transient" is no word about whether the mailbox exists.
    softened = transient and rule.type is BounceType.HARD and bool(code or enhanced)
    kind = BounceType.SOFT if softened else rule.type
    suppresses = rule.suppresses and not softened
    return _classified(kind, rule.category, _quoted(said, code, enhanced), suppresses=suppresses)


def complained(text: str) -> Classification:
    """Of a recipient who called the message spam."""
    return _classified(BounceType.COMPLAINT, "complaint", text, suppresses=True)


def _first(
    rules: Iterable[BounceRule], code: int | None, enhanced: str | None, said: str
) -> BounceRule | None:
    # What an address is made of says nothing: antispam@example.com is a mailbox.
    lower = _ADDRESS.sub(" ", said).lower()
    number = str(code) if code is not None else ""
    return next((rule for rule in rules if rule.fits(number, enhanced or "", lower)), None)


def _unmatched(
    said: str, code: int | None, enhanced: str | None, *, transient: bool
) -> Classification:
    """A reply that no rule knows: that it is for now, or for good, is all that is known."""
    known = code is not None or enhanced is not None
    kind = BounceType.SOFT if known and transient else BounceType.UNKNOWN
    category = "temporary" if known and transient else "other"
    return _classified(kind, category, _quoted(said, code, enhanced), suppresses=False)


def _classified(kind: BounceType, category: str, said: str, *, suppresses: bool) -> Classification:
    why = CATEGORIES.get(category, f"Known as {category.replace('-', ' ')}.")
    reason = f"{why[:-1]}: {said}" if said else why
    return Classification(
        type=kind,
        category=category,
        suppresses=suppresses,
        why=why,
        reason=reason[:LONGEST_REASON],
    )


def _quoted(said: str, code: int | None, enhanced: str | None) -> str:
    """What the server said, with its codes once."""
    codes = [str(code)] if code is not None else []
    if enhanced and enhanced not in said[:100]:
        codes.append(enhanced)
    begins = bool(codes) and re.match(rf"{codes[0]}\b", said) is not None
    return " ".join([*(codes[1:] if begins else codes), said]).strip()


def _occurs(pattern: str, text: str) -> bool:
    return matches(f"*{pattern}*", text) if "*" in pattern else pattern in text


def _code_of(enhanced: str | None) -> int:
    """For what has no reply code: the class is all there is, and without one it is for now."""
    return 550 if enhanced and enhanced.startswith("5") else 450
