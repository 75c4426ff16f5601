"""A million messages as a file: seconds, memory, and the ratio to PostgreSQL's own COPY."""

import asyncio
import re
import sys
import time
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

from bench.queue_built import plain
from mailroom.adapters import parquet
from mailroom.adapters.postgres.engine import connect
from mailroom.adapters.postgres.message_export import PostgresExports
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.formats import ExportFormat

SECONDS, MEBIBYTES = 60, 300


async def measure(url: URL) -> None:
    yardstick = _copied(url)
    print(f"COPY message_queue TO STDOUT: {yardstick:.1f} s")
    for format in ExportFormat:
        # A process of its own: what it has taken at most is what it takes.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.queue_export", plain(url), format,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await process.communicate()
        seconds, size, most = map(float, said.split())
        print(
            f"export as {format}: {seconds:.1f} s (goal: under {SECONDS}),"
            f" {seconds / yardstick:.1f} times COPY, {size / 2**20:,.0f} MiB written,"
            f" {most:.0f} MiB of memory at most (goal: under {MEBIBYTES})"
        )


def _copied(url: URL) -> float:
    begun = time.perf_counter()
    with (
        psycopg.connect(plain(url)) as connection,
        connection.cursor().copy("COPY message_queue TO STDOUT") as copy,
    ):
        for _ in copy:
            pass
    return time.perf_counter() - begun


async def _export(url: str, format: ExportFormat) -> None:
    engines = connect(make_url(url), 2)
    exports, everything = PostgresExports(engines.read), MessageSelection()
    match format:
        case ExportFormat.CSV:
            chunks = exports.csv(everything)
        case ExportFormat.JSONL:
            chunks = exports.json_lines(everything)
        case ExportFormat.PARQUET:
            chunks = parquet.parquet(exports.plain(everything, parquet.ROWS_BYTES))
    begun, written = time.perf_counter(), 0
    async for chunk in chunks:
        written += len(chunk)
    print(time.perf_counter() - begun, written, _most())
    await engines.dispose()


def _most() -> float:
    """MiB that this process had at most. Not `ru_maxrss`, which begins with what its parent had."""
    [most] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(most) / 1024


if __name__ == "__main__":
    asyncio.run(_export(sys.argv[1], ExportFormat(sys.argv[2])))
