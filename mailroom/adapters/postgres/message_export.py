"""Messages as a stream of rows, however many there are: what PostgreSQL's COPY writes.

One statement sees one moment. It does not pass through objects of ours: a million messages of 31
fields are that many times 31.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.filter_sql import where
from mailroom.adapters.postgres.message_order import Order
from mailroom.models.outbound.export import COLUMNS, MOMENTS, NUMBERS
from mailroom.models.outbound.filters import MessageSelection

MOST_AT_ONCE = 2
"""Each holds a connection for as long as its client takes."""
LONGEST_MINUTES = 30
CHUNK_BYTES = 256 * 1024


class TooManyExports(Exception):
    """The message is a sentence."""


class PostgresExports:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._running: set[asyncio.Task[None]] = set()

    def csv(self, selection: MessageSelection) -> AsyncGenerator[bytes, None]:
        """With a first line of names; cells are safe to open in a spreadsheet."""
        return self._chunks(_CSV, selection)

    def json_lines(self, selection: MessageSelection) -> AsyncGenerator[bytes, None]:
        return self._chunks(_JSON, selection)

    def plain(
        self, selection: MessageSelection, chunk_bytes: int = CHUNK_BYTES
    ) -> AsyncGenerator[bytes, None]:
        """CSV without names and with every cell as it is; each chunk is of whole rows."""
        return self._chunks(_PLAIN, selection, chunk_bytes)

    async def _chunks(
        self, copied: str, selection: MessageSelection, chunk_bytes: int = CHUNK_BYTES
    ) -> AsyncGenerator[bytes, None]:
        """Raises `TooManyExports`. A task of its own reads: who goes away is cancelled again and
        again, and psycopg takes its time to tell the server and to hear that the statement is
        over."""
        if len(self._running) >= MOST_AT_ONCE:
            raise TooManyExports(f"{MOST_AT_ONCE} exports are running; ask again after one ended.")
        chunks: asyncio.Queue[bytes] = asyncio.Queue(1)
        task = asyncio.create_task(self._read(chunks, copied, selection, chunk_bytes))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            while not (task.done() and chunks.empty()):
                chunk = await _next(chunks, task)
                if chunk:
                    yield chunk
            await task
        finally:
            task.cancel()

    async def _read(
        self,
        chunks: asyncio.Queue[bytes],
        copied: str,
        selection: MessageSelection,
        chunk_bytes: int,
    ) -> None:
        rows: list[bytes] = []
        size = 0
        async with self._copied(copied, selection) as copy:
            # One row at a time: so PostgreSQL sends them.
            async for row in copy:
                rows.append(bytes(row))
                size += len(row)
                if size >= chunk_bytes:
                    await chunks.put(b"".join(rows))
                    rows, size = [], 0
        await chunks.put(b"".join(rows))

    @asynccontextmanager
    async def _copied(
        self, copied: str, selection: MessageSelection
    ) -> AsyncIterator[psycopg.AsyncCopy]:
        meant = where(selection)
        ordered = selection.model_fields_set & {"sort_by", "sort_order"}
        order = f"ORDER BY {Order(selection).by}" if ordered else ""
        statement = text(copied.format(where=meant.sql, order=order)).bindparams(**meant.values)
        compiled = statement.compile(dialect=self._engine.dialect)
        # COPY takes no parameters: psycopg writes them into it as literals.
        engine = self._engine.execution_options(isolation_level="READ COMMITTED")
        async with engine.begin() as connection:
            await connection.execute(_LONG)
            await connection.execute(_UTC)
            raw = await connection.get_raw_connection()
            driver = raw.driver_connection
            assert isinstance(driver, psycopg.AsyncConnection)
            async with driver.cursor() as cursor:
                # Ours but for the literals, which psycopg quotes.
                sql = str(compiled).encode()
                async with cursor.copy(sql, compiled.params) as copy:
                    yield copy


async def _next(chunks: asyncio.Queue[bytes], task: asyncio.Task[None]) -> bytes:
    """Nothing where there is no more."""
    getting = asyncio.create_task(chunks.get())
    try:
        await asyncio.wait({getting, task}, return_when=asyncio.FIRST_COMPLETED)
        return getting.result() if getting.done() else b""
    finally:
        getting.cancel()


_LONG = text(f"SET LOCAL statement_timeout = '{LONGEST_MINUTES}min'")
_UTC = text("SET LOCAL timezone = 'UTC'")
_FROM = """
    FROM message_queue AS m
    LEFT JOIN queues AS q ON q.queue_name = m.queue_name
        AND (q.until IS NULL OR q.until > now() OR q.set_by = 'health')
    WHERE {where} {order}
"""
_OWN = {
    "id": "m.id",
    "queue_state": "coalesce(q.state, 'active')",
    "tags": "to_json(m.tags)",
    "body_hash": "m.body_hash",
    "status": "m.status",
}
_JSON_FIELDS = ("smtp_response", "headers", "metadata")


def _plain(name: str) -> str:
    return _OWN.get(name, f"m.{name}")


def _moment(name: str) -> str:
    """RFC 3339: PostgreSQL writes `2026-03-02 17:00:00.5+00`."""
    return f"replace(CAST(m.{name} AS text), ' ', 'T') || '\\:00'"


def _safe(name: str) -> str:
    """A spreadsheet runs a cell that begins so; an apostrophe in front keeps it text (OWASP, "CSV
    Injection"). One that is there already gets another, so that readers may take one away."""
    if name in MOMENTS:
        return _moment(name)
    if name in NUMBERS or name in _OWN or name in _JSON_FIELDS:
        return _plain(name)
    return f"""CASE WHEN left(m.{name}, 1) IN ('=', '+', '-', '@', E'\\t', E'\\r', '''')
                    THEN '''' || m.{name} ELSE m.{name} END"""


def _named(expressions: list[str]) -> str:
    return ", ".join(f"{e} AS {name}" for e, name in zip(expressions, COLUMNS, strict=True))


_CSV = f"""
    COPY (SELECT {_named([_safe(name) for name in COLUMNS])} {_FROM})
    TO STDOUT WITH (FORMAT csv, HEADER true)
"""
_PLAIN = f"""
    COPY (SELECT {_named([_plain(name) for name in COLUMNS])} {_FROM})
    TO STDOUT WITH (FORMAT csv)
"""
# JSON has no control characters in it, so that nothing of it is ever quoted.
_JSON = f"""
    COPY (SELECT row_to_json(line) FROM (
        SELECT {_named([_plain(name) for name in COLUMNS])} {_FROM}) AS line)
    TO STDOUT WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')
"""  # noqa: S608
