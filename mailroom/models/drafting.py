"""How an owner wants drafts to be made (`[drafts]` in mailroom.toml)."""

from enum import StrEnum
from typing import Literal

from mailroom.models.base import Frozen


class Examples(StrEnum):
    """Whose letters an AI may see edits of, when it drafts one.

    A mail may talk the AI into quoting all that it sees, so by default it sees nothing that was
    written to anybody else.
    """

    CORRESPONDENT = "correspondent"
    ALL = "all"
    NONE = "none"


class DraftsSection(Frozen):
    """`fallback` is who drafts once the AI has failed at every attempt."""

    fallback: Literal["templates"] | None = None
    examples: Examples = Examples.CORRESPONDENT
