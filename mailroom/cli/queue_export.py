"""Messages as a file: written beside it, and put in its place when all is there."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import (
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from mailroom.cli.client import bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import messages, say
from mailroom.cli.queue_metrics import size
from mailroom.cli.queue_selecting import Selected
from mailroom.models.outbound.formats import ExportFormat

EXPORT = "/queue/export"
STDOUT = "-"


def export(file: str, selected: Selected, format: ExportFormat | None, *, force: bool) -> None:
    asked = {**selected.params, "format": (format or _format(file)).value}
    if file == STDOUT:
        asyncio.run(_download(asked, sys.stdout.buffer))
        return
    path = Path(file)
    if path.exists() and not force:
        raise Failure(f"{path} is there already; take another name, or --force.", ExitCode.REFUSED)
    written = _to(path, asked)
    say(f"{path} has {size(written)}.")


def _format(file: str) -> ExportFormat:
    ending = Path(file).suffix.removeprefix(".").lower()
    known = {each.value: each for each in ExportFormat} | {"ndjson": ExportFormat.JSONL}
    if ending and ending not in known:
        raise Failure(
            f".{ending} is no format; name the file .csv, .jsonl or .parquet, or give --format.",
            ExitCode.USAGE,
        )
    return known.get(ending, ExportFormat.CSV)


def _to(path: Path, asked: Mapping[str, Any]) -> int:
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as target:
            written = asyncio.run(_download(asked, target))
        part.replace(path)
    except BaseException:
        # Half a file looks like a whole one.
        part.unlink(missing_ok=True)
        raise
    return written


async def _download(asked: Mapping[str, Any], target: BinaryIO) -> int:
    written = 0
    async with bridge() as to:
        with _progress() as progress:
            task = progress.add_task("", total=None) if progress else None
            async for part in to.download(EXPORT, **asked):
                target.write(part)
                written += len(part)
                if progress and task is not None:
                    progress.update(task, completed=written)
    target.flush()
    return written


def _progress() -> AbstractContextManager[Progress | None]:
    console: Console = messages()
    if not console.is_terminal:
        return nullcontext()
    columns = (SpinnerColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)
