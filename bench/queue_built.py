"""A PostgreSQL of its own with a million messages, for the benchmarks of the queue."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL

from bench import queue_rows
from mailroom.adapters.postgres import migrations
from mailroom.adapters.postgres.migrate import upgrade
from mailroom.local.servers import postgres_server

GOAL_SECONDS = 180


@asynccontextmanager
async def built(rows: int, keep: Path | None) -> AsyncIterator[URL]:
    """A database with so many rows; `keep` is a folder for the next run, which is filled anew when
    the migrations or the rows have changed."""
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as own:
        folder = keep or Path(own)
        mark, stamp = folder / "built", _stamp(rows)
        there = mark.exists() and mark.read_text() == stamp
        if keep and not there:
            shutil.rmtree(folder / "postgres", ignore_errors=True)
            mark.unlink(missing_ok=True)
        async with postgres_server(folder / "postgres") as url:
            if there:
                _into_memory(folder / "postgres" / "base")
            else:
                await _fill(url, rows)
                mark.write_text(stamp)
            yield url


def plain(url: URL) -> str:
    """As psycopg takes it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _into_memory(folder: Path) -> None:
    """As after building it: a disk's first reads are not what is measured."""
    for file in filter(Path.is_file, folder.rglob("*")):
        with file.open("rb") as opened:
            while opened.read(1 << 20):
                pass


async def _fill(url: URL, rows: int) -> None:
    await upgrade(url)
    begun = time.perf_counter()
    with psycopg.connect(plain(url), autocommit=True) as connection:
        queue_rows.build(connection, rows)
        took = time.perf_counter() - begun
        connection.execute("VACUUM (ANALYZE) message_queue")
        connection.execute("CHECKPOINT")
    print(
        f"{rows:,} rows built by COPY with their indexes in {took:.0f} s"
        f" (goal for a million: under {GOAL_SECONDS})",
        flush=True,
    )


def _stamp(rows: int) -> str:
    digest = hashlib.sha256(str(rows).encode())
    folder = Path(next(iter(migrations.__path__))) / "versions"
    for file in [*sorted(folder.glob("*.py")), Path(queue_rows.__file__)]:
        digest.update(file.read_bytes())
    return digest.hexdigest()
