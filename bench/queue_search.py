"""Lists among a million messages: every filter of queue_filters.py in all seven orders, both ways.

Each list is what `GET /queue/messages` reads: a page of fifty and the total. It is read once, so
that its rows are in memory, and then measured; the slowest are shown with their plans.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.queue_built import plain
from bench.queue_filters import FILTERS
from mailroom.adapters.postgres import message_search
from mailroom.adapters.postgres.driver import Driver, fetched, in_its_words
from mailroom.adapters.postgres.engine import connect
from mailroom.adapters.postgres.message_search import PostgresMessageSearch
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.places import KEYS, Place
from mailroom.models.outbound.words import QueueSortField, SortOrder

P95_MS, WORST_MS, DEEP, UNDER_LOAD = 25, 150, 1.5, 2
PAGE, DEEP_PAGE, TIMES, TURNS, SLOWEST = 50, 20_000, 3, 7, 10
LOADED = 10  # each so-many-th list is measured under load, too


class Measured(NamedTuple):
    ms: float
    selection: MessageSelection

    def __str__(self) -> str:
        given = self.selection.model_dump(mode="json", exclude_unset=True)
        return f"{self.ms:7.1f} ms  {given}"


async def measure(url: URL) -> None:
    engines = connect(url, 4)
    async with engines.write.connect() as connection:
        await connection.execute(text(_STATES))
        newest = await connection.scalar(text("SELECT max(created_at) FROM message_queue"))
        rows = await connection.scalar(text("SELECT count(*) FROM message_queue"))
    search = PostgresMessageSearch(engines.read)
    asked = list(selections(newest))
    quiet, loops = [], []
    for number, one in enumerate(asked):
        if number % LOADED == 0:
            loops.append(_loop())
        quiet.append(await timed(search, one))
    _report(f"{len(asked)} lists of {rows:,} messages", quiet)
    print(
        f"  the machine meanwhile: a loop of Python took {min(loops):.1f} ms at best,"
        f" {median(loops):.1f} in the middle, {max(loops):.1f} at worst"
    )
    for one in sorted(quiet, reverse=True, key=lambda each: each.ms)[:SLOWEST]:
        print(f"  {one}")
        for line in await plans(engines.read, search, one.selection):
            print(f"      {line}")
    await _deep(engines.read, search, int(rows))
    await _under_load(url, search, asked)
    await engines.dispose()


def selections(newest: datetime) -> Iterator[MessageSelection]:
    for given in FILTERS:
        fields = {name: _moment(value, newest) for name, value in given.items()}
        for sort in QueueSortField:
            for order in SortOrder:
                yield MessageSelection.model_validate(
                    fields | {"sort_by": sort, "sort_order": order}
                )


def _moment(value: object, newest: datetime) -> object:
    return newest - value if isinstance(value, timedelta) else value


async def timed(
    search: PostgresMessageSearch, selection: MessageSelection, after: Place | None = None
) -> Measured:
    """The best of a few, after one that warms: other programs have the machine, too."""
    await search.page(selection, after)
    took = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        await search.page(selection, after)
        took.append(1000 * (time.perf_counter() - begun))
    return Measured(min(took), selection)


def _loop() -> float:
    """What moves here are other programs, or the machine."""
    begun = time.perf_counter()
    sum(number * number for number in range(100_000))
    return 1000 * (time.perf_counter() - begun)


def p95(found: Sequence[float]) -> float:
    return sorted(found)[int(0.95 * len(found))]


def _report(what: str, found: Sequence[Measured]) -> None:
    times = [one.ms for one in found]
    slow = sum(ms > WORST_MS for ms in times)
    print(
        f"{what}: p50 {median(times):.1f} ms, p95 {p95(times):.1f} ms (goal: under {P95_MS}),"
        f" worst {max(times):.1f} ms (goal: none over {WORST_MS}; {slow} are)",
        flush=True,
    )


async def _deep(engine: AsyncEngine, search: PostgresMessageSearch, rows: int) -> None:
    """The first page, and one after so many rows by its cursor."""
    number = min(DEEP_PAGE, rows // PAGE)
    ratios = []
    for sort in QueueSortField:
        selection = MessageSelection(sort_by=sort, sort_order=SortOrder.ASC)
        place = await _place(engine, selection, (number - 1) * PAGE - 1)
        first, deep = await _in_turn(search, selection, place)
        ratios.append(deep / first)
        print(f"  by {sort}: first page {first:.1f} ms, page {number:,} {deep:.1f} ms")
    print(
        f"page {number:,} by cursor / first page: {median(ratios):.2f} (median of seven orders),"
        f" worst {max(ratios):.2f} (goal: within {DEEP})",
        flush=True,
    )


async def _in_turn(
    search: PostgresMessageSearch, selection: MessageSelection, place: Place
) -> tuple[float, float]:
    """The medians of the first page and of the one after that place, which take turns: what the
    machine does beside them slows both."""
    first, deep = [], []
    for _ in range(TURNS):
        first.append((await timed(search, selection)).ms)
        deep.append((await timed(search, selection, place)).ms)
    return median(first), median(deep)


async def _place(engine: AsyncEngine, selection: MessageSelection, before: int) -> Place:
    names = ", ".join(KEYS[selection.sort_by])
    statement = f"SELECT {names} FROM message_queue ORDER BY {names} OFFSET :before LIMIT 1"
    async with engine.connect() as connection:
        await connection.execute(text("SET statement_timeout = 0"))
        row = (await connection.execute(text(statement), {"before": before})).one()
        await connection.execute(text("RESET statement_timeout"))
    return Place(keys=tuple(row))


async def _under_load(
    url: URL, search: PostgresMessageSearch, asked: Sequence[MessageSelection]
) -> None:
    some = asked[::LOADED]
    quiet = [(await timed(search, one)).ms for one in some]
    async with _changing(url):
        loaded = [(await timed(search, one)).ms for one in some]
    print(
        f"p95 of {len(some)} lists while 500 rows/s change / while none does:"
        f" {p95(loaded):.1f} / {p95(quiet):.1f} ms = {p95(loaded) / p95(quiet):.2f}"
        f" (goal: under {UNDER_LOAD})",
        flush=True,
    )


@asynccontextmanager
async def _changing(url: URL) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.queue_changes", plain(url), stdin=asyncio.subprocess.PIPE
    )
    await asyncio.sleep(2)
    yield
    process.stdin.close()  # type: ignore[union-attr]
    await process.wait()


async def plans(
    engine: AsyncEngine, search: PostgresMessageSearch, selection: MessageSelection
) -> list[str]:
    """Of every statement that it takes: the nodes that read rows, and what they met."""
    seen: list[tuple[str, Mapping[str, object]]] = []

    async def noted(driver: Driver, statement: str, values: Mapping[str, object]) -> Any:
        seen.append((in_its_words(statement), values))
        return await fetched(driver, statement, values)

    with patch.object(message_search, "fetched", noted):
        await search.page(selection)
    lines = []
    async with engine.connect() as connection:
        for statement, parameters in seen:
            explained = await connection.exec_driver_sql(f"{_EXPLAIN} {statement}", parameters)
            shown = [row[0].strip() for row in explained]
            lines += [line for line in shown if "Scan" in line or "Execution" in line]
    return lines


_EXPLAIN = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS)"
_STATES = """
    INSERT INTO queues (queue_name, state, set_by, reason)
    VALUES ('yahoo.com', 'suspended', 'operator', 'they move'),
           ('gmx.de', 'suspended', 'operator', 'they move'),
           ('mail77.example77.org', 'disabled', 'operator', 'gone')
    ON CONFLICT DO NOTHING
"""
