"""When a server wants to be asked again."""

import re
from datetime import timedelta

import httpx

LONGEST_PAUSE = timedelta(minutes=10)


def retry_after(response: httpx.Response) -> timedelta | None:
    """RFC 9110 §10.2.3, in seconds; dates are left to our own pauses."""
    seconds = response.headers.get("retry-after", "")
    if not re.fullmatch("[0-9]{1,6}", seconds):
        return None
    return min(timedelta(seconds=int(seconds)), LONGEST_PAUSE)
