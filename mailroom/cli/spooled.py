"""What waits in the spool: figures, and entries as a list."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter

from pydantic import AwareDatetime
from rich import filesize
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mailroom.adapters.settings import load_settings
from mailroom.adapters.spool.spool import Spool
from mailroom.cli import way
from mailroom.cli.errors import Failure
from mailroom.cli.mails import age
from mailroom.cli.output import Output, one_line, plain_table, print_json, say, show
from mailroom.cli.spool_folder import SHORT, Place, opened
from mailroom.models.base import Frozen
from mailroom.models.spool import Damaged, Kind, Queue, kind_of, name_of


class Waiting(Frozen):
    """Entries of one queue and kind; the oldest waits since then."""

    entries: int
    oldest: AwareDatetime


Waits = dict[Queue, dict[Kind, Waiting]]


class Row(Frozen):
    """One entry of a list. `size` is that of its file; `attempts` None of a damaged one."""

    id: str
    queue: Queue
    kind: Kind
    priority: int
    queued_at: AwareDatetime
    attempts: int | None = None
    last_attempt: AwareDatetime | None = None
    error: str | None = None
    size: int


def show_status(output: Output) -> None:
    settings = load_settings()
    spool = opened(settings)
    waits = {queue: _waiting(spool.files(queue)) for queue in Queue}
    found = way.ask(settings)
    if output is Output.JSON:
        print_json(_as_data(spool, waits, found))
    else:
        show(*_page(waits, found))


def show_list(queue: Queue | None, kinds: Sequence[Kind], limit: int, output: Output) -> None:
    spool = opened(load_settings())
    queues = [queue] if queue else list(Queue)
    places = _places(spool, queues, set(kinds))
    rows = list(islice(filter(None, (_row(spool, place) for place in places)), limit))
    if output is Output.JSON:
        print_json([row.model_dump(mode="json") for row in rows])
    elif rows:
        show(_table(rows, with_queue=queue is None))
        if len(places) > len(rows):
            say(f"{len(rows):,} of {len(places):,}; -n shows more.")
    else:
        say("Nothing waits here.")


def _waiting(files: Iterable[str]) -> dict[Kind, Waiting]:
    counts: Counter[Kind] = Counter()
    oldest: dict[Kind, str] = {}
    for file in files:
        if kind := kind_of(file):
            counts[kind] += 1
            # What follows the priority begins with the time.
            oldest[kind] = min(oldest.get(kind, file), file, key=itemgetter(slice(1, None)))
    names = {kind: name_of(file) for kind, file in oldest.items()}
    return {
        kind: Waiting(entries=counts[kind], oldest=name.queued_at)
        for kind, name in names.items()
        if name
    }


def _as_data(spool: Spool, waits: Waits, found: way.Way | Failure) -> dict[str, object]:
    asked = found if isinstance(found, way.Way) else None
    oldest = [each.oldest for kinds in waits.values() for each in kinds.values()]
    return {
        "folder": str(spool.folder),
        "queues": {
            queue: {kind: each.entries for kind, each in kinds.items()}
            for queue, kinds in waits.items()
        },
        "oldest": min(oldest).isoformat() if oldest else None,
        "open": asked.open if asked else None,
        "since": asked.since.isoformat() if asked and asked.since else None,
        "why": asked.why if asked else str(found),
    }


def _page(waits: Waits, found: way.Way | Failure) -> Iterator[RenderableType]:
    table = plain_table("Queue", "Kind", "Entries", "Oldest")
    table.columns[2].justify = "right"
    for queue, kinds in waits.items():
        for kind, each in kinds.items():
            table.add_row(queue, kind, f"{each.entries:,}", age(each.oldest, datetime.now(UTC)))
        if not kinds:
            table.add_row(queue, "", "0", "")
    yield table
    yield Text()
    yield Text(found.sentence if isinstance(found, way.Way) else one_line(str(found)))


def _places(spool: Spool, queues: Sequence[Queue], kinds: set[Kind]) -> list[Place]:
    """Of these kinds, or of all if there are none."""
    return [
        Place(queue, file)
        for queue in queues
        for file in spool.files(queue)
        if not kinds or kind_of(file) in kinds
    ]


def _row(spool: Spool, place: Place) -> Row | None:
    """None of one that has gone on meanwhile."""
    name = name_of(place.file)
    if name is None:
        return None
    known = {"id": name.id, "queue": place.queue, "kind": name.kind, "priority": name.priority}
    try:
        size = spool.path(*place).stat().st_size
        entry = spool.read(*place)
    except FileNotFoundError:
        return None
    except Damaged as error:
        return Row(**known, queued_at=name.queued_at, size=size, error=f"damaged: {error}")
    of = entry.model_dump(include={"attempts", "last_attempt", "error"})
    return Row(**known, queued_at=name.queued_at, size=size, **of)


def _table(rows: Sequence[Row], *, with_queue: bool) -> Table:
    queue = ("Queue",) if with_queue else ()
    table = plain_table("ID", *queue, "Kind", "Prio", "Age", "Tries", "Size", "Error")
    for column in table.columns[:-1]:
        column.no_wrap = True
    for row in rows:
        table.add_row(
            row.id[:SHORT],
            *((row.queue,) if with_queue else ()),
            row.kind,
            str(row.priority),
            age(row.queued_at, datetime.now(UTC)),
            "-" if row.attempts is None else str(row.attempts),
            filesize.decimal(row.size),
            Text(one_line(row.error)),
        )
    return table
