"""Runs the long commands of the first set-up, and shows on stderr that something is happening."""

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

SECONDS_BETWEEN_LINES = 15.0
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_END = 5.0


class GaveUp(Exception):
    """A command was ended because `give_up` said so."""


@dataclass(frozen=True)
class Finished:
    """A command that came to its end: exit status, and what it wrote to stdout and stderr."""

    status: int
    output: str

    @property
    def reason(self) -> str:
        """The line that says why it failed, short enough for an error of one sentence."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        # Maven says it first, and ends with where its manual is; others say it last.
        mavens = [line for line in lines if line.startswith("[ERROR]")]
        return (mavens[:1] or lines[-1:] or [f"exit status {self.status}"])[0][:300]


@contextlib.asynccontextmanager
async def step(what: str) -> AsyncIterator[None]:
    """Shows `what` while the body runs: a spinner on a terminal, else a line now and then."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as spinner:
            spinner.add_task(what)
            yield
        return
    lines = asyncio.create_task(_lines(what, console))
    try:
        yield
    finally:
        lines.cancel()


async def _lines(what: str, console: Console) -> None:
    started = time.monotonic()
    console.print(f"{what} ...", markup=False)
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_LINES)
        console.print(f"{what} ... {time.monotonic() - started:.0f} s", markup=False)


def after(seconds: float) -> Callable[[], bool]:
    """A `give_up` for `run`: true once that time is over."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def stalled(folder: Path, seconds: float) -> Callable[[], bool]:
    """A `give_up` for `run`: true once nothing has been added to `folder` for that time."""
    seen, since = 0, time.monotonic()

    def give_up() -> bool:
        nonlocal seen, since
        size = _size(folder)
        if size != seen:
            seen, since = size, time.monotonic()
        return time.monotonic() - since > seconds

    return give_up


def _size(folder: Path) -> int:
    size = 0
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # a file may be renamed while we look
            size += path.stat().st_size
    return size


async def run(
    command: Sequence[str | Path], *, give_up: Callable[[], bool], cwd: Path | None = None
) -> Finished:
    """Runs a command to its end; raises `GaveUp` or `OSError` (it could not be started).

    Whatever it started ends with it. Its output goes to a file, not through a pipe, which a
    grandchild could hold open.
    """
    with tempfile.TemporaryFile() as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while not await _ended(process, SECONDS_BETWEEN_LOOKS):
                if give_up():
                    raise GaveUp
        finally:
            await _end_group(process)
        return Finished(process.returncode or 0, _text(output))


async def _ended(process: asyncio.subprocess.Process, within: float) -> bool:
    try:
        await asyncio.wait_for(process.wait(), within)
    except TimeoutError:
        return False
    return True


async def _end_group(process: asyncio.subprocess.Process) -> None:
    # Asked first: apt-get should not be killed in the middle of a package.
    if process.returncode is None:
        _signal_group(process, signal.SIGTERM)
        await _ended(process, SECONDS_TO_END)
    _signal_group(process, signal.SIGKILL)
    await process.wait()


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # macOS answers "not permitted" for a group of which only a zombie is left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _text(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")
