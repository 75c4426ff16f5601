"""What is done with an entry, and where it may be meanwhile and afterwards."""

from datetime import UTC, datetime

from spool_world import entry

from mailroom.adapters.spool.spool import Spool
from mailroom.models.spool import Entry, Queue

INBOUND, DEAD = Queue.INBOUND, Queue.DEAD_LETTER
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

Places = frozenset[tuple[Queue, int]]
"""Queues, and how often the entry that is there was tried."""
NOWHERE: Places = frozenset()
FRESH: Places = frozenset({(INBOUND, 0)})
TRIED: Places = frozenset({(INBOUND, 1)})
BURIED: Places = frozenset({(DEAD, 2)})
LIFE = {"append": FRESH, "update": TRIED, "move": BURIED, "remove": NOWHERE}
"""Where an entry is after each act of its life, done in this order."""
UNDER_WAY = {
    "append": {NOWHERE, FRESH},
    "update": {FRESH, TRIED},
    "move": {TRIED, TRIED | BURIED, BURIED},
    "remove": {BURIED, NOWHERE},
}
"""Where it may be after a kill meanwhile."""


def perform(spool: Spool, act: str, it: Entry) -> None:
    tried = it.failed("Temporal is away.", NOW)
    match act:
        case "append":
            spool.append(it)
        case "update":
            spool.update(INBOUND, tried)
        case "move":
            spool.move(tried.failed("Nobody wants it.", NOW), INBOUND, DEAD)
        case "remove":
            spool.remove(DEAD, [it.name.file])


def places(spool: Spool, file: str) -> Places:
    """Raises where one of them is not whole."""
    there = [queue for queue in Queue if spool.path(queue, file).exists()]
    return frozenset((queue, spool.read(queue, file).attempts) for queue in there)


def prepared(spool: Spool, act: str, text: str = "Lunch?") -> Entry:
    """An entry in that stage of its life in which this act is next."""
    it = entry(text)
    for earlier in list(LIFE)[: list(LIFE).index(act)]:
        perform(spool, earlier, it)
    return it
