"""Times as people text them: "in 2h", "at 9:00", "at 9pm", and alone "4h"."""

import re
from datetime import UTC, datetime, time, timedelta, tzinfo

LONGEST = timedelta(days=30)

_AMOUNT = r"(?P<amount>\d{1,4})\s*(?P<unit>m|mins?|minutes?|h|hrs?|hours?|d|days?)"
AFTER = rf"(?:in\s+)?{_AMOUNT}"
SEND_WHEN = rf"(?:in\s+{_AMOUNT}|at\s+(?P<hour>\d\d?)(?:[:.](?P<minute>\d\d))?\s*(?P<half>[ap]m)?)"

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def duration_of(found: re.Match[str]) -> timedelta | None:
    """None if it is no time to wait: nothing, or more than 30 days."""
    length = int(found["amount"]) * _UNITS[found["unit"][0].lower()]
    return length if timedelta(0) < length <= LONGEST else None


def time_of_day(found: re.Match[str]) -> time | None:
    """None if no clock shows it."""
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    if half := found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half.lower() == "pm")
    return time(hour, minute) if hour < 24 and minute < 60 else None


def next_at(moment: time, zone: tzinfo, now: datetime) -> datetime:
    """The first time after `now` at which a clock in `zone` shows `moment`."""
    local = now.astimezone(zone)
    first = local.replace(hour=moment.hour, minute=moment.minute, second=0, microsecond=0)
    if first <= local:
        first += timedelta(days=1)
    return first.astimezone(UTC)


def in_words(length: timedelta) -> str:
    """ "2 h", "90 min", "3 days"."""
    minutes = int(length.total_seconds()) // 60
    for size, name in ((1440, "days"), (60, "h")):
        if minutes and minutes % size == 0:
            amount = minutes // size
            return "1 day" if (name, amount) == ("days", 1) else f"{amount} {name}"
    return f"{minutes} min"
