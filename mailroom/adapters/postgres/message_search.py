"""Lists of messages: any filter, in any order, page by page, among a million rows.

The planner alone walks along the order's index past all that does not fit, or reads all that fits
to sort it, and can't know which is shorter: campaigns come in bursts, with one size and one pool,
so that columns depend on each other. A sample of the rows, the same ones each time, says how many
fit; then either way is taken only as far as it is the short one.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres import message_search_sql as sql
from mailroom.adapters.postgres.driver import Driver, driver_of, fetched
from mailroom.adapters.postgres.filter_sql import IN_ORDERS, Where, as_known, given_of
from mailroom.adapters.postgres.message_order import Order, Walk
from mailroom.adapters.postgres.queue_rows import SHOWN, SHOWN_NAMES
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.listing import MessagePage
from mailroom.models.outbound.places import Place, cursor_of
from mailroom.models.outbound.search_words import words_of

EXACT_UP_TO = 10_000
# So many times as many the sample has to see before nobody counts: 20 of its rows, where 10 are
# 10,000.
SURELY = 2
# Of so many, those found in a short walk say how far the others are.
TELLING = 5
# So many lines of an index are passed in the time that reading one row takes.
LINES = 5
Keys = tuple[Any, ...]
"""Of a row, as `Order` has them; the last one is its ID."""


class Total(NamedTuple):
    rows: int
    exact: bool


class Reach(NamedTuple):
    """How far either way is taken. Of `few` that fit all are read at once: to be counted they would
    be anyway; of `few_counted`, where the order's index counts them and none is read, of
    `few_looked_up`, where an index counts them that does not know the order, and of `some`, where
    they are not near; of `many` only those are sorted that are as near as one in the sample. Walks
    are counted in rows of the list: a thousand take a millisecond or two."""

    few: int = 16_000
    few_counted: int = 10_000
    few_looked_up: int = 6_000
    some: int = 20_000
    short_walk: int = 1_500
    long_walk: int = 30_000
    many: int = 4_000


class PostgresMessageSearch:
    def __init__(self, engine: AsyncEngine, reach: Reach = Reach()) -> None:  # noqa: B008
        self._engine = engine
        self._reach = reach

    async def page(self, selection: MessageSelection, after: Place | None = None) -> MessagePage:
        """What fits, from that place on; `offset` counts from there."""
        async with driver_of(self._engine) as driver:
            return await _Search(driver, selection, after, self._reach).page()


class _Search:
    def __init__(
        self,
        driver: Driver,
        selection: MessageSelection,
        after: Place | None,
        reach: Reach,
    ) -> None:
        self._driver = driver
        self._selection = selection
        self._after = after
        self._reach = reach
        self._order = Order(selection)
        self._later = self._order.after(after)
        self._first: list[object] = []
        self._wanted = selection.offset + selection.limit + 1
        self._total: Total | None = None
        self._fit = self._of = 0
        self._words: dict[str, object] = {}
        given = given_of(selection)
        self._all_fit = not given
        self._by_index = given.keys() <= IN_ORDERS and self._order.is_wide
        self._few = reach.few
        if self._by_index:
            self._few = reach.few_counted
        elif sql.looked_up(selection, self._order):
            self._few = reach.few_looked_up

    async def page(self) -> MessagePage:
        await self._know_words()
        await self._guess()
        found = await (self._sorted() if self._fit <= self._few else self._along())
        total = self._total or await self._count()
        some = found[self._selection.offset :]
        shown = some[: self._selection.limit]
        return MessagePage(
            items=await self._items([keys[-1] for keys in shown]),
            total=total.rows,
            total_is_exact=total.exact,
            next_cursor=cursor_of(self._selection, shown[-1]) if len(some) > len(shown) else None,
        )

    async def _know_words(self) -> None:
        """Messages with any of a few words are found faster than those with a word's beginning."""
        words = words_of(self._selection.search_query or "")
        known: dict[str, list[str]] = {}
        if words:
            for given, word in await self._rows(sql.known(words)):
                known.setdefault(given, []).append(word)
            few = {word: found for word, found in known.items() if len(found) <= sql.FEW_WORDS}
            self._words = as_known(words, few)

    async def _guess(self) -> None:
        """About how many messages fit, of how many."""
        statement = sql.sampled(self._selection, self._order, self._later)
        [(fit, of, rows, first)] = await self._rows(statement)
        self._of = max(rows, of)
        self._fit = fit * self._of // max(of, 1)
        self._first = [key for key in first or () if key is not None]

    async def _along(self) -> list[Keys]:
        """Part by part, as far as rows are wanted."""
        found: list[Keys] = []
        for part in self._order.walks(self._after):
            wanted = self._wanted - len(found)
            near = await self._near(part, wanted)
            if near is None and self._by_index and self._fit <= self._reach.some:
                return await self._sorted()
            found += await self._far(part, wanted) if near is None else near
            if len(found) == self._wanted:
                break
        return found

    async def _near(self, part: Walk, wanted: int) -> list[Keys] | None:
        """A short walk finds them where what fits is all over the list, or finds so many that a
        longer one will; None: neither."""
        steps = max(self._reach.short_walk, 2 * wanted)
        found = await self._walked(part, steps, wanted)
        if len(found) == wanted or self._all_fit:
            return found
        if self._after and await self._at_the_end(part, steps):
            return found
        if len(found) >= TELLING:
            farther = round(1.5 * steps * wanted / len(found))
            if farther <= self._reach.long_walk:
                found = await self._walked(part, farther, wanted)
        return found if len(found) == wanted else None

    async def _far(self, part: Walk, wanted: int) -> list[Keys]:
        """A sample says how far it is: that is walked, or what fits is read up to there, or all
        of it."""
        share = max(1, self._of / sql.SAMPLED)
        enough = 2 + round(1.5 * wanted / share)
        horizon = sql.horizon(self._selection, self._order, part)
        ahead = await self._rows(horizon, most=4 * enough)
        for number, *keys in ahead[enough - 1 :: 3 * enough]:
            # A sample errs by some tenths; a walk ends when it has found enough.
            steps, up_to_it = round(1.5 * share * number), self._order.up_to(part, keys)
            if steps <= self._reach.long_walk:
                found = await self._walked(part, steps, wanted)
            elif self._by_index and steps <= LINES * self._fit:
                found = await self._found(sql.along, up_to_it, wanted)
            else:
                found = await self._found(sql.sorted_part, up_to_it, wanted)
            if len(found) == wanted:
                return found
        return await self._found(sql.sorted_part, part, wanted)

    async def _walked(self, part: Walk, steps: int, wanted: int) -> list[Keys]:
        statement = sql.walked(self._selection, self._order, part)
        return await self._rows(statement, steps=steps, wanted=wanted)

    async def _at_the_end(self, part: Walk, steps: int) -> bool:
        [(passed,)] = await self._rows(sql.passed(self._selection, self._order, part), steps=steps)
        return bool(passed < steps)

    async def _found(self, way: Callable[..., Where], part: Walk, wanted: int) -> list[Keys]:
        return await self._rows(way(self._selection, self._order, part), wanted=wanted)

    async def _sorted(self) -> list[Keys]:
        """The first in the sample is behind the page, nearly always."""
        if self._fit >= self._reach.many and self._first:
            near = self._order.near(self._later, self._first)
            found = await self._counted(sql.sorted_near(self._selection, self._order, near))
            if len(found) == self._wanted:
                return found
        return await self._counted(sql.sorted_all(self._selection, self._order, self._later))

    async def _counted(self, statement: Where) -> list[Keys]:
        rows = await self._rows(statement, wanted=self._wanted)
        self._total = Total(rows[0][0], True)
        return [row[1:] for row in rows if row[-1] is not None]

    async def _count(self) -> Total:
        if self._fit > SURELY * EXACT_UP_TO:
            return Total(self._fit, False)
        [(rows,)] = await self._rows(sql.counted(self._selection), most=EXACT_UP_TO + 1)
        return Total(rows, True) if rows <= EXACT_UP_TO else Total(max(rows, self._fit), False)

    async def _items(self, ids: Sequence[UUID]) -> list[MessageQueueItem]:
        found = await fetched(self._driver, f"{SHOWN} WHERE m.id = ANY(:ids)", {"ids": list(ids)})
        shown = (dict(zip(SHOWN_NAMES, row, strict=True)) for row in found)
        items = {row["id"]: MessageQueueItem.model_validate(row) for row in shown}
        return [items[id] for id in ids if id in items]

    async def _rows(self, statement: Where, **more: object) -> list[Keys]:
        known = {name: self._words.get(name, value) for name, value in statement.values.items()}
        return await fetched(self._driver, statement.sql, {**known, **more})
