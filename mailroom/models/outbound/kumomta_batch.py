"""What KumoMTA posts: one record, a JSON array of them, or one a line."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from mailroom.models.base import Frozen
from mailroom.models.outbound.kumomta import LogRecord


class NoRecords(Exception):
    """The body is none of the three forms."""


class BadRecord(Frozen):
    """`index` counts from 0, in the order of the body."""

    index: int
    error: str


def read_log(body: bytes) -> Iterator[LogRecord | BadRecord]:
    """Each record, or what is wrong with it. Raises `NoRecords`."""
    for index, value in enumerate(_values(body)):
        try:
            yield LogRecord.model_validate(_object(value))
        except ValueError as error:
            yield BadRecord(index=index, error=_sentence(error))


def _values(body: bytes) -> list[Any]:
    """Lines are left as bytes: one that is cut off is no reason to refuse the others."""
    try:
        value = from_json(body)
    except ValueError:
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) < 2:
            raise NoRecords(
                "The body has to be a log record, a JSON array of them, or one in each line."
            ) from None
        return list(lines)
    return value if isinstance(value, list) else [value]


def _object(value: Any) -> Any:
    return from_json(value) if isinstance(value, bytes) else value


def _sentence(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return "It is no JSON."
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field}: {first['msg']}." if field else f"{first['msg']}."
