"""Figures of queues: whatever happened to messages, they are what a look at each of them says."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from house import another_database
from metrics_world import SCOPES, Traffic, figures_of
from sqlalchemy import URL, text
from temporalio.testing import ActivityEnvironment
from world import eventually

from activities.add_up import AddUp
from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.engine import Engines
from mailroom.adapters.postgres.queue_counts import PostgresQueueCounts
from mailroom.adapters.postgres.queue_figures import MOST_UNFOLDED, PostgresQueueFigures
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.queue_figures import QueueScope

OUTBOUND = OutboundSection.model_validate(
    {"queues": [{"name": "*.slow.test", "throttle_rate": 30}]}
)
KNOWN = (
    "queue_changes",
    "queue_counters",
    "queue_minutes",
    "queue_hours",
    "queue_totals",
    "domain_health",
)
# Clocks go on between two looks.
MOVING = {
    "average_queue_time": 5.0,
    "oldest_message_age": 5.0,
    "newest_message_age": 5.0,
    "average_delivery_time": 0.001,
    "retry_rate": 1e-9,
    "bounce_rate": 1e-9,
    "delivery_rate": 1e-6,
}


@pytest.fixture(scope="module")
async def engines(database: URL) -> AsyncIterator[Engines]:
    found = engine.connect(await another_database(database, "metrics"), 5)
    yield found
    await found.dispose()


@pytest.fixture
async def figures(engines: Engines) -> PostgresQueueFigures:
    """Of nothing: what other tests left is gone, and what is known of it."""
    async with engines.write.connect() as connection:
        await connection.execute(text("DELETE FROM message_queue"))
        await connection.execute(text(f"TRUNCATE {', '.join(KNOWN)}"))
    return PostgresQueueFigures(engines, OUTBOUND)


async def run(engines: Engines, statement: str, **values: object) -> Any:
    async with engines.write.connect() as connection:
        found = await connection.execute(text(statement), values)
        return found.scalar() if found.returns_rows else None


async def message(engines: Engines, **given: object) -> str:
    known = {"status": "ready", "domain": "d0.test", "campaign": "autumn", "ago": 0.0} | given
    return str(
        await run(
            engines,
            """INSERT INTO message_queue (id, message_id, recipient, sender, queue_name, domain,
                                          campaign_id, status, size_bytes, created_at)
               VALUES (:id, 'm', 'a@b.test', 'us@ours.test', :domain, :domain, :campaign, :status,
                       100, now() - :ago * interval '1 second') RETURNING id""",
            id=uuid4(),
            **known,
        )
    )


async def check(figures: PostgresQueueFigures, traffic: Traffic) -> None:
    rows = await traffic.all()
    for scope in SCOPES:
        found = (await figures.metrics(scope)).model_dump()
        wanted = figures_of(rows, scope)
        for name, value in wanted.items():
            expected = pytest.approx(value, abs=MOVING[name]) if name in MOVING else value
            assert found[name] == expected, (scope.given, name)


@pytest.mark.parametrize("seed", range(6))
async def test_figures_are_those_of_the_messages_whatever_happens_to_them(
    figures: PostgresQueueFigures, engines: Engines, seed: int
) -> None:
    """Many at once and one by one; with what changed added up in between, by two at once too."""
    traffic = Traffic(engines, random.Random(seed))
    await traffic.come(40)
    for _ in range(3):
        for _ in range(6):
            match traffic.luck.randrange(6):
                case 0:
                    await traffic.come(traffic.luck.choice([1, 1, 25]))
                case 1:
                    await traffic.counts.fold(traffic.luck.choice([3, 50, 10_000]))
                case 2:
                    await asyncio.gather(
                        *(traffic.counts.fold(7) for _ in range(3)), traffic.change()
                    )
                    await traffic.counts.tidy()
                case _:
                    await traffic.change()
        await check(figures, traffic)


async def test_a_line_that_is_added_up_last_finds_what_waits_for_it(
    figures: PostgresQueueFigures, engines: Engines
) -> None:
    counts = PostgresQueueCounts(engines.write)
    one = await message(engines)
    await run(engines, "UPDATE message_queue SET num_attempts = 3 WHERE id = :id", id=one)
    await run(engines, "DELETE FROM message_queue WHERE id = :id", id=one)
    transacting = engines.write.execution_options(isolation_level="READ COMMITTED")
    async with transacting.begin() as busy:
        held = text("SELECT retries FROM queue_changes WHERE messages = 0 FOR UPDATE")
        assert (await busy.scalars(held)).all() == [2]
        assert await counts.fold(100) == 2
        await counts.tidy()
    assert await counts.fold(100) == 1
    assert (await figures.metrics(QueueScope())).total_retries == 0
    await counts.tidy()
    assert await run(engines, "SELECT count(*) FROM queue_counters") == 0


async def test_nothing_is_left_of_messages_that_are_gone(
    figures: PostgresQueueFigures, engines: Engines
) -> None:
    traffic = Traffic(engines, random.Random(7))
    await traffic.come(50)
    await traffic.counts.fold(1_000)
    await run(engines, "DELETE FROM message_queue")
    while await traffic.counts.fold(1_000):
        pass
    await traffic.counts.tidy()
    assert await run(engines, "SELECT count(*) FROM queue_counters") == 0
    assert await run(engines, "SELECT sum(submitted + delivered) FROM queue_hours") in (None, 0)


async def test_an_emptied_table_has_no_figures(
    figures: PostgresQueueFigures, engines: Engines
) -> None:
    await message(engines)
    await PostgresQueueCounts(engines.write).fold(1_000)
    await run(engines, "TRUNCATE message_queue CASCADE")
    found = await figures.metrics(QueueScope())
    assert (found.total_messages, found.messages_last_hour) == (0, 0)


async def test_readers_during_a_fold_see_every_message_once(
    figures: PostgresQueueFigures, engines: Engines
) -> None:
    for _ in range(30):
        await message(engines)
    counts = PostgresQueueCounts(engines.write)

    async def fold() -> None:
        while await counts.fold(1):
            pass

    folding = asyncio.gather(fold(), fold())
    seen = set()
    while not folding.done():
        seen.add((await figures.metrics(QueueScope())).total_messages)
    await folding
    assert seen == {30}


async def test_the_minutes_look_leaves_nothing_to_add_up(
    figures: PostgresQueueFigures, engines: Engines
) -> None:
    """Of what is too old to be asked for, nothing either."""
    traffic = Traffic(engines, random.Random(9))
    await traffic.come(100)
    await message(engines, ago=86_400.0 * 7.9)
    await ActivityEnvironment().run(AddUp(traffic.counts).add_up)
    assert await run(engines, "SELECT count(*) FROM queue_changes") == 0
    old = "UPDATE queue_{0} SET at = at - interval '8 days'"
    for table in ("minutes", "hours"):
        await run(engines, old.format(table))
    await ActivityEnvironment().run(AddUp(traffic.counts).add_up)
    left = "SELECT count(*) FROM queue_minutes CROSS JOIN queue_hours"
    assert await run(engines, left) == 0


async def test_what_changes_no_figure_writes_no_line(engines: Engines) -> None:
    await message(engines)
    before = await run(engines, "SELECT count(*) FROM queue_changes")
    await run(engines, "UPDATE message_queue SET held = true, step = step + 1, updated_at = now()")
    assert await run(engines, "SELECT count(*) FROM queue_changes") == before


async def test_an_hour_begins_within_a_minute(
    figures: PostgresQueueFigures, engines: Engines
) -> None:
    """Messages of one minute, on both sides of the moment."""
    hour, day, week = 3_600, 86_400, 604_800
    for length in (hour, day, week):
        for seconds in (-25, -15, 3, 8):
            await message(engines, ago=length + seconds)
    for scope in (QueueScope(), QueueScope(domain="d0.test"), QueueScope(campaign_id="autumn")):
        for _ in range(2):
            found = await figures.metrics(scope)
            assert found.messages_last_hour == 2
            assert found.messages_last_24h == 4 + 2
            assert found.messages_last_7d == 8 + 2
            await PostgresQueueCounts(engines.write).fold(1_000)


async def test_who_reads_has_many_changes_added_up(
    figures: PostgresQueueFigures, engines: Engines
) -> None:
    """The minute's look may be late; a page must not get slower by the hour."""
    traffic = Traffic(engines, random.Random(8))
    await traffic.come(MOST_UNFOLDED + 500)
    assert (await figures.metrics(QueueScope())).total_messages == MOST_UNFOLDED + 500

    async def few_are_left() -> bool:
        return int(await run(engines, "SELECT count(*) FROM queue_changes")) <= MOST_UNFOLDED

    await eventually(few_are_left)
    assert (await figures.metrics(QueueScope())).total_messages == MOST_UNFOLDED + 500


async def test_a_series_has_what_happened_by_the_minute(
    figures: PostgresQueueFigures, engines: Engines
) -> None:
    id = await message(engines)
    other = await message(engines, domain="d1.test")
    steps = (
        "status = 'in_delivery'",
        "status = 'deferred', num_attempts = 1, last_attempt_at = now()",
        # Held, and let go: no attempt.
        "status = 'deferred', held = true",
        "status = 'in_delivery', held = false",
        "status = 'delivered', num_attempts = 2, delivered_at = now()",
    )
    for step in steps:
        await run(engines, f"UPDATE message_queue SET {step} WHERE id = :id", id=id)
    gone = "status = 'bounced', num_attempts = 1, bounce_classification = 'hard'"
    await run(engines, f"UPDATE message_queue SET {gone} WHERE id = :id", id=other)
    for _ in range(2):
        for scope, expected in (
            (QueueScope(), {"submitted": 2, "delivered": 1, "deferred": 1, "bounced": 1}),
            (QueueScope(domain="d1.test"), {"submitted": 1, "bounced": 1}),
            (QueueScope(campaign_id="autumn"), {"submitted": 2, "delivered": 1}),
        ):
            for length in (timedelta(minutes=5), timedelta(hours=24), timedelta(hours=192)):
                found = await figures.series(scope, length)
                assert len(found.at) == len(found.submitted) <= 500
                assert {b - a for a, b in zip(found.at, found.at[1:], strict=False)} <= {
                    found.step_seconds
                }
                for event, number in expected.items():
                    assert sum(getattr(found, event)) == number, (scope.given, length, event)
        await PostgresQueueCounts(engines.write).fold(1_000)
    assert await figures.totals() == {"submitted": 2, "delivered": 1, "deferred": 1, "bounced": 1}
    await run(engines, "DELETE FROM message_queue")
    assert (await figures.totals())["delivered"] == 1


async def test_depths_have_the_health_and_the_rate_of_their_domains(
    figures: PostgresQueueFigures, engines: Engines
) -> None:
    await message(engines, domain="mx.slow.test")
    await run(engines, "INSERT INTO domain_health (domain, score) VALUES ('mx.slow.test', 61)")
    await run(engines, "INSERT INTO domain_health (domain, score) VALUES ('idle.test', 90)")
    [(domain, score)] = (await figures.metrics(QueueScope())).domain_health_scores.items()
    assert (domain, score.score, score.throttle_rate) == ("mx.slow.test", 61, 30)
    asked = await figures.metrics(QueueScope(domain="idle.test"))
    assert asked.domain_health_scores["idle.test"].score == 90


async def test_what_waits_is_shown_by_domain_and_age(
    figures: PostgresQueueFigures, engines: Engines
) -> None:
    for minutes in (1, 6, 30, 30, 200, 5_000):
        await message(engines, ago=60.0 * minutes)
    id = await message(engines, domain="d1.test", status="deferred")
    await run(
        engines,
        """UPDATE message_queue SET last_bounce_reason = '451 4.7.1 later', last_attempt_at = now()
           WHERE id = :id""",
        id=id,
    )
    await run(
        engines,
        """UPDATE message_queue SET status = 'suspended', last_bounce_reason = 'a look first',
               smtp_response = '{"code": 451, "message": "4.7.1 later"}' WHERE id = :id""",
        id=id,
    )
    await message(engines, domain="d2.test", status="delivered")
    found = await figures.ages(QueueScope(), 1)
    assert found.ages == [2, 1, 0, 2, 0, 0, 1, 0, 0, 1]
    assert (found.total, found.domains) == (7, 2)
    [deepest] = found.deepest
    assert (deepest.domain, deepest.total, deepest.last_error) == ("d0.test", 6, None)
    assert deepest.ages == [1, 1, 0, 2, 0, 0, 1, 0, 0, 1]
    [other] = (await figures.ages(QueueScope(domain="d1.test"), 50)).deepest
    assert (other.total, other.last_error) == (1, "451 4.7.1 later")
    nothing = await figures.ages(QueueScope(domain="d2.test"), 50)
    assert (nothing.total, nothing.deepest, nothing.ages) == (0, [], [0] * 10)
