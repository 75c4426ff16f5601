"""What the local stack logged: JSON lines, shown as sentences."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import typer

from mailroom.adapters.settings import load_settings
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import Output, clean

LOG = Path("logs") / "mailroom.log"
LOOK_SECONDS = 0.3


def show(lines: int, output: Output, *, follow: bool) -> None:
    file = load_settings().mailroom_data_dir / LOG
    shown: Callable[[str], str] = str if output is Output.JSON else readable
    try:
        for line in _tail(file, lines, follow=follow):
            typer.echo(shown(line))
    except FileNotFoundError as error:
        raise Failure(f"There is no log yet: {file} is missing.", ExitCode.NOT_THERE) from error
    except KeyboardInterrupt:
        return


def readable(line: str) -> str:
    """`2026-03-01 10:00:00 warning  a mail was deferred  error=...`"""
    try:
        entry = json.loads(line)
        at = datetime.fromisoformat(entry.pop("timestamp")).astimezone()
        level, event = entry.pop("level"), entry.pop("event")
    except (ValueError, KeyError, TypeError, AttributeError):
        return clean(line)
    trace = entry.pop("exception", "")
    entry.pop("logger", None)
    more = "".join(f"  {name}={value}" for name, value in entry.items())
    sentence = f"{at:%Y-%m-%d %H:%M:%S} {level:<8} {event}{more}"
    return clean(f"{sentence}\n{trace}" if trace else sentence)


def _tail(file: Path, lines: int, *, follow: bool) -> Iterator[str]:
    with file.open(errors="replace") as log:
        yield from (line.rstrip("\n") for line in deque(log, lines))
        at = log.tell()
    while follow:
        time.sleep(LOOK_SECONDS)
        if file.stat().st_size < at:  # rotated
            at = 0
        with file.open(errors="replace") as log:
            log.seek(at)
            for line in iter(log.readline, ""):
                if line.endswith("\n"):  # half a line is read again
                    at = log.tell()
                    yield line.rstrip("\n")
