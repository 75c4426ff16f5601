"""`mailroom spool import`: letters of an older orchestrator's files come into the spool."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.progress import Progress
from rich.text import Text

from mailroom.adapters.settings import load_settings
from mailroom.adapters.spool.spool import Spool
from mailroom.cli.bars import bar
from mailroom.cli.draining import drained_soon
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import Output, answer, clean, print_json, say
from mailroom.cli.queue_files import Item, items_in
from mailroom.cli.spool_folder import id_of, opened_to_write
from mailroom.models.given_letter import NoLetter
from mailroom.models.queued_letters import FILES, letter_of
from mailroom.models.spool import Entry, Queue

PROBLEMS_KEPT = 1_000


@dataclass
class Summary:
    new: int = 0
    known: int = 0
    refused: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)


class TakingOver:
    """One run: what the spool has already, the counts, and the bar on stderr."""

    def __init__(self, spool: Spool, limit: int, progress: Progress, total: int) -> None:
        self.summary = Summary()
        self._spool = spool
        self._limit = limit
        self._known = {id_of(file) for queue in Queue for file in spool.files(queue)}
        self._bar = progress
        self._task = progress.add_task("Importing", total=total, count=0)
        self._count = 0

    def file(self, file: Path, queue: Queue) -> None:
        at = 0
        for item in items_in(file, self._limit):
            self._item(item, queue)
            self._count += 1
            self._bar.update(self._task, advance=max(item.at - at, 0), count=self._count)
            at = item.at

    def _item(self, item: Item, queue: Queue) -> None:
        if item.problem:
            self._refuse(item.source, item.problem)
            return
        try:
            entry = letter_of(item.value, queue, datetime.now(UTC))
        except NoLetter as error:
            self._refuse(item.source, str(error))
            return
        self._take(entry, queue)

    def _take(self, entry: Entry, queue: Queue) -> None:
        if entry.id in self._known:
            self.summary.known += 1
            return
        if queue is entry.queue:
            self._spool.append(entry)
        else:
            self._spool.move(entry, entry.queue, queue)
        self._known.add(entry.id)
        self.summary.new += 1

    def _refuse(self, source: str, detail: str) -> None:
        self.summary.refused += 1
        self._bar.console.print(Text(clean(f"{source}: {detail}")))
        if len(self.summary.problems) < PROBLEMS_KEPT:
            self.summary.problems.append({"source": source, "detail": detail})


def take_over(folder: Path, output: Output) -> None:
    settings = load_settings()
    spool = opened_to_write(settings)
    files = {queue: folder / name for queue, name in FILES.items()}
    _check(folder, list(files.values()))
    with bar("letters") as progress:
        total = sum(file.stat().st_size for file in files.values() if file.is_file())
        run = TakingOver(spool, settings.mailroom_max_message_bytes, progress, total)
        try:
            for queue, file in files.items():
                run.file(file, queue)
        finally:  # also of an import that ends early
            progress.stop()
            _show(run.summary, output)
    if run.summary.new and (drained := drained_soon(settings)):
        say(f"{drained.sentence}.")
    if run.summary.refused:
        raise typer.Exit(ExitCode.FAILED)


def _check(folder: Path, files: list[Path]) -> None:
    if not any(file.exists() for file in files):
        names = ", ".join(file.name for file in files)
        raise Failure(
            f"{folder} has none of {names}; name the folder that they are in.", ExitCode.NOT_THERE
        )


def _show(summary: Summary, output: Output) -> None:
    if output is Output.JSON:
        print_json(asdict(summary))
    else:
        answer(f"{summary.new} new, {summary.known} known, {summary.refused} refused")
