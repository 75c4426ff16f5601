"""Results become hours, hours become scores, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from house import another_database
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.circuits import PostgresCircuits
from mailroom.adapters.postgres.domain_health import PostgresDomainHealth
from mailroom.adapters.postgres.domain_views import PostgresDomainViews
from mailroom.adapters.postgres.queue_states import PostgresQueueStates
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.health import HealthSection, scored
from mailroom.models.outbound.queues import CircuitState, DomainCursor, SetBy, SetState
from mailroom.models.outbound.words import QueueState

TERMS = HealthSection()
OUTBOUND = OutboundSection.model_validate(
    {"queues": [{"name": "*.slow.test", "throttle_rate": 30}], "health": TERMS}
)


@dataclass
class Books:
    engine: AsyncEngine

    @property
    def health(self) -> PostgresDomainHealth:
        return PostgresDomainHealth(self.engine)

    @property
    def circuits(self) -> PostgresCircuits:
        return PostgresCircuits(self.engine, TERMS)

    @property
    def states(self) -> PostgresQueueStates:
        return PostgresQueueStates(self.engine)

    @property
    def views(self) -> PostgresDomainViews:
        return PostgresDomainViews(self.engine, OUTBOUND)

    async def results(self, domain: str, kind: str, count: int = 1, **more: object) -> None:
        values = {"domain": domain, "kind": kind, "count": count, "seconds": 10.0, "ago": 0} | more
        async with self.engine.connect() as connection:
            await connection.execute(_RESULTS, values)

    async def run(self, statement: str, **values: object) -> list[object]:
        async with self.engine.connect() as connection:
            found = await connection.execute(text(statement), values)
            return list(found.scalars()) if found.returns_rows else []

    async def score(self) -> None:
        while await self.health.fold(1_000):
            pass
        now, readings = await self.health.due(1_000)
        await self.health.keep(now, [scored(each, now, TERMS) for each in readings])


_RESULTS = text("""
    INSERT INTO delivery_outcomes (domain, kind, seconds, at)
    SELECT :domain, :kind, CASE WHEN :kind = 'delivered' THEN CAST(:seconds AS float8) END,
           now() - make_interval(hours => :ago)
    FROM generate_series(1, :count)
""")


@pytest.fixture(scope="module")
async def own_database(database: URL) -> AsyncIterator[AsyncEngine]:
    engines = engine.connect(await another_database(database, "domain-health"), 5)
    yield engines.write
    await engines.dispose()


@pytest.fixture
async def books(own_database: AsyncEngine) -> Books:
    books = Books(own_database)
    for table in ("delivery_outcomes", "domain_hours", "domain_health", "queues"):
        await books.run(f"DELETE FROM {table}")
    return books


async def test_results_are_counted_by_domain_and_hour_in_bounded_batches(books: Books) -> None:
    await books.results("a.test", "delivered", 70)
    await books.results("a.test", "delivered", 5, ago=3)
    await books.results("b.test", "bounced", 40)
    assert await books.health.fold(100) == 100
    assert await books.health.fold(100) == 15
    assert await books.health.fold(100) == 0
    rows = await books.run(
        "SELECT row(domain, delivered, bounced)::text FROM domain_hours ORDER BY domain, hour DESC"
    )
    assert rows == ["(a.test,70,0)", "(a.test,5,0)", "(b.test,0,40)"]


async def test_who_counts_at_the_same_time_counts_nothing_twice(books: Books) -> None:
    for domain in ("a.test", "b.test", "c.test"):
        await books.results(domain, "deferred", 400)
    await asyncio.gather(*(books.health.fold(150) for _ in range(8)))
    assert await books.run("SELECT sum(deferred)::int FROM domain_hours") == [1200]
    assert await books.run("SELECT count(*) FROM delivery_outcomes") == [0]


async def test_a_domain_is_shown_with_its_rates_and_what_it_may_get(books: Books) -> None:
    await books.results("mx.slow.test", "delivered", 60, seconds=20.0)
    await books.results("mx.slow.test", "bounced", 30)
    await books.results("mx.slow.test", "deferred", 10)
    await books.score()
    found = await books.views.domain("mx.slow.test")
    assert found is not None
    assert (found.bounce_rate, found.deferral_rate, found.block_rate) == (30.0, 10.0, 0.0)
    assert found.average_delivery_time == pytest.approx(20.0)
    assert found.results == 100
    assert found.throttle_rate == 30
    assert found.last_successful_delivery is not None
    assert 0 < found.score < 100
    [then] = await books.views.history("mx.slow.test")
    assert (then.score, then.bounce_rate) == (found.score, 30.0)


async def test_what_is_older_than_a_day_counts_no_more_and_is_removed(books: Books) -> None:
    await books.results("old.test", "bounced", 100, ago=30)
    await books.score()
    found = await books.views.domain("old.test")
    assert found is not None
    assert (found.score, found.results) == (100, 0)
    await books.health.tidy()
    assert await books.run("SELECT domain FROM domain_hours") == []
    assert await books.views.domain("old.test") is not None


async def test_a_score_that_only_fades_is_renewed_with_the_hour(books: Books) -> None:
    await books.results("fades.test", "bounced", 100)
    await books.score()
    assert (await books.health.due(10))[1] == []
    await books.run("UPDATE domain_health SET scored_at = now() - interval '1 hour'")
    [again] = (await books.health.due(10))[1]
    assert again.domain == "fades.test"


async def test_the_worst_domains_come_first_page_by_page(books: Books) -> None:
    for number in range(5):
        await books.results(f"d{number}.test", "bounced", 3 * number)
        await books.results(f"d{number}.test", "delivered", 20)
    await books.score()
    seen: list[str] = []
    cursor = None
    while True:
        page = await books.views.domains(2, cursor)
        seen += [each.domain for each in page.items]
        if page.next_cursor is None:
            break
        cursor = DomainCursor.of(page.next_cursor)
    assert seen == [f"d{number}.test" for number in (4, 3, 2, 1, 0)]


# --- circuits


async def sick(books: Books, domain: str = "sick.test") -> None:
    await books.results(domain, "bounced", 100)
    await books.score()


async def opened(books: Books, domain: str = "sick.test") -> None:
    await sick(books, domain)
    assert await books.circuits.open({domain: "health 30"}) == [domain]


async def half_open(books: Books, domain: str = "sick.test") -> None:
    until = (await books.states.standing(domain)).until
    assert until is not None
    assert await books.states.end(domain, until)


async def test_a_circuit_opens_once_however_many_find_the_domain_bad(books: Books) -> None:
    await sick(books)
    openings = await asyncio.gather(
        *(books.circuits.open({"sick.test": "health 30"}) for _ in range(8))
    )
    assert sum(map(len, openings)) == 1
    standing = await books.states.standing("sick.test")
    assert (standing.state, standing.set_by) == (QueueState.SUSPENDED, SetBy.HEALTH)
    assert (standing.circuit, standing.openings) == (CircuitState.OPEN, 1)
    assert standing.until is not None
    assert standing.until - datetime.now(UTC) <= TERMS.first_opening


async def test_a_domain_that_is_well_by_then_opens_nothing(books: Books) -> None:
    await books.results("well.test", "delivered", 100)
    await books.score()
    assert await books.circuits.open({"well.test": "an old score"}) == []


async def test_a_probe_that_arrives_closes_the_circuit_and_counting_begins_anew(
    books: Books,
) -> None:
    await opened(books)
    await half_open(books)
    assert (await books.states.standing("sick.test")).circuit is CircuitState.HALF_OPEN
    assert await books.circuits.judge() == []
    await books.results("sick.test", "delivered")
    await books.health.fold(100)
    assert await books.circuits.judge() == ["sick.test"]
    assert (await books.states.standing("sick.test")).state is QueueState.ACTIVE
    await books.score()
    found = await books.views.domain("sick.test")
    assert found is not None
    assert found.score == 100


async def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_limit(books: Books) -> None:
    await opened(books)
    lengths = []
    for _ in range(8):
        await half_open(books)
        await books.circuits.offer_probe("sick.test")
        # The message that passed took the place.
        await books.run("UPDATE queues SET probing_since = NULL")
        await books.results("sick.test", "deferred")
        await books.health.fold(100)
        assert await books.circuits.judge() == ["sick.test"]
        standing = await books.states.standing("sick.test")
        assert standing.until is not None
        lengths.append(round((standing.until - datetime.now(UTC)) / timedelta(minutes=1)))
    assert lengths == [10, 20, 40, 80, 160, 320, 360, 360]


async def test_late_news_of_earlier_messages_fails_no_probe(books: Books) -> None:
    await opened(books)
    await half_open(books)
    await books.results("sick.test", "bounced")
    await books.health.fold(100)
    assert await books.circuits.judge() == []
    assert (await books.states.standing("sick.test")).circuit is CircuitState.HALF_OPEN


async def test_openings_are_forgotten_after_a_healthy_day(books: Books) -> None:
    await opened(books)
    await half_open(books)
    await books.results("sick.test", "delivered")
    await books.health.fold(100)
    await books.circuits.judge()
    await opened(books)
    assert (await books.states.standing("sick.test")).openings == 2
    await books.run("UPDATE queues SET state = 'active', until = NULL, "
                    "changed_at = now() - interval '25 hours'")  # fmt: skip
    assert await books.circuits.open({"sick.test": "again"}) == ["sick.test"]
    assert (await books.states.standing("sick.test")).openings == 1


@pytest.mark.parametrize("state", ["suspended", "draining", "disabled"])
async def test_an_operators_word_is_never_overwritten(books: Books, state: str) -> None:
    wanted = SetState(state=QueueState(state), reason="they move")
    await books.states.set("sick.test", wanted)
    await sick(books)
    assert await books.circuits.open({"sick.test": "health 30"}) == []
    standing = await books.states.standing("sick.test")
    assert (standing.state, standing.reason, standing.set_by) == (state, "they move", "operator")


async def test_active_with_an_end_keeps_a_circuit_closed_till_then(books: Books) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    await books.states.set(
        "sick.test", SetState(state=QueueState.ACTIVE, reason="go on", until=until)
    )
    await sick(books)
    assert await books.circuits.open({"sick.test": "health 30"}) == []
    await books.run("UPDATE queues SET until = now() - interval '1 second'")
    assert await books.circuits.open({"sick.test": "health 30"}) == ["sick.test"]


async def test_active_closes_a_circuit_and_forgives_what_opened_it(books: Books) -> None:
    await opened(books)
    await books.states.set("sick.test", SetState(state=QueueState.ACTIVE, reason="mended"))
    await books.score()
    found = await books.views.domain("sick.test")
    assert found is not None
    assert (found.score, found.circuit) == (100, None)
    assert await books.circuits.open({"sick.test": "an old score"}) == []


async def test_a_suspension_ends_once_and_not_where_its_end_was_moved(books: Books) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    wanted = SetState(state=QueueState.SUSPENDED, reason="they move", until=until)
    await books.states.set("moved.test", wanted)
    later = wanted.model_copy(update={"until": until + timedelta(hours=1)})
    await books.states.set("moved.test", later)
    assert not await books.states.end("moved.test", until)
    assert (await books.states.standing("moved.test")).state is QueueState.SUSPENDED
    ended = await asyncio.gather(*(books.states.end("moved.test", later.until) for _ in range(4)))
    assert sorted(ended) == [False, False, False, True]
    assert (await books.states.standing("moved.test")).state is QueueState.ACTIVE
