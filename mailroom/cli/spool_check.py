"""Check of the spool: whether it may be where it is, and what waits there."""

from mailroom.adapters.settings import Settings
from mailroom.adapters.spool.locks import SpoolBusy
from mailroom.adapters.spool.place import SpoolUnusable, check_place
from mailroom.cli.findings import Finding, failed, ok, warning
from mailroom.cli.spool_folder import exists, opened
from mailroom.models.spool import Queue


def spool(settings: Settings) -> Finding:
    try:
        check_place(settings.spool_dir)
        if not exists(settings):
            return ok("spool", "empty; it is made at the first start")
        here = opened(settings)
        waiting, dead = (here.counts(queue).total() for queue in (Queue.INBOUND, Queue.DEAD_LETTER))
    except SpoolUnusable as error:
        return failed("spool", str(error), "Then start Mailroom again.")
    except (OSError, SpoolBusy) as error:
        return failed("spool", f"{settings.spool_dir} can't be read: {error}", "Correct it there.")
    if dead:
        return warning(
            "spool",
            f"messages that can't go on: {dead}",
            "`mailroom spool list dead-letter` says why, `mailroom spool replay` tries again.",
        )
    return ok("spool", f"messages that wait to go on: {waiting}")
