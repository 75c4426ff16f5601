"""Messages of files as requests: some hundred at a time, of a few megabytes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailroom.cli.queue_given import Given

MOST_ITEMS, MOST_BYTES = 500, 4_000_000


@dataclass
class Batch:
    """`first` is the place of its first message among all, from which its ID follows."""

    first: int
    given: list[Given] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b'{"items":[' + b",".join(self.parts) + b"]}"

    @property
    def span(self) -> int:
        return sum(one.span for one in self.given)


def batches(
    given: Iterator[Given], items: int = MOST_ITEMS, size: int = MOST_BYTES
) -> Iterator[Batch | Given]:
    """In the files' order; what can't be sent comes by itself, and keeps its place."""
    batch, filled = Batch(0), 0
    for place, one in enumerate(given):
        part = json.dumps(one.item).encode() if one.item is not None else b""
        full = len(batch.given) == items or filled + len(part) > size
        if batch.given and (full or one.item is None):
            yield batch
            batch, filled = Batch(place), 0
        if one.item is None:
            yield one
            batch = Batch(place + 1)
            continue
        batch.given.append(one)
        batch.parts.append(part)
        filled += len(part)
    if batch.given:
        yield batch
