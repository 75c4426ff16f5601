"""Patterns of agents' addresses: `rig/*`, `*/witness`, `mayor/`. A `*` stands for any text, slashes
too."""

import re

from mailroom.models.agent_addresses import address_of
from mailroom.models.agent_mail import MOST_ADDRESS

_FORM = re.compile(r"[a-z0-9_./*-]+", re.ASCII)


def pattern_of(text: str) -> str:
    """In its one form; an address where it has no `*`. ValueError with a sentence otherwise."""
    if "*" not in text:
        return address_of(text)
    pattern = text.strip()
    lower = pattern.lower() if pattern.isascii() else pattern
    if len(lower) > MOST_ADDRESS or not _FORM.fullmatch(lower):
        raise ValueError(
            f"{text[:60]!r} is no pattern: one is an address, or one in which '*' stands for any "
            "text, such as rig/*."
        )
    return re.sub(r"\*+", "*", lower)


def matches(pattern: str, address: str) -> bool:
    """Whether they match. Each piece is looked for once, from the left: no pattern takes long."""
    begin, *pieces = pattern.split("*")
    if not pieces:
        return address == pattern
    *middle, end = pieces
    if len(begin) + len(end) > len(address) or not address.startswith(begin):
        return False
    place, last = len(begin), len(address) - len(end)
    for piece in middle:
        found = address.find(piece, place, last)
        if found < 0:
            return False
        place = found + len(piece)
    return place <= last and address.endswith(end)
