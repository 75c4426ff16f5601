"""`mailroom email import`: hands mails of files to the bridge, a few at a time; while it is down,
to its spool, if that is on this machine."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import typer
from rich.progress import Progress
from rich.text import Text

from mailroom.adapters.settings import Settings, load_settings
from mailroom.cli.bars import bar
from mailroom.cli.client import Away, Bridge, NotRunning, Refused, bridge
from mailroom.cli.errors import ExitCode
from mailroom.cli.keeping import Keep, keep_of
from mailroom.cli.mail_files import Found, mails_in, size_of
from mailroom.cli.output import Output, answer, clean, print_json, say

AT_ONCE = 4
# A bridge that is busy or restarts is asked again; a mail that it has already is "known".
WAITS = (1.0, 4.0, 10.0)
PROBLEMS_KEPT = 1_000
GO_ON = "The kept ones go on by themselves when Mailroom, Temporal and PostgreSQL run."


@dataclass
class Summary:
    """`kept` are in the spool; whether they are new shows when they go on."""

    new: int = 0
    known: int = 0
    refused: int = 0
    kept: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)


class Import:
    """One run: the mails still to come, the counts, and the bar on stderr."""

    def __init__(
        self, mails: Iterator[Found], keep: Keep | None, progress: Progress, total: int
    ) -> None:
        self.summary = Summary()
        self._mails = mails
        self._keep = keep
        self._bar = progress
        self._count = 0
        self._task = progress.add_task("Importing", total=total, count=0)

    async def work(self, to: Bridge) -> None:
        """Takes mails until none is left. Others do the same beside it."""
        for mail in self._mails:
            if mail.problem is None:
                await self._send(to, mail)
            else:
                self._refuse(mail.source, mail.problem)
            self._count += 1
            self._bar.update(self._task, advance=mail.span, count=self._count)

    async def _send(self, to: Bridge, mail: Found) -> None:
        try:
            accepted = await _accepted(to, mail.raw)
        except Refused as refusal:
            self._refuse(mail.source, str(refusal))
            return
        except NotRunning:
            if self._keep is None:
                raise
            await asyncio.to_thread(self._keep, mail.raw)
            accepted = {"spooled": True}
        if accepted.get("spooled"):
            self.summary.kept += 1
        elif accepted["new"]:
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
        with bar("mails") as progress:
            run = Import(mails, keep_of(settings), progress, sum(map(size_of, files)))
            try:
                await _all_of([run.work(to) for _ in range(AT_ONCE)])
            finally:  # also of an import that ends early
                progress.stop()
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


async def _accepted(to: Bridge, raw: bytes) -> dict[str, Any]:
    for wait in (*WAITS, None):
        try:
            accepted: dict[str, Any] = await to.post(
                "/emails", content=raw, headers={"content-type": "message/rfc822"}
            )
            return accepted
        except Away:
            if wait is None:
                raise
            await asyncio.sleep(wait)
    raise AssertionError("unreachable")


def _show(summary: Summary, output: Output) -> None:
    if output is Output.JSON:
        print_json(asdict(summary))
    else:
        kept = f", {summary.kept} kept" if summary.kept else ""
        answer(f"{summary.new} new, {summary.known} known, {summary.refused} refused{kept}")
    if summary.kept:
        say(GO_ON)
