"""Old records as a file again: a JSON array, JSON lines or CSV, by the name's end."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from mailroom.models.outbound.legacy import QueueItem

Records = Sequence[Mapping[str, Any]]


def write_records(records: Records, out: Path | None) -> None:
    """To standard output without a file; a file is there whole, or not at all."""
    if out is None:
        _array(records, sys.stdout)
        return
    write = {".csv": _csv, ".jsonl": _lines, ".ndjson": _lines}.get(out.suffix.lower(), _array)
    with _whole(out) as target:
        write(records, target)


@contextmanager
def _whole(out: Path) -> Iterator[TextIO]:
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as target:
            yield target
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _array(records: Records, target: TextIO) -> None:
    lines = ",\n".join(_json(record) for record in records)
    target.write(f"[\n{lines}\n]\n" if lines else "[]\n")


def _lines(records: Records, target: TextIO) -> None:
    target.writelines(f"{_json(record)}\n" for record in records)


def _csv(records: Records, target: TextIO) -> None:
    rows = csv.writer(target, lineterminator="\n")
    rows.writerow(QueueItem.model_fields)
    rows.writerows(
        [_cell(record.get(name, "")) for name in QueueItem.model_fields] for record in records
    )


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
