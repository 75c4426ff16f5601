"""Pauses before the first, second, ... try to reach a bridge that is away."""

import random
from collections.abc import Iterator

FIRST, LONGEST = 0.2, 15.0
"""Seconds."""


def pauses() -> Iterator[float]:
    """Doubling, and each up to half shorter: thousands that lost one bridge don't all come back
    to it at once."""
    pause = FIRST
    while True:
        yield pause * random.uniform(0.5, 1)  # noqa: S311  no secret
        pause = min(pause * 2, LONGEST)
