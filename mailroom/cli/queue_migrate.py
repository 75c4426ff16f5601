"""`mailroom queue migrate`: old records are checked, backed up, imported in batches, given back."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import typer
from rich.progress import Progress
from rich.text import Text

from mailroom.adapters.settings import load_settings
from mailroom.cli.bars import bar
from mailroom.cli.client import Away, Bridge, NotRunning, bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import Output, answer, clean, messages, print_json, say
from mailroom.cli.queue_backup import backed_up
from mailroom.cli.queue_records import Found, digest_of, records_in
from mailroom.models.outbound.legacy_records import uuid_of

PATH = "/queue/legacy/migrations"
BATCH = 500
PROBLEMS_SHOWN = 100
WORDS = ("imported", "unchanged", "replaced", "kept", "refused")
# A bridge that is busy or restarts is asked again: a batch that it has already changes nothing.
WAITS = (1.0, 4.0, 10.0)


@dataclass(frozen=True)
class Order:
    """What is to be migrated, and how."""

    file: Path
    sender: str | None
    dry_run: bool
    skip_invalid: bool


@dataclass
class Report:
    """What an import does, or did."""

    records: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORDS, 0))
    problems: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    replaced: list[dict[str, Any]] = field(default_factory=list)

    def add(self, batch: dict[str, Any]) -> None:
        for word in WORDS:
            self.counts[word] += batch["counts"][word]
        self.kept += batch["kept"]
        self.replaced += batch["before"]


def migrate_file(order: Order, output: Output) -> None:
    report, done, backup = asyncio.run(_migrate(order))
    shown = {
        "migration": done and done["id"],
        "records": report.records,
        "counts": done["counts"] if done else report.counts,
        "problems": report.problems,
        "kept": report.kept,
        "backup": backup and str(backup),
    }
    if output is Output.JSON:
        print_json(shown)
    else:
        _tell(order, shown)
    if report.problems and not order.skip_invalid:
        raise typer.Exit(ExitCode.FAILED)


async def _migrate(order: Order) -> tuple[Report, dict[str, Any] | None, Path | None]:
    settings = load_settings()
    digest = digest_of(order.file)
    async with bridge(settings) as to:
        with bar("records") as progress:
            report = await _checked(to, order.file, progress)
            if order.dry_run or (report.problems and not order.skip_invalid):
                return report, None, None
            copy = backed_up(settings, order.file, digest, report.replaced)
            begin = {"sender": order.sender, "source": order.file.name[:300], "digest": digest}
            batches = _to_send(copy, report.records, skip_invalid=order.skip_invalid)
            task = progress.add_task("Importing", total=report.records, count=0)
            async for migration in _imported(to, begin, batches):
                progress.update(task, completed=migration["done"], count=migration["done"])
            done = await to.get(f"{PATH}/{migration['id']}")
    return report, done, copy.parent


async def _checked(to: Bridge, file: Path, progress: Progress) -> Report:
    """What an import would do; the store is only looked at."""
    report, seen = Report(), set[bytes]()
    task = progress.add_task("Checking", total=None, count=0)
    for offset, batch in _batches(records_in(file)):
        sent = {"records": [one.value for one in batch], "offset": offset}
        checked = await _asked(to, f"{PATH}/check", sent)
        report.add(checked)
        report.problems += _problems(batch, offset, checked["problems"])
        again = [one for one in _again(batch, offset, seen) if one not in report.problems]
        report.problems += again
        report.records += len(batch)
        progress.update(task, count=report.records)
    if not report.records:
        raise Failure(f"{file} has no records.")
    report.counts["refused"] = len({one["position"] for one in report.problems})
    return report


def _batches(found: Iterable[Found]) -> Iterator[tuple[int, list[Found]]]:
    batch: list[Found] = []
    offset = 0
    for one in found:
        batch.append(one)
        if len(batch) == BATCH:
            yield offset, batch
            offset, batch = offset + BATCH, []
    if batch:
        yield offset, batch


def _problems(batch: list[Found], offset: int, said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the place in the file; of what can't be read its own problem."""
    found = []
    for one in said:
        read = batch[one["position"] - offset]
        message = read.problem or one["message"]
        found.append({"source": read.source, **one, "message": message})
    return found


def _again(batch: list[Found], offset: int, seen: set[bytes]) -> Iterator[dict[str, Any]]:
    """IDs that an earlier batch had: of those the bridge sees one at a time."""
    new: set[bytes] = set()
    for position, one in zip(count(offset), batch, strict=False):
        old_id = one.value.get("id") if isinstance(one.value, dict) else None
        if not isinstance(old_id, str):
            continue
        with suppress(UnicodeEncodeError):
            key = uuid_of(old_id).bytes
            if key in seen:
                yield {
                    "source": one.source,
                    "position": position,
                    "id": old_id,
                    "field": "id",
                    "message": "an earlier record of the input has the same",
                }
            new.add(key)
    seen |= new


def _to_send(copy: Path, total: int, *, skip_invalid: bool) -> Iterator[dict[str, Any]]:
    for offset, batch in _batches(records_in(copy)):
        yield {
            "offset": offset,
            "records": [one.value for one in batch],
            "last": offset + len(batch) == total,
            "skip_invalid": skip_invalid,
        }


async def _imported(
    to: Bridge, begin: dict[str, Any], batches: Iterator[dict[str, Any]]
) -> AsyncIterator[dict[str, Any]]:
    """The migration after each batch; an earlier run that broke off is gone on with."""
    first = next(batches)
    first.pop("offset")
    migration = (await _asked(to, PATH, first | begin))["migration"]
    yield migration
    for batch in batches:
        if batch["offset"] + len(batch["records"]) > migration["done"]:
            path = f"{PATH}/{migration['id']}/records"
            migration = (await _asked(to, path, batch))["migration"]
            yield migration


async def _asked(to: Bridge, path: str, sent: dict[str, Any]) -> dict[str, Any]:
    for wait in (*WAITS, None):
        try:
            found: dict[str, Any] = await to.post(path, json=sent)
            return found
        except (Away, NotRunning):
            if wait is None:
                raise
            await asyncio.sleep(wait)
    raise AssertionError("unreachable")


def _tell(order: Order, shown: dict[str, Any]) -> None:
    for one in shown["problems"][:PROBLEMS_SHOWN]:
        named = f" ({one['id']})" if one["id"] else ""
        where = f"{one['source']}{named}: {one['field'] or 'record'}: {one['message']}"
        messages().print(Text(clean(where)))
    if (more := len(shown["problems"]) - PROBLEMS_SHOWN) > 0:
        say(f"And {more:,} more; `-o json` has all.")
    for one in shown["kept"][:PROBLEMS_SHOWN]:
        say(f"{one['id']} ({one['status']}) stays: {one['reason']}")
    said = ", ".join(f"{shown['counts'][word]:,} {word}" for word in WORDS)
    if shown["migration"]:
        answer(f"{said}; migration {shown['migration']}, backup in {shown['backup']}")
    elif order.dry_run:
        answer(f"{said}: nothing was changed")
    else:
        answer(f"{said}: nothing was imported; correct the file, or add --skip-invalid")
