"""When a message that was deferred is tried again."""

import hashlib
from datetime import timedelta
from uuid import UUID

JITTER = 0.1
LONGEST_DOUBLING = 30


def retry_pause(id: UUID, attempt: int, first: timedelta, longest: timedelta) -> timedelta:
    """After the first attempt, the second, ...: doubling, and up to a tenth longer, so that what
    was deferred together does not come back together. The same for the same attempt."""
    pause = min(first * (1 << min(attempt - 1, LONGEST_DOUBLING)), longest)
    return pause * (1 + JITTER * _share(id, attempt))


def _share(id: UUID, attempt: int) -> float:
    digest = hashlib.sha256(f"{id}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32
