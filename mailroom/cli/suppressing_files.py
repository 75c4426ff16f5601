"""Addresses that get no more mail, from a file and into one."""

import asyncio
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import typer

from mailroom.adapters.settings import load_settings
from mailroom.cli.bars import bar
from mailroom.cli.client import Bridge, bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import Output, answer, clean, print_json, say
from mailroom.cli.suppressing import LIST, of
from mailroom.models.outbound import suppression_csv
from mailroom.models.outbound.suppression_csv import BadLine, CsvRefused

# Of one request: each is taken as a whole, in about a second.
LINES = 20_000
ERRORS_SHOWN = 20


def import_file(
    file: Path, tenant: str | None, source: str | None, output: Output, *, atomic: bool
) -> None:
    lines = list(io.StringIO(_text(file)))
    if atomic:
        _check(lines)
    done = asyncio.run(_import(lines, {**of(tenant or None), **_named("source", source)}))
    if output is Output.JSON:
        print_json(done)
    else:
        answer(f"{done['added']} added, {done['known']} known, {done['refused']} refused")
        _say_errors(done["errors"], done["refused"])
    if done["refused"]:
        raise typer.Exit(ExitCode.FAILED)


def export(file: Path, tenant: str | None, *, force: bool) -> None:
    if file == Path("-"):
        asyncio.run(_export(sys.stdout.buffer, tenant))
        sys.stdout.buffer.flush()
        return
    if file.exists() and not force:
        raise Failure(f"{file} is there already; take another name, or --force.", ExitCode.REFUSED)
    # A list that ends early must not look like a whole one.
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as to:
            asyncio.run(_export(to, tenant))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


async def _import(lines: list[str], asked: dict[str, str]) -> dict[str, Any]:
    done: dict[str, Any] = {"added": 0, "known": 0, "refused": 0, "errors": []}
    async with bridge(load_settings()) as to:
        with bar("lines") as progress:
            task = progress.add_task("Importing", total=len(lines), count=0)
            for first, part in _parts(lines):
                _add_up(done, await _sent(to, part, asked, first), first)
                progress.update(task, advance=len(part), count=first + len(part))
    return done


async def _sent(to: Bridge, part: list[str], asked: dict[str, str], before: int) -> dict[str, Any]:
    body = "".join(part).encode()
    headers = {"content-type": "text/csv; charset=utf-8"}
    try:
        sent: dict[str, Any] = await to.post(
            f"{LIST}/import", content=body, params=asked, headers=headers
        )
    except Failure:
        if before:
            say(f"The first {before:,} lines are imported; import the file again to go on.")
        raise
    return sent


def _parts(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Each with the line that names the columns; and how many lines of the file stand before the
    part's first."""
    header = lines[:1] if suppression_csv.names_columns("".join(lines[:1])) else []
    for at in range(len(header), len(lines), LINES):
        yield at - len(header), [*header, *lines[at : at + LINES]]


def _add_up(done: dict[str, Any], part: dict[str, Any], before: int) -> None:
    for count in ("added", "known", "refused"):
        done[count] += part[count]
    done["errors"] += [{**one, "line": one["line"] + before} for one in part["errors"]]


def _check(lines: list[str]) -> None:
    """Here, before anything is sent: the rules are the same."""
    bad = [
        one.model_copy(update={"line": one.line + before})
        for before, part in _parts(lines)
        for one in suppression_csv.read("".join(part))
        if isinstance(one, BadLine)
    ]
    if bad:
        _say_errors([one.model_dump() for one in bad], len(bad))
        raise Failure(f"Nothing was imported: {len(bad):,} lines can't be used.")


def _say_errors(errors: list[dict[str, Any]], count: int) -> None:
    for one in errors[:ERRORS_SHOWN]:
        say(clean(f"Line {one['line']}: {one['error']}"))
    if count > ERRORS_SHOWN:
        say(f"And {count - ERRORS_SHOWN:,} more lines.")


def _text(file: Path) -> str:
    data = sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()
    try:
        return suppression_csv.as_text(data)
    except CsvRefused as refusal:
        raise Failure(str(refusal)) from refusal


def _named(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {name: value}


async def _export(to: BinaryIO, tenant: str | None) -> None:
    async with bridge() as at:
        async for part in at.download(f"{LIST}/export", **of(tenant)):
            to.write(part)
