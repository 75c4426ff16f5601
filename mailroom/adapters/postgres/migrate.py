"""Brings the schema up to date (Alembic)."""

import asyncio
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal

from sqlalchemy import URL, create_engine, make_url, text

# Two processes that start together migrate one after the other.
MIGRATION_LOCK = 0x6D61696C


def _upgrade(url: URL) -> None:
    from alembic import command  # noqa: PLC0415  only in the process that needs it
    from alembic.config import Config  # noqa: PLC0415

    engine = create_engine(url.set(drivername="postgresql+psycopg"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


async def upgrade(url: URL | str) -> None:
    """In a process of its own: what Alembic brings along (9 MiB) is never needed again."""
    with ProcessPoolExecutor(
        1, get_context("spawn"), initializer=signal, initargs=(SIGINT, SIG_IGN)
    ) as process:
        await asyncio.get_running_loop().run_in_executor(process, _upgrade, make_url(url))
