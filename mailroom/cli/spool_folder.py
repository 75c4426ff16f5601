"""The spool of this machine, and entries by the beginning of their ID."""

import os
import pwd
import re
from collections.abc import Sequence
from typing import NamedTuple

from mailroom.adapters.settings import Settings
from mailroom.adapters.spool.configured import spool_of
from mailroom.adapters.spool.spool import Spool
from mailroom.cli.errors import ExitCode, Failure
from mailroom.models.spool import Damaged, Entry, Queue

SHORT = 8
NAMED_AT_MOST = 5


class Place(NamedTuple):
    queue: Queue
    file: str

    @property
    def id(self) -> str:
        return id_of(self.file)


def exists(settings: Settings) -> bool:
    """Whether a Mailroom has had its spool here; an empty folder is none."""
    return (settings.spool_dir / Queue.INBOUND).is_dir()


def opened(settings: Settings) -> Spool:
    if exists(settings):
        return spool_of(settings)
    if settings.mailroom_url:
        raise Failure(
            f"There is no spool in {settings.spool_dir}: it is on the machine of the bridge at "
            f"{settings.mailroom_url}; use this command there.",
            ExitCode.NOT_THERE,
        )
    raise Failure(
        f"Mailroom has not run here yet (there is no spool in {settings.spool_dir}); start it "
        "with `mailroom dev`, or set MAILROOM_SPOOL_DIR.",
        ExitCode.NOT_THERE,
    )


def opened_to_write(settings: Settings) -> Spool:
    """Only by whom the bridge can read from: files of the spool are for their owner alone."""
    spool = opened(settings)
    owner = spool.folder.stat().st_uid
    if owner != os.geteuid():
        raise Failure(
            f"{spool.folder} belongs to the user {_name_of(owner)}; use this command as that user, "
            "or the bridge can't read what it adds."
        )
    return spool


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def id_of(file: str) -> str:
    """Of an entry's file."""
    return file.rpartition("-")[2].removesuffix(".json")


def found(spool: Spool, beginning: str, queues: Sequence[Queue] = tuple(Queue)) -> Place:
    """The one entry whose ID begins like this."""
    wanted = beginning.strip().lower()
    if not re.fullmatch("[0-9a-f]{1,32}", wanted):
        raise Failure(
            f"{beginning!r} is no ID; `mailroom spool list` shows them.", ExitCode.NOT_THERE
        )
    places = {
        place.id: place
        for queue in queues
        for file in spool.files(queue)
        if (place := Place(queue, file)).id.startswith(wanted)
    }
    if len(places) == 1:
        return next(iter(places.values()))
    raise _none(wanted, queues) if not places else _several(wanted, list(places))


def read(spool: Spool, place: Place) -> Entry:
    try:
        return spool.read(*place)
    except FileNotFoundError as error:
        raise Failure(f"{place.id[:SHORT]} has gone on meanwhile.", ExitCode.NOT_THERE) from error
    except Damaged as error:
        raise Failure(
            f"{place.id[:SHORT]} can't be used: {error} ({spool.path(*place)})."
        ) from error


def _none(wanted: str, queues: Sequence[Queue]) -> Failure:
    what = "dead letter" if tuple(queues) == (Queue.DEAD_LETTER,) else "entry"
    return Failure(
        f"There is no {what} whose ID begins with {wanted}; it may have gone on.",
        ExitCode.NOT_THERE,
    )


def _several(wanted: str, ids: Sequence[str]) -> Failure:
    # As long as it takes to tell them apart.
    some = ", ".join(sorted(ids)[:NAMED_AT_MOST])
    more = f" and {len(ids) - NAMED_AT_MOST} more" if len(ids) > NAMED_AT_MOST else ""
    return Failure(f"Several IDs begin with {wanted}: {some}{more}.", ExitCode.REFUSED)
