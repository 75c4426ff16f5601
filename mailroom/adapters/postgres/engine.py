"""Connections to PostgreSQL: one bounded pool each for reading and for writing."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

READ_TIMEOUT_MS = 5_000
CONNECT_SECONDS = 10
# Values are skewed: a plan for one domain is wrong for the next. What is read often is in memory,
# and compiling a statement takes longer than these run, as does starting workers that take the
# processor from deliveries. A bitmap of a million rows has room.
_PLANS = (
    "-c plan_cache_mode=force_custom_plan -c random_page_cost=0.15 -c seq_page_cost=0.1 -c jit=off"
    " -c work_mem=32MB -c max_parallel_workers_per_gather=0"
)


@dataclass(frozen=True)
class Engines:
    write: AsyncEngine
    read: AsyncEngine

    async def dispose(self) -> None:
        await self.write.dispose()
        await self.read.dispose()


def connect(url: URL | str, pool_size: int) -> Engines:
    """Every statement commits by itself unless a transaction is begun by name."""
    return Engines(
        write=_engine(make_url(url), pool_size, ""),
        read=_engine(
            make_url(url),
            pool_size,
            f"-c default_transaction_read_only=on -c statement_timeout={READ_TIMEOUT_MS} {_PLANS}",
        ),
    )


def _engine(url: URL, pool_size: int, options: str) -> AsyncEngine:
    return create_async_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
        # What a statement was given is mail and numbers: not for logs and failures.
        hide_parameters=True,
        json_deserializer=_from_json,
        # Every statement has committed by itself: there is nothing to roll back on return.
        pool_reset_on_return=None,
        connect_args={"connect_timeout": CONNECT_SECONDS, "options": options},
    )


def _from_json(data: bytes | str) -> Any:
    """Pydantic reads it several times as fast, and not as deep, as the standard library."""
    try:
        return from_json(data)
    except ValueError:
        return json.loads(data)
