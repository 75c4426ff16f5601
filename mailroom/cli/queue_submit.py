"""`mailroom queue submit`: hands messages of files to the bridge."""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from rich.progress import Progress
from rich.text import Text

from mailroom.adapters.settings import load_settings
from mailroom.cli.bars import bar
from mailroom.cli.client import Away, Bridge, NotRunning, Refused, bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import Output, answer, clean, print_json, say
from mailroom.cli.queue_batches import MOST_BYTES, MOST_ITEMS, Batch, batches
from mailroom.cli.queue_check import problem_of
from mailroom.cli.queue_given import Given, bytes_of, check_files, given_in
from mailroom.cli.queue_rows import template_of

MESSAGES = "/queue/messages"
# A bridge that is busy or restarts is asked again: the same message twice is one.
WAITS = (1.0, 4.0, 10.0)
PROBLEMS_KEPT = 1_000
# Of one request, which takes all or nothing.
MOST_ATOMIC = 1_000


@dataclass(frozen=True)
class Order:
    """`common` are fields of each message that doesn't say otherwise."""

    files: Sequence[Path]
    template: Path | None
    common: Mapping[str, Any]
    key: str
    atomic: bool
    dry_run: bool


@dataclass
class Summary:
    """`spooled`: some are kept until Temporal and PostgreSQL are back."""

    idempotency_key: str
    read: int = 0
    accepted: list[str] = field(default_factory=list)
    refused: int = 0
    spooled: bool = False
    dry_run: bool = False
    problems: list[dict[str, str]] = field(default_factory=list)


def submit(order: Order, output: Output) -> None:
    settings = load_settings()
    template = template_of(order.template) if order.template else None
    check_files(order.files, template)

    def given() -> Iterator[Given]:
        limit = settings.mailroom_max_message_bytes
        sender = order.common.get("sender")
        found = given_in(order.files, template, sender, limit)
        return (_completed(one, order.common) for one in found)

    with bar("messages") as progress:
        run = _Run(order, progress)
        try:
            if order.dry_run or order.atomic:
                run.check(given())
            if not order.dry_run and not (order.atomic and run.summary.refused):
                asyncio.run(run.send(given()))
        finally:  # also of one that ends early
            progress.stop()
            _show(run.summary, output)
    if run.summary.refused:
        raise typer.Exit(ExitCode.FAILED)


def key_of(files: Sequence[Path], typed: Mapping[str, Any]) -> str:
    """Of the files' content and what was typed, so that the same command twice sends once."""
    digest = hashlib.sha256(repr(sorted(typed.items())).encode())
    for file in files:
        for part in sorted(file.rglob("*")) if file.is_dir() else [file]:
            if part.is_file():
                with part.open("rb") as source:
                    digest.update(hashlib.file_digest(source, "sha256").digest())
    return f"submit-{digest.hexdigest()[:32]}"


def _completed(given: Given, common: Mapping[str, Any]) -> Given:
    if given.item is None:
        return given
    return Given(given.source, {**common, **given.item}, given.span)


class _Run:
    """One run: the counts, the problems, and the bar on stderr."""

    def __init__(self, order: Order, progress: Progress) -> None:
        self.summary = Summary(order.key, dry_run=order.dry_run)
        self._order = order
        self._bar = progress
        self._total = bytes_of(order.files)

    def check(self, given: Iterator[Given]) -> None:
        """Finds what would be refused, as far as that can be told here."""
        task = self._bar.add_task("Checking", total=self._total, count=0)
        for count, one in enumerate(given, 1):
            problem = one.problem or problem_of(one.item or {})
            if problem:
                self._refuse(one.source, problem)
            self._bar.update(task, advance=one.span, count=count)
            self.summary.read = count
        if self._order.atomic and self.summary.read > MOST_ATOMIC:
            raise Failure(f"--atomic takes {MOST_ATOMIC:,} messages at most.")

    async def send(self, given: Iterator[Given]) -> None:
        task = self._bar.add_task("Submitting", total=self._total, count=0)
        items, size = (MOST_ATOMIC, 1 << 40) if self._order.atomic else (MOST_ITEMS, MOST_BYTES)
        self.summary.read = 0
        async with bridge() as to:
            for one in batches(given, items, size):
                if isinstance(one, Batch):
                    await self._post(to, one)
                else:
                    self._refuse(one.source, one.problem or "")
                self.summary.read += len(one.given) if isinstance(one, Batch) else 1
                self._bar.update(task, advance=one.span, count=self.summary.read)

    async def _post(self, to: Bridge, batch: Batch) -> None:
        try:
            taken = await self._asked(to, batch)
        except Refused as refusal:
            if len(batch.given) > 1 or self._order.atomic:
                raise
            self._refuse(batch.given[0].source, str(refusal))
            return
        self.summary.accepted += taken["accepted"]
        self.summary.spooled |= taken["spooled"]
        for one in taken["rejected"]:
            self._refuse(batch.given[one["index"]].source, one["error"])

    async def _asked(self, to: Bridge, batch: Batch) -> dict[str, Any]:
        for wait in (*WAITS, None):
            try:
                taken: dict[str, Any] = await to.post(
                    MESSAGES,
                    content=batch.body,
                    params={"first": batch.first, "atomic": self._order.atomic},
                    headers={
                        "content-type": "application/json",
                        "Idempotency-Key": self._order.key,
                    },
                )
                return taken
            except NotRunning:
                raise
            except Away:
                if wait is None:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    def _refuse(self, source: str, detail: str) -> None:
        self.summary.refused += 1
        self._bar.console.print(Text(clean(f"{source}: {detail}")))
        if len(self.summary.problems) < PROBLEMS_KEPT:
            self.summary.problems.append({"source": source, "detail": detail})


def _show(summary: Summary, output: Output) -> None:
    if output is Output.JSON:
        print_json(vars(summary))
        return
    if summary.dry_run:
        answer(f"{summary.refused:,} of {summary.read:,} would be refused; nothing was sent")
        return
    answer(f"{len(summary.accepted):,} accepted, {summary.refused:,} refused")
    if summary.spooled:
        say("They are kept until Temporal and PostgreSQL are back, and go on by themselves then.")
    if summary.refused and summary.accepted:
        say(
            "Correct them where they stand and submit again with"
            f" --idempotency-key {summary.idempotency_key}: the others are not sent twice."
        )
