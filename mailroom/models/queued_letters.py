"""Letters of an older orchestrator's queues (`inbound.json` and its neighbours): arrays of objects
`Message`, `Attempts`, `LastAttempt`, `QueuedAt`, `Error`, as Go's encoding/json writes them."""

import hashlib
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    JsonValue,
    StrictInt,
    StrictStr,
    ValidationError,
)

from mailroom.models.given_letter import FIRST_YEAR, NoLetter
from mailroom.models.spool import LATER, NORMAL, URGENT, VIP, Entry, Queue, SpooledLetter

FILES = {queue: f"{queue}.json" for queue in Queue}
PRIORITIES = {"urgent": URGENT, "high": VIP, "normal": NORMAL, "low": LATER}
NAMES = {
    "message": "Message",
    "attempts": "Attempts",
    "lastattempt": "LastAttempt",
    "queuedat": "QueuedAt",
    "error": "Error",
}
LAST_YEAR = 9998


def _moment(value: object) -> object:
    """Go writes a time that was never set as the year 1."""
    if not isinstance(value, str):
        raise ValueError("it is no time in the form 2026-03-01T10:00:00Z")  # noqa: TRY004
    return None if value.startswith("0001-01-01T00:00:00") else value


Moment = Annotated[AwareDatetime | None, BeforeValidator(_moment)]


class _Queued(BaseModel):
    message: dict[str, JsonValue]
    attempts: Annotated[StrictInt, Field(ge=0)] = 0
    lastattempt: Moment = None
    queuedat: Moment = None
    error: StrictStr = ""


def letter_of(item: object, queue: Queue, now: datetime) -> Entry:
    """An item of a queue's file; `now` where it doesn't say since when it waits. The ID follows
    from what it says, so that twice is once. Raises `NoLetter`."""
    queued = _read(item)
    return Entry(
        id=_id_of(queue, queued.message),
        queue=_goes_on_from(queue),
        priority=_priority(queued.message),
        queued_at=_within_reason(queued.queuedat) or now,
        attempts=queued.attempts,
        last_attempt=queued.lastattempt,
        error=queued.error or None,
        message=SpooledLetter(message=queued.message),
    )


def _read(item: object) -> _Queued:
    if not isinstance(item, dict):
        raise NoLetter("It is no object with a Message.")
    # As encoding/json has it: names in any case, of two the last; null leaves a field unset.
    given = {name.casefold(): value for name, value in item.items() if value is not None}
    if "message" not in given:
        raise NoLetter("It has no Message.")
    try:
        return _Queued.model_validate({**given, "message": _plain(given["message"])})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = NAMES[str(first["loc"][0])]
        said = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise NoLetter(f"{field}: {said}.") from None


def _plain(value: Any) -> Any:
    """Numbers as JSON's readers have them: decimals become floats."""
    match value:
        case Decimal():
            number = float(value)
            if not math.isfinite(number):
                raise NoLetter("Message: a number in it is too large.")
            return number
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case _:
            return value


def _id_of(queue: Queue, message: dict[str, JsonValue]) -> str:
    said = json.dumps([queue, message], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return hashlib.sha256(said.encode()).hexdigest()[:32]
    except UnicodeEncodeError:
        raise NoLetter("Message: a text in it has half a character.") from None


def _goes_on_from(queue: Queue) -> Queue:
    """A dead letter of there was on its way out, and goes back to that when it is replayed."""
    return Queue.OUTBOUND if queue is Queue.DEAD_LETTER else queue


def _priority(message: dict[str, JsonValue]) -> int:
    """What has no priority that we know is normal; the word stays in the letter."""
    found = next((value for name, value in message.items() if name.casefold() == "priority"), None)
    return PRIORITIES.get(found.casefold(), NORMAL) if isinstance(found, str) else NORMAL


def _within_reason(moment: datetime | None) -> datetime | None:
    """In UTC, and such that a file's name can have it."""
    if moment is None:
        return None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise NoLetter(f"QueuedAt: the year {moment.year} is no year of a letter.")
    return moment.astimezone(UTC)
