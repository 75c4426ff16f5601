"""One statement for what many ask at the same time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import psycopg
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.driver import Driver, as_sqlalchemy, driver_of
from mailroom.adapters.together import Together

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")
R = TypeVar("R")
Rows = Sequence[Mapping[str, Any]]

# One statement for so many takes a few milliseconds.
MOST = 100


class Batches(Generic[K, A, R]):
    """Nothing was done where the statement fails for what is in it, or meets another's locks: each
    is left unanswered then, and fails or not by itself."""

    def __init__(
        self,
        engine: AsyncEngine,
        statement: str,
        values: Callable[[Mapping[K, A]], Mapping[str, object]],
        answers: Callable[[Rows], Mapping[K, R]],
    ) -> None:
        """`statement` has its values as psycopg wants them: `%(name)s`."""
        self._engine = engine
        self._statement = statement
        self._values = values
        self._answers = answers
        self._together: Together[K, A, R] = Together(self._run, MOST)

    async def ask(self, about: K, question: A) -> R | None:
        """None: it has to be done alone. Raises, as SQLAlchemy does, what is wrong with the
        server."""
        return await self._together.ask(about, question)

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[Callable[[Mapping[K, A]], Awaitable[Mapping[K, R]]]]:
        async with driver_of(self._engine) as driver:

            async def work(asked: Mapping[K, A]) -> Mapping[K, R]:
                return self._answers(await self._rows(driver, self._values(asked)))

            yield work

    async def _rows(self, driver: Driver, values: Mapping[str, object]) -> Rows:
        try:
            cursor = driver.cursor(row_factory=dict_row)
            await cursor.execute(self._statement, values, prepare=True)
            return await cursor.fetchall()
        except psycopg.Error as error:
            if _of_the_server(error):
                raise as_sqlalchemy(error) from error
            return []


def _of_the_server(error: psycopg.Error) -> bool:
    """By the class of its SQLSTATE (PostgreSQL's appendix A): connections, resources, what an
    administrator did, the system; none at all where the connection was lost."""
    return (error.sqlstate or "")[:2] in ("", "08", "53", "57", "58", "XX")
