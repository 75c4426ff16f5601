"""Lengths of time as people write them into mailroom.toml: 300, "5m", "1h30m" or "PT5M"."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

FORM = 'seconds, such as 90, or text such as "500ms", "30s", "5m", "1h30m", "7d" or "PT5M"'
LONGEST = timedelta(days=3650)

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
_SIZES = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_PART = r"\d{1,9}(?:\.\d{1,6})?"
_SHORT = re.compile(
    rf"(?:(?P<d>{_PART})d)?(?:(?P<h>{_PART})h)?(?:(?P<m>{_PART})m)?"
    rf"(?:(?P<s>{_PART})s)?(?:(?P<ms>{_PART})ms)?",
    re.ASCII | re.IGNORECASE,
)


def _read(given: object) -> object:
    """The short form; ISO 8601 and seconds are pydantic's own."""
    if isinstance(given, bool) or given == "":
        raise ValueError(f"it has to be {FORM}")
    found = _SHORT.fullmatch(given.replace(" ", "")) if isinstance(given, str) else None
    if not found:
        return given
    parts = {_UNITS[unit]: float(number) for unit, number in found.groupdict().items() if number}
    try:
        return timedelta(**parts)
    except OverflowError as error:
        raise ValueError(f"it has to be {LONGEST.days} days at most") from error


def within(longest: timedelta) -> AfterValidator:
    """Longer than nothing and no longer than this."""

    def bounded(given: timedelta) -> timedelta:
        if not timedelta(0) < given <= longest:
            raise ValueError(f"it has to be more than 0 and {shown(longest)} at most")
        return given

    return AfterValidator(bounded)


def _none_if_zero(given: object) -> object:
    return None if _read(given) in (0, timedelta(0)) else given


Length = Annotated[timedelta, BeforeValidator(_read)]
Duration = Annotated[Length, within(LONGEST)]
Never = Annotated[Duration | None, BeforeValidator(_none_if_zero)]
"""None, which TOML has no word for, is written as 0."""


def shown(length: timedelta) -> str:
    """As it may be written: 5m, 1h30m."""
    milliseconds = length // timedelta(milliseconds=1)
    said = []
    for unit, size in _SIZES.items():
        number, milliseconds = divmod(milliseconds, size)
        said.append(f"{number}{unit}" if number else "")
    return "".join(said) or "0s"
