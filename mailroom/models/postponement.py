"""Until when a word puts something off."""

from datetime import datetime, timedelta, tzinfo

from mailroom.models.email_reply import Heard
from mailroom.models.when import next_at
from mailroom.models.words import Approve, Snooze


def postponed_until(word: Heard, zone: tzinfo, send_after: timedelta | None) -> datetime:
    """`zone` is where the owner's clock hangs; `send_after` counts if the word names no time."""
    match word.command:
        case Snooze(length=length):
            return word.at + length
        case Approve(at=at) if at is not None:
            return next_at(at, zone, word.at)
        case Approve(after=after) if after is not None:
            return word.at + after
        case _:
            return word.at + (send_after or timedelta(0))
