"""Suppressions as CSV (RFC 4180): what `import` reads, and `export` writes."""

import csv
import io
from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from mailroom.models.base import Frozen
from mailroom.models.outbound.suppression import NewSuppression, Suppression

COLUMNS = ("address", "reason", "tenant_id", "source", "created_at")
GIVEN = COLUMNS[:4]
MOST_LINES = 100_000
# A spreadsheet runs a cell that begins so; an apostrophe in front keeps it text (OWASP, "CSV
# Injection"). One that is there already gets another, so that reading takes away what writing gave.
_RUN = ("=", "+", "-", "@", "\t", "\r", "'")


class BadLine(Frozen):
    """Lines count from 1."""

    line: int
    error: str


class CsvRefused(Exception):
    """The file as a whole is none; the message is a sentence."""


def as_text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CsvRefused("The file is not in UTF-8; save it so.") from error


def read(
    text: str, tenant_id: str | None = None, source: str | None = None
) -> Iterator[NewSuppression | BadLine]:
    """Line by line: `address,reason`, or what a first line with `address` in it names. What a line
    leaves out is `tenant_id` and `source`."""
    if text.count("\n") > MOST_LINES:
        raise CsvRefused(f"A file may have {MOST_LINES:,} lines at most; split this one.")
    columns: list[str] = list(COLUMNS[:2])
    common = {"tenant_id": tenant_id, "source": source}
    for number, line in enumerate(io.StringIO(text), start=1):
        cells = _cells(line)
        if number == 1 and names_columns(line):
            columns = [cell.lower() for cell in cells or ()]
        elif cells is None:
            yield BadLine(line=number, error="this line is no CSV; look at its quotes")
        elif any(cells):
            yield _suppression(number, dict(zip(columns, cells, strict=False)), common)


def names_columns(line: str) -> bool:
    """Whether a first line names what is in the others."""
    return "address" in (cell.lower() for cell in _cells(line) or ())


def written(lines: Iterable[Suppression], *, header: bool = False) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    if header:
        writer.writerow(COLUMNS)
    for line in lines:
        words = (line.address, line.reason, line.tenant_id or "", line.source or "")
        writer.writerow([*map(_guarded, words), line.created_at.isoformat()])
    return out.getvalue()


def _cells(line: str) -> list[str] | None:
    """Each line by itself: no address has a line's end in it, and an open quote swallows nothing
    that follows."""
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error:
        return None
    return [_unguarded(cell.strip()) for cell in rows[0]] if rows else []


def _suppression(
    number: int, cells: dict[str, str], common: dict[str, str | None]
) -> NewSuppression | BadLine:
    given = {name: cells[name] for name in GIVEN if cells.get(name)}
    try:
        return NewSuppression.model_validate({**common, "address": "", **given})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        return BadLine(line=number, error=f"{first['loc'][0]}: {said}")


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_RUN) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_RUN) else cell
