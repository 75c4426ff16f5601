"""Records of the old queue, checked: all that is wrong with one, field by field."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email
from pydantic import JsonValue, ValidationError

from mailroom.models.base import Frozen
from mailroom.models.outbound.legacy import QueueItem

ID_LENGTH, NAME_LENGTH = 200, 100
"""Of names, as in the table of seed 004, section 6."""
MOST_MINUTES = 10 * 366 * 24 * 60
FIRST_YEAR, LAST_YEAR = 1970, 2999
SHOWN = 200
_COMMON = ".com"


class FieldProblem(Frozen):
    """What is wrong with one field; an empty name means the record."""

    field: str
    message: str


class BadRecord(ValueError):
    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__("; ".join(f"{one.field}: {one.message}" for one in problems))
        self.problems = problems


def read_record(value: JsonValue) -> QueueItem:
    """Raises `BadRecord` with all that is wrong."""
    if not isinstance(value, dict):
        raise BadRecord([FieldProblem(field="", message="it is no JSON object")])
    try:
        item = QueueItem.model_validate(value)
    except ValidationError as error:
        # Of a field that may have several types, the last says what it should be.
        found = {one.field: one for one in map(_of_pydantic, error.errors())}
        raise BadRecord(list(found.values())) from error
    return checked(item)


def checked(item: QueueItem) -> QueueItem:
    """The record, if what its fields say can be used. Raises `BadRecord`."""
    if problems := list(_problems(item)):
        raise BadRecord(problems)
    return item


def shown(text: str) -> str:
    """What strangers wrote, so that it can be shown."""
    return text[:SHOWN].encode(errors="replace").decode()


# A check and an import ask for each address three times.
@lru_cache(maxsize=2_048)
def mailbox(address: str) -> tuple[str, str]:
    """The address with its domain in ASCII, and that domain. Raises `EmailNotValidError`."""
    # Domains such as `.local` are refused by themselves, and used in many houses.
    found = validate_email(address + _COMMON, check_deliverability=False, allow_smtputf8=True)
    domain = found.ascii_domain.removesuffix(_COMMON).lower()
    return f"{found.local_part}@{domain}", domain


def _problems(item: QueueItem) -> Iterator[FieldProblem]:
    for name, problem in (
        ("id", _length(item.id, ID_LENGTH, least=1)),
        ("customerId", _length(item.customerId, NAME_LENGTH)),
        ("serviceType", _length(item.serviceType, NAME_LENGTH)),
        ("customerEmail", _address(item.customerEmail)),
        ("createdAt", _time(item.createdAt)),
        ("updatedAt", _time(item.updatedAt)),
        ("estimatedWaitTime", _wait(item.estimatedWaitTime)),
        ("actualWaitTime", _wait(item.actualWaitTime or 0, least=0)),
    ):
        if problem:
            yield FieldProblem(field=name, message=problem)
    if _can_be_kept(item.model_dump()):
        return
    for name in QueueItem.model_fields:
        if not _can_be_kept(getattr(item, name)):
            message = "it has a NUL, half of a surrogate pair or a number without end"
            yield FieldProblem(field=name, message=message)


def _length(text: str, most: int, least: int = 0) -> str | None:
    if least <= len(text) <= most:
        return None
    return f"it has to have {least} to {most} characters"


def _address(address: str) -> str | None:
    try:
        mailbox(address)
    except EmailNotValidError:
        # Its own words repeat the address, and the report names the record.
        return "it is no e-mail address that mail can be sent to"
    return None


def _time(text: str) -> str | None:
    try:
        moment(text)
    except (ValueError, OverflowError):
        return "it is no ISO 8601 time with its zone, such as 2025-11-01T10:00:00Z"
    return None


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise ValueError("no time with a zone")
    return found.astimezone(UTC)


def _wait(minutes: float, least: int = -MOST_MINUTES) -> str | None:
    if least <= minutes <= MOST_MINUTES:
        return None
    return f"it has to be from {least} to {MOST_MINUTES} minutes"


def _can_be_kept(value: object) -> bool:
    """PostgreSQL's jsonb takes neither NUL nor lone surrogates, and JSON no infinity."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return False
    return "\\u0000" not in text.replace("\\\\", "")


def _of_pydantic(error: object) -> FieldProblem:
    assert isinstance(error, dict)
    said = str(error["msg"])
    if error["type"] == "missing":
        said = "it is missing"
    elif error["type"] == "extra_forbidden":
        said = "the old queue has no such field"
    field = shown(str(error["loc"][0])) if error["loc"] else ""
    return FieldProblem(field=field, message=said[:1].lower() + said[1:])
