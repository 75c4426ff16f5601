"""`mailroom spool replay`: dead letters go back to where they came from."""

from collections.abc import Sequence

import typer
from rich.text import Text

from mailroom.adapters.settings import load_settings
from mailroom.adapters.spool.spool import Spool
from mailroom.cli.bars import bar
from mailroom.cli.draining import drained_soon
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import Output, answer, clean, messages, print_json
from mailroom.cli.spool_folder import SHORT, Place, found, opened_to_write, read
from mailroom.models.spool import Queue


def replay(named: Sequence[str] | None, output: Output) -> None:
    """Those that are named, or all."""
    settings = load_settings()
    spool = opened_to_write(settings)
    places = _named(spool, named) if named else _all(spool)
    problems = _put_back_all(spool, places)
    replayed = len(places) - len(problems)
    drained = drained_soon(settings) if replayed else None
    if output is Output.JSON:
        known = drained.model_dump() if drained else None
        print_json({"replayed": replayed, "problems": problems, "drained": known})
    else:
        answer(f"{replayed} put back" + (f"; {drained.sentence}" if drained else ""))
    if problems:
        raise typer.Exit(ExitCode.FAILED)


def _named(spool: Spool, beginnings: Sequence[str]) -> list[Place]:
    """None is touched before all are found."""
    return list(dict.fromkeys(found(spool, one, [Queue.DEAD_LETTER]) for one in beginnings))


def _all(spool: Spool) -> list[Place]:
    return [Place(Queue.DEAD_LETTER, file) for file in spool.files(Queue.DEAD_LETTER)]


def _put_back_all(spool: Spool, places: Sequence[Place]) -> list[str]:
    """What was wrong with those that stay."""
    problems = []
    with bar("entries") as progress:
        task = progress.add_task("Replaying", total=len(places), count=0)
        for count, place in enumerate(places, 1):
            try:
                _put_back(spool, place)
            except Failure as failure:
                problems.append(str(failure))
                messages().print(Text(clean(str(failure))))
            progress.update(task, completed=count, count=count)
    return problems


def _put_back(spool: Spool, place: Place) -> None:
    entry = read(spool, place)
    if entry.queue is Queue.DEAD_LETTER:
        raise Failure(f"{place.id[:SHORT]} was never in another queue; it stays where it is.")
    spool.move(entry.again(), Queue.DEAD_LETTER, entry.queue)
