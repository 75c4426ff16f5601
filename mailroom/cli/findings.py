"""What an examination found: one thing each, and how to mend it."""

from enum import StrEnum

from mailroom.models.base import Frozen


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(Frozen):
    """`mend` is None where nothing is to be done."""

    check: str
    level: Level
    finding: str
    mend: str | None = None


def ok(check: str, finding: str) -> Finding:
    return Finding(check=check, level=Level.OK, finding=finding)


def warning(check: str, finding: str, mend: str) -> Finding:
    return Finding(check=check, level=Level.WARNING, finding=finding, mend=mend)


def failed(check: str, finding: str, mend: str) -> Finding:
    return Finding(check=check, level=Level.FAILED, finding=finding, mend=mend)
