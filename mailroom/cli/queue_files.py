"""Items of a queue's file, one by one, so that memory doesn't grow with the file.

By events, not by ijson's items: those keep the path to each level of nesting, which takes memory
with its square.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import ijson

DEPTH = 64
# What a value without a length counts for.
SCALAR_BYTES = 8
BEGINS, ENDS = frozenset({"start_map", "start_array"}), frozenset({"end_map", "end_array"})


@dataclass(frozen=True)
class Item:
    """An item, or the problem with it or with its file. `at` is how far the file was read."""

    source: str
    value: Any = None
    at: int = 0
    problem: str | None = None


def items_in(file: Path, limit: int) -> Iterator[Item]:
    """One above about `limit` bytes is a problem; what stands after broken JSON can't be read."""
    if not file.exists():
        return
    if not file.is_file():
        yield Item(str(file), problem="It is no file.")
        return
    number = 0
    try:
        with file.open("rb") as source:
            for number, (value, problem) in enumerate(_items(source, limit), 1):
                yield Item(f"{file}, entry {number}", value, source.tell(), problem)
    except (ijson.JSONError, ValueError, ArithmeticError, SystemError) as error:
        # The last comes of a number with thousands of digits, at which ijson returns with the
        # error still set.
        yield Item(str(file), problem=_broken(error, number))
    except OSError as error:
        yield Item(str(file), problem=f"{error.strerror}.")


class _NoArray(ValueError):
    pass


def _broken(error: Exception, number: int) -> str:
    if isinstance(error, _NoArray):
        return "It is no JSON array of queued letters."
    after = f" after entry {number}" if number else ""
    return f"It is no valid JSON{after}; nothing more of it was read."


def _items(source: BinaryIO, limit: int) -> Iterator[tuple[Any, str | None]]:
    events = ijson.basic_parse(source)
    event, _ = next(events, ("", None))
    if event == "null":  # as Go writes an empty queue that was never used
        return
    if event != "start_array":
        raise _NoArray
    for event, value in events:
        if event == "end_array":
            break
        yield _item(event, value, events, limit)
    for _ in events:  # which raises where something follows the array
        raise _NoArray


def _item(
    event: str, value: Any, events: Iterator[tuple[str, Any]], limit: int
) -> tuple[Any, str | None]:
    """Read to its end whatever it is, kept as long as it is within bounds."""
    builder, depth, size = ijson.ObjectBuilder(), 0, 0
    problem = None
    while True:
        depth += (event in BEGINS) - (event in ENDS)
        size += len(value) if isinstance(value, str) else SCALAR_BYTES
        if problem is None:
            problem = _excess(depth, size, limit)
            builder.event(event, value)
            if problem:
                builder = ijson.ObjectBuilder()  # what was kept of it goes
        if depth == 0:
            return (None, problem) if problem else (builder.value, None)
        event, value = next(events)


def _excess(depth: int, size: int, limit: int) -> str | None:
    if depth > DEPTH:
        return f"It is nested deeper than {DEPTH} levels."
    if size > limit:
        return f"It is larger than {limit:,} bytes (MAILROOM_MAX_MESSAGE_BYTES)."
    return None
