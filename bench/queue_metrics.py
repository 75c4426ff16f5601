"""What figures of a million messages cost: to read them, and to keep them as messages change."""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib import import_module
from statistics import median
from typing import Any

import psutil
import psycopg
from sqlalchemy import URL

from bench.queue_built import plain
from mailroom.adapters.postgres import queue_overview
from mailroom.adapters.postgres.engine import Engines, connect
from mailroom.adapters.postgres.queue_counts import PostgresQueueCounts
from mailroom.adapters.postgres.queue_figures import PostgresQueueFigures
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.queue_figures import QueueScope

METRICS_MS, TRIGGER_US = 50, 100
TIMES, UPDATES, ROUNDS = 20, 2_000, 5
MIGRATION = "mailroom.adapters.postgres.migrations.versions.0014_queue_metrics"


async def measure(url: URL) -> None:
    engines = connect(url, 4)
    await _counted(url, engines)
    await _reading(url, engines)
    await engines.dispose()
    _keeping(url)


async def _counted(url: URL, engines: Engines) -> None:
    """The rows were copied without triggers: they are counted as the migration does it."""
    with psycopg.connect(plain(url), autocommit=True) as connection:
        [counted] = connection.execute("SELECT count(*) FROM queue_counters").fetchone() or [0]
        if counted:
            return
        begun = time.perf_counter()
        migration: Any = import_module(MIGRATION)
        lines = migration._lines(migration._come_or_gone("message_queue", 1))
        number = connection.execute(lines).rowcount
        took = time.perf_counter() - begun
    begun, counts = time.perf_counter(), PostgresQueueCounts(engines.write)
    while await counts.fold(20_000):
        pass
    print(
        f"what is there, counted anew: {took:.1f} s, {number:,} lines added up in"
        f" {time.perf_counter() - begun:.1f} s"
    )
    with psycopg.connect(plain(url), autocommit=True) as connection:
        for table in ("queue_changes", "queue_counters", "queue_minutes", "queue_hours"):
            connection.execute(f"VACUUM (ANALYZE) {table}")


async def _reading(url: URL, engines: Engines) -> None:
    figures = PostgresQueueFigures(engines, OutboundSection())
    with psycopg.connect(plain(url), autocommit=True) as connection:
        rows = connection.execute(
            """SELECT dimension, name, sum(messages) FROM queue_counters WHERE dimension <> 'all'
               GROUP BY 1, 2 ORDER BY 3 DESC"""
        ).fetchall()
    most = {dimension: name for dimension, name, _ in reversed(rows)}
    scopes = {
        "all": QueueScope(),
        "of the largest domain": QueueScope(domain=most["domain"]),
        "of the largest queue": QueueScope(queue_name=most["queue"]),
        "of the largest campaign": QueueScope(campaign_id=most["campaign"]),
        "of the largest tenant": QueueScope(tenant_id=most["tenant"]),
    }
    whole = await figures.metrics(QueueScope())
    print(f"{whole.total_messages:,} messages, {whole.queue_depth:,} wait:")
    for name, scope in scopes.items():
        of = f"metrics {name}" + (f" (goal: under {METRICS_MS})" if name == "all" else "")
        await _timed(of, lambda scope=scope: figures.metrics(scope))
    await _timed("series of a week", lambda: figures.series(QueueScope(), timedelta(days=7)))
    await _timed("top", lambda: figures.ages(QueueScope(), 50))
    await _timed("overview", lambda: queue_overview.overview(engines.read, None))


async def _timed(name: str, look: Callable[[], Awaitable[object]]) -> None:
    await look()
    took = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        await look()
        took.append(1_000 * (time.perf_counter() - begun))
    print(f"  {name}: p50 {median(took):.1f} ms, worst of {TIMES} {max(took):.1f} ms")


def _keeping(url: URL) -> None:
    """What a message's change costs with and without the trigger, in turn; nothing of it stays."""
    with psycopg.connect(plain(url)) as connection:
        found: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(ROUNDS):
            for counted, took in found.items():
                took.append(_updates(connection, counted=counted))
                connection.rollback()
    without, with_ = median(found[False]), median(found[True])
    print(
        f"a change of one message: {without:.0f} µs of CPU, with its figures {with_:.0f} µs"
        f" ({with_ - without:+.0f}, {with_ / without:.2f} times; goal: under {TRIGGER_US} more)"
    )


def _updates(connection: psycopg.Connection, *, counted: bool) -> float:
    """Microseconds of the server's processor for each: others that work here don't count."""
    if not counted:
        connection.execute("ALTER TABLE message_queue DISABLE TRIGGER message_queue_changed")
    server = psutil.Process(connection.info.backend_pid)
    begun = server.cpu_times()
    # In the server alone: round trips cost more than what is measured.
    connection.execute(_LOOP.format(count=UPDATES))
    ended = server.cpu_times()
    return 1e6 * (ended.user + ended.system - begun.user - begun.system) / UPDATES


_LOOP = """
DO $$
DECLARE one uuid;
BEGIN
    FOR one IN SELECT id FROM message_queue WHERE status = 'delivered' LIMIT {count} LOOP
        UPDATE message_queue SET status = 'in_delivery', step = step + 1 WHERE id = one;
    END LOOP;
END $$
"""
