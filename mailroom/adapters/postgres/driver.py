"""Statements by psycopg itself, where Python's part of one is felt.

Of a statement through SQLAlchemy's pool and engine about 0.7 ms are Python's, of one over a
connection that is kept for the next 0.3.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, cast

import psycopg
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

Driver = psycopg.AsyncConnection[Any]

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def driver_of(engine: AsyncEngine) -> AsyncIterator[Driver]:
    """One of the pool's connections; one that broke does not go back to it."""
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver = cast(Driver, raw.driver_connection)
        try:
            yield driver
        finally:
            if driver.closed:
                await connection.invalidate()


@lru_cache(maxsize=1_000)
def in_its_words(statement: str) -> str:
    """`:name` as psycopg has it, `%(name)s`."""
    return str(text(statement).compile(dialect=_DIALECT))


async def fetched(
    driver: Driver, statement: str, values: Mapping[str, object]
) -> list[tuple[Any, ...]]:
    """Values are `:name` in it. Raises what SQLAlchemy raises."""
    try:
        cursor = await driver.execute(in_its_words(statement), values)
        return await cursor.fetchall()
    except psycopg.Error as error:
        raise as_sqlalchemy(error) from error


def as_sqlalchemy(error: psycopg.Error) -> Exception:
    found = DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True)
    return cast(Exception, found)
