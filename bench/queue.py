"""A million messages under control: what finding them costs, and all that is done with them.

    python -m bench.queue [--rows 1000000] [--keep FOLDER] [--only search]

The rows of queue_rows.py are built by COPY into a PostgreSQL of its own, as the local stack starts
it; with `--keep` they stay for the next run, and are built anew when the migrations have changed.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import URL

from bench import queue_export, queue_metrics, queue_search
from bench.queue_built import built

ROWS = 1_000_000
PARTS: dict[str, Callable[[URL], Awaitable[None]]] = {
    "search": queue_search.measure,
    "metrics": queue_metrics.measure,
    "export": queue_export.measure,
}


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.queue", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", choices=PARTS, action="append")
    asked = parser.parse_args()
    async with built(asked.rows, asked.keep) as url:
        for name in asked.only or PARTS:
            await PARTS[name](url)


if __name__ == "__main__":
    asyncio.run(main())
