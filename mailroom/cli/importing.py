"""`mailroom email import`: hands mails of files to the bridge, a few at a time."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import typer
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from mailroom.adapters.settings import Settings, load_settings
from mailroom.cli.client import Away, Bridge, Refused, bridge
from mailroom.cli.errors import ExitCode
from mailroom.cli.mail_files import Found, mails_in, size_of
from mailroom.cli.output import Output, answer, clean, messages, print_json

AT_ONCE = 4
# A bridge that is busy or restarts is asked again; a mail that it has already is "known".
WAITS = (1.0, 4.0, 10.0)
PROBLEMS_KEPT = 1_000


@dataclass
class Summary:
    new: int = 0
    known: int = 0
    refused: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)


class Import:
    """One run: the mails still to come, the counts, and the bar on stderr."""

    def __init__(self, mails: Iterator[Found], bar: Progress, total: int) -> None:
        self.summary = Summary()
        self._mails = mails
        self._bar = bar
        self._count = 0
        self._task = bar.add_task("Importing", total=total, mails=0)

    async def work(self, to: Bridge) -> None:
        """Takes mails until none is left. Others do the same beside it."""
        for mail in self._mails:
            if mail.problem is None:
                await self._send(to, mail)
            else:
                self._refuse(mail.source, mail.problem)
            self._count += 1
            self._bar.update(self._task, advance=mail.span, mails=self._count)

    async def _send(self, to: Bridge, mail: Found) -> None:
        try:
            new = await _accepted(to, mail.raw)
        except Refused as refusal:
            self._refuse(mail.source, str(refusal))
            return
        if new:
            self.summary.new += 1
        else:
            self.summary.known += 1

    def _refuse(self, source: str, detail: str) -> None:
        self.summary.refused += 1
        self._bar.console.print(Text(clean(f"{source}: {detail}")))
        if len(self.summary.problems) < PROBLEMS_KEPT:
            self.summary.problems.append({"source": source, "detail": detail})


def import_files(files: Sequence[Path], output: Output) -> None:
    summary = asyncio.run(_import(files, load_settings(), output))
    if summary.refused:
        raise typer.Exit(ExitCode.FAILED)


async def _import(files: Sequence[Path], settings: Settings, output: Output) -> Summary:
    limit = settings.mailroom_max_message_bytes
    mails = (mail for path in files for mail in mails_in(path, limit))
    async with bridge(settings) as to:
        with _bar() as bar:
            run = Import(mails, bar, sum(map(size_of, files)))
            try:
                await _all_of([run.work(to) for _ in range(AT_ONCE)])
            finally:  # also of an import that ends early
                bar.stop()
                _show(run.summary, output)
    return run.summary


async def _all_of(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Ends all of them at the first failure, and raises that."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _accepted(to: Bridge, raw: bytes) -> bool:
    """Whether the mail was new."""
    for wait in (*WAITS, None):
        try:
            accepted = await to.post(
                "/emails", content=raw, headers={"content-type": "message/rfc822"}
            )
            return bool(accepted["new"])
        except Away:
            if wait is None:
                raise
            await asyncio.sleep(wait)
    raise AssertionError("unreachable")


def _bar() -> Progress:
    """On stderr, and only where somebody watches."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[mails]} mails"),
        TimeRemainingColumn(),
    )
    console = messages()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _show(summary: Summary, output: Output) -> None:
    if output is Output.JSON:
        print_json(asdict(summary))
    else:
        answer(f"{summary.new} new, {summary.known} known, {summary.refused} refused")
