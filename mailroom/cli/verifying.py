"""`mailroom spool verify`: reads all there is, and changes nothing."""

from collections.abc import Sequence
from itertools import count

from rich.table import Table
from rich.text import Text

from mailroom.adapters.settings import load_settings
from mailroom.adapters.spool.spool import Spool
from mailroom.adapters.spool.verify import Fault, faults
from mailroom.cli.bars import bar
from mailroom.cli.output import Output, answer, one_line, plain_table, print_json, show
from mailroom.cli.spool_folder import opened
from mailroom.models.spool import Queue


def verify(output: Output) -> bool:
    """Prints the faults; False if there are any."""
    spool = opened(load_settings())
    found, entries = _examined(spool)
    if output is Output.JSON:
        print_json({"entries": entries, "faults": [fault.model_dump() for fault in found]})
    elif found:
        show(_table(found))
    else:
        answer(f"All {entries:,} entries are as they were written.")
    return not found


def _examined(spool: Spool) -> tuple[list[Fault], int]:
    """The faults, and how many files were read."""
    with bar("entries") as progress:
        total = sum(len(spool.files(queue)) for queue in Queue)
        task = progress.add_task("Reading", total=total, count=0)
        read = count()

        def looked() -> None:
            progress.update(task, advance=1, count=next(read) + 1)

        found = list(faults(spool, looked))
    return found, next(read)


def _table(found: Sequence[Fault]) -> Table:
    table = plain_table("What", "File", "Detail")
    table.columns[0].no_wrap = True
    table.columns[1].overflow = "fold"  # it is to be copied
    for fault in found:
        table.add_row(fault.what, Text(one_line(fault.file)), Text(one_line(fault.detail)))
    return table
