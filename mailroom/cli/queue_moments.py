"""Moments as people type them: `in 2h`, `2h ago`, or RFC 3339."""

from datetime import UTC, datetime

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from mailroom.cli.errors import ExitCode, Failure
from mailroom.models.durations import Duration


def moments_of(typed: dict[str, str | None]) -> dict[str, str]:
    return {name: moment_of(text).isoformat() for name, text in typed.items() if text is not None}


def moment_of(text: str) -> datetime:
    words = text.strip()
    now = datetime.now(UTC)
    try:
        if words.lower().startswith("in "):
            return now + TypeAdapter(Duration).validate_python(words[3:].strip())
        if words.lower().endswith(" ago"):
            return now - TypeAdapter(Duration).validate_python(words[:-4].strip())
        found: datetime = TypeAdapter(AwareDatetime).validate_python(words)
    except ValidationError as error:
        raise Failure(
            f"{text[:60]!r} is no moment: say `in 2h`, `2h ago`, or 2026-03-02T18:00:00+01:00.",
            ExitCode.USAGE,
        ) from error
    return found
