"""Messages as Parquet, a group of rows after the other.

pyarrow (the extra `parquet`) reads what PostgreSQL wrote as CSV, and writes it: no row is an object
of Python's. It is loaded when it is asked for: it is larger than all the rest together.
"""

import asyncio
import io
import json
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from importlib.util import find_spec
from typing import Any

from mailroom.models.outbound.export import COLUMNS, MOMENTS, NUMBERS

ROWS_BYTES = 2 * 1024 * 1024
"""Of a group of rows, as CSV; each is in memory as a whole."""
MISSING = (
    "Parquet takes pyarrow, which is not installed where the bridge runs; install "
    "`mailroom[parquet]` there, or ask for csv or jsonl."
)


def is_there() -> bool:
    return find_spec("pyarrow") is not None


async def parquet(rows: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """`rows` are whole lines of CSV, without names."""
    loop = asyncio.get_running_loop()
    # One thread, which has one heap: several keep several times what each needed at most.
    with ThreadPoolExecutor(1) as thread:
        written = await loop.run_in_executor(thread, _Written)
        async with aclosing(rows):
            async for group in rows:
                if group:
                    yield await loop.run_in_executor(thread, written.add, group)
        yield await loop.run_in_executor(thread, written.end)


class _Written:
    def __init__(self) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415  55 MB, for those who ask for it

        self._schema = _schema()
        self._sink = io.BytesIO()
        self._writer = pq.ParquetWriter(_Forgetful(self._sink), self._schema, compression="zstd")

    def add(self, rows: bytes) -> bytes:
        self._writer.write_table(_table(rows, self._schema))
        return self._new()

    def end(self) -> bytes:
        self._writer.close()
        return self._new()

    def _new(self) -> bytes:
        new = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return new


class _Forgetful(io.RawIOBase):
    """Knows how much was written, and keeps nothing of it."""

    def __init__(self, sink: io.BytesIO) -> None:
        self._sink = sink
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._place += len(data)
        return self._sink.write(data)

    def tell(self) -> int:
        return self._place


def _schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415

    types = {name: pa.string() for name in COLUMNS}
    types |= {name: pa.int64() for name in NUMBERS}
    types |= {name: pa.timestamp("us", tz="UTC") for name in MOMENTS}
    types["tags"] = pa.list_(pa.string())
    return pa.schema(list(types.items()))


def _table(rows: bytes, schema: Any) -> Any:
    """An empty cell is none, `""` an empty text: as PostgreSQL tells them apart."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv  # noqa: PLC0415

    types = {field.name: field.type for field in schema} | {"tags": pa.string()}
    table = csv.read_csv(
        pa.BufferReader(rows),
        # One block: a row may be longer than those that are usual.
        read_options=csv.ReadOptions(
            use_threads=False, column_names=list(COLUMNS), block_size=len(rows) + 1
        ),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    place = COLUMNS.index("tags")
    tags = [None if each is None else json.loads(each) for each in table["tags"].to_pylist()]
    return table.set_column(place, schema.field(place), pa.array(tags, schema.field(place).type))
