"""Lists of messages by any filter in any order: PostgreSQL finds what a loop finds."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from house import another_database
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, text

from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.filter_sql import where
from mailroom.adapters.postgres.message_retention import PostgresMessageRetention
from mailroom.adapters.postgres.message_search import PostgresMessageSearch, Reach
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.places import KEYS, place_of
from mailroom.models.outbound.search_words import tsqueries_of, words_of
from mailroom.models.outbound.words import (
    BounceType,
    MessageQueueStatus,
    QueueSortField,
    QueueState,
    SortOrder,
)

ROWS = 300
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DOMAINS = ["gmail.com", "web.de", "mail.example.org", "münchen.example"]
PEOPLE = ["anna.adler", "ben+news", "käthe_o'neill", "ÄNNE"]
SUBJECTS = ["Summer sale 50%", "Re: Rechnung – März", "привет мир", "a\\b 'c' & !d | (e)", ""]
TAGS = ["vip", "eu", "it's", "a\\b"]
# All ways to a page: everything that fits at once; and walks, short and long, and what lies beyond.
REACHES = [
    Reach(),
    Reach(many=0),
    Reach(few=0, few_counted=0, few_looked_up=0, some=0, short_walk=5, long_walk=40),
    Reach(few=0, few_counted=0, few_looked_up=0, some=0, short_walk=1, long_walk=0),
    Reach(few=0, few_counted=0, few_looked_up=0, some=ROWS, short_walk=1, long_walk=0),
]


@dataclass(repr=False)
class Store:
    messages: Sequence[MessageQueueItem]
    engines: engine.Engines

    def search(self, reach: Reach) -> PostgresMessageSearch:
        return PostgresMessageSearch(self.engines.read, reach)


def drawn(chance: Random, number: int) -> MessageQueueItem:
    domain = chance.choice(DOMAINS)
    at = NOW - chance.randrange(40) * DAY / 4
    return MessageQueueItem(
        id=UUID(int=chance.getrandbits(128), version=4),
        message_id=f"<{number}@ours.test>",
        queue_name=chance.choice([domain, "bulk"]),
        recipient=f"{chance.choice(PEOPLE)}{number % 7}@{domain}",
        sender=chance.choice(["news@shop.example", "no-reply@shop.example"]),
        domain=domain,
        routing_domain=chance.choice([None, None, "relay.example"]),
        campaign_id=chance.choice([None, "spring", "it's"]),
        tenant_id=chance.choice([None, "one", "two"]),
        pool_name=chance.choice([None, "fast", "slow"]),
        status=chance.choice(list(MessageQueueStatus)),
        priority=chance.choice([0, 5, 5, 10]),
        size_bytes=chance.choice([10, 1_000, 1_000, 50_000]),
        num_attempts=chance.choice([0, 1, 1, 2, 20]),
        bounce_classification=chance.choice([None, None, *BounceType]),
        created_at=at,
        scheduled_at=chance.choice([None, None, None, at + DAY, NOW]),
        headers=chance.choice([None, {"Subject": chance.choice(SUBJECTS)}]),
        tags=chance.choice([None, [], chance.sample(TAGS, 2), chance.sample(TAGS, 3)]),
    )


@pytest.fixture(scope="module")
async def store(database: URL) -> AsyncIterator[Store]:
    engines = engine.connect(await another_database(database, "search"), 4)
    chance = Random(8)
    messages = [drawn(chance, number) for number in range(ROWS)]
    rows = [one.model_dump(mode="json", exclude={"queue_state"}) for one in messages]
    names = ", ".join(rows[0])
    async with engines.write.connect() as connection:
        await connection.execute(
            text(
                f"INSERT INTO message_queue ({names}) SELECT {names}"
                " FROM jsonb_populate_recordset(NULL::message_queue, CAST(:rows AS jsonb))"
            ),
            {"rows": json.dumps(rows)},
        )
        await connection.execute(
            text("INSERT INTO queues (queue_name, state, set_by) VALUES ('bulk', :state, 'us')"),
            {"state": "suspended"},
        )
    yield Store(messages, engines)
    await engines.dispose()


# --- what a loop finds


def fits(item: MessageQueueItem, asked: MessageSelection) -> bool:
    state = QueueState.SUSPENDED if item.queue_name == "bulk" else QueueState.ACTIVE
    alike = {
        "queue_name": item.queue_name,
        "domain": item.domain,
        "sender": item.sender,
        "recipient": item.recipient,
        "routing_domain": item.routing_domain,
        "campaign_id": item.campaign_id,
        "tenant_id": item.tenant_id,
        "pool_name": item.pool_name,
        "bounce_type": item.bounce_classification,
        "priority": item.priority,
        "status": item.status,
        "queue_state": state,
        "domains": item.domain,
    }
    for name, value in alike.items():
        wanted = getattr(asked, name)
        if wanted is not None and value not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return (
        _between(item.created_at, asked.created_after, asked.created_before)
        and _between(item.scheduled_at, asked.scheduled_after, asked.scheduled_before)
        and (asked.min_attempts or 0) <= item.num_attempts
        and (asked.max_attempts is None or item.num_attempts <= asked.max_attempts)
        and (asked.min_size_bytes or 0) <= item.size_bytes
        and (asked.max_size_bytes is None or item.size_bytes <= asked.max_size_bytes)
        and set(asked.tags or []) <= set(item.tags or [])
        and _says(item, asked.search_query)
    )


def _between(at: datetime | None, begin: datetime | None, end: datetime | None) -> bool:
    if begin is None and end is None:
        return True
    return at is not None and (not begin or begin <= at) and (not end or at < end)


def _says(item: MessageQueueItem, search: str | None) -> bool:
    subject = (item.headers or {}).get("Subject", "")
    said = words_of(f"{item.recipient} {item.sender} {subject}".lower())
    wanted = words_of((search or "").lower())
    return all(any(word.startswith(beginning) for word in said) for beginning in wanted)


def in_order(items: Sequence[MessageQueueItem], asked: MessageSelection) -> list[UUID]:
    keys = KEYS[asked.sort_by]
    down = asked.sort_order is SortOrder.DESC
    there = [one for one in items if getattr(one, keys[0]) is not None]
    there.sort(key=lambda one: tuple(_comparable(getattr(one, key)) for key in keys), reverse=down)
    none = [one for one in items if getattr(one, keys[0]) is None]
    none.sort(key=lambda one: tuple(getattr(one, key) for key in keys[1:]), reverse=down)
    return [one.id for one in there + none]


def _comparable(value: object) -> object:
    # UTF-8 in the order of its bytes, as the database has it.
    return value.encode() if isinstance(value, str) else value


# --- what is asked


def _maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), st.none(), st.none(), values)


def _some(values: Sequence[object]) -> st.SearchStrategy[object]:
    return _maybe(st.sampled_from(values))


_moments = [NOW - days * DAY for days in (0, 2, 5, 9)]
_asked = st.fixed_dictionaries(
    {
        "status": _maybe(st.lists(st.sampled_from(MessageQueueStatus), min_size=1)),
        "queue_state": _maybe(st.lists(st.sampled_from(QueueState), min_size=1)),
        "queue_name": _some(["bulk", "web.de"]),
        "domains": _maybe(st.lists(st.sampled_from(DOMAINS), min_size=1, max_size=3)),
        "sender": _some(["news@shop.example", "nobody@shop.example"]),
        "recipient": _some(["anna.adler1@gmail.com", "käthe_o'neill2@web.de"]),
        "routing_domain": _some(["relay.example"]),
        "campaign_id": _some(["spring", "it's"]),
        "tenant_id": _some(["one", "two"]),
        "pool_name": _some(["fast", "slow"]),
        "created_after": _some(_moments[1:]),
        "created_before": _some(_moments[:1]),
        "scheduled_after": _some(_moments[1:]),
        "search_query": _some(
            [
                "ann",
                "ADLER gmail",
                "50%",
                "rechnung märz",
                "ПРИВ",
                "c & !d",
                "änne",
                "o'ne",
                "x y z",
            ]
        ),
        "tags": _maybe(st.lists(st.sampled_from(TAGS), min_size=1, max_size=2)),
        "min_attempts": _some([0, 1, 2]),
        "max_attempts": _some([2, 20]),
        "bounce_type": _some(list(BounceType)),
        "min_size_bytes": _some([0, 11]),
        "max_size_bytes": _some([1_000, 2_000]),
        "priority": _some([5, 10]),
        "sort_by": st.sampled_from(QueueSortField),
        "sort_order": st.sampled_from(SortOrder),
        "limit": st.integers(1, 60),
    }
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_fields=_asked, reach=st.sampled_from(REACHES), offset=st.integers(0, 20))
async def test_pages_are_what_a_loop_over_all_rows_finds(
    store: Store, given_fields: dict[str, object], reach: Reach, offset: int
) -> None:
    known = {name: value for name, value in given_fields.items() if value is not None}
    asked = MessageSelection.model_validate(known | {"offset": offset})
    page = await store.search(reach).page(asked)
    expected = in_order([one for one in store.messages if fits(one, asked)], asked)
    assert [one.id for one in page.items] == expected[offset : offset + asked.limit]
    assert (page.total, page.total_is_exact) == (len(expected), True)
    assert (page.next_cursor is None) == (offset + asked.limit >= len(expected))


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("order", SortOrder)
@pytest.mark.parametrize("sort", QueueSortField)
async def test_cursors_lead_to_every_row_once(
    store: Store, sort: QueueSortField, order: SortOrder, reach: Reach
) -> None:
    asked = MessageSelection(sort_by=sort, sort_order=order, limit=37, min_attempts=1)
    seen: list[UUID] = []
    after = None
    while True:
        page = await store.search(reach).page(asked, after)
        seen += [one.id for one in page.items]
        if page.next_cursor is None:
            break
        after = place_of(asked, page.next_cursor)
    assert seen == in_order([one for one in store.messages if fits(one, asked)], asked)


async def test_a_filter_as_a_condition_means_the_same(store: Store) -> None:
    asked = MessageSelection(search_query="ann", tags=["vip"], queue_state=QueueState.ACTIVE)
    condition = where(asked)
    statement = text(f"SELECT m.id FROM message_queue AS m WHERE {condition.sql}")
    async with store.engines.read.connect() as connection:
        found = set(await connection.scalars(statement, condition.values))
    assert found == {one.id for one in store.messages if fits(one, asked)} != set()


async def test_words_follow_the_message(store: Store) -> None:
    one = store.messages[0]
    statement = "UPDATE message_queue SET {} WHERE id = :id"
    asked = MessageSelection(search_query="zeppel")
    async with store.engines.write.connect() as connection:
        await connection.execute(
            text(statement.format("headers = jsonb_build_object('Subject', 'Zeppelin!')")),
            {"id": one.id},
        )
        page = await store.search(Reach()).page(asked)
        await connection.execute(
            text(statement.format("headers = CAST(:before AS jsonb)")),
            {"id": one.id, "before": json.dumps(one.headers) if one.headers else None},
        )
    assert [found.id for found in page.items] == [one.id]
    assert (await store.search(Reach()).page(asked)).items == []


async def test_metadata_is_listed_as_deep_as_it_is_taken(store: Store) -> None:
    """Pydantic's parser gives up at 200 levels, its validation and PostgreSQL do not."""
    one, deep = store.messages[0].id, {"a": json.loads("[" * 230 + "]" * 230)}
    put = text("UPDATE message_queue SET metadata = CAST(:metadata AS jsonb) WHERE id = :id")
    async with store.engines.write.connect() as connection:
        await connection.execute(put, {"id": one, "metadata": json.dumps(deep)})
    page = await store.search(Reach()).page(MessageSelection(limit=ROWS))
    assert [each.metadata for each in page.items if each.id == one] == [deep]
    async with store.engines.write.connect() as connection:
        await connection.execute(put, {"id": one, "metadata": None})


async def words_in(store: Store, *words: str) -> set[str]:
    statement = text("SELECT word FROM message_words WHERE word = ANY(:words)")
    async with store.engines.read.connect() as connection:
        return set(await connection.scalars(statement, {"words": list(words)}))


async def test_a_word_is_known_as_long_as_a_message_has_it(store: Store) -> None:
    one = store.messages[1]
    statement = text("UPDATE message_queue SET headers = CAST(:headers AS jsonb) WHERE id = :id")
    async with store.engines.write.connect() as connection:
        for headers in ({"Subject": "Quokka, gmail"}, one.headers):
            said = json.dumps(headers) if headers else None
            await connection.execute(statement, {"id": one.id, "headers": said})
    assert await words_in(store, "quokka", "gmail") == {"quokka", "gmail"}
    retention = PostgresMessageRetention(store.engines.write)
    assert await retention.remove_events(NOW, 200) >= 1
    assert await words_in(store, "quokka", "gmail", "adler1") == {"gmail", "adler1"}
    assert await retention.remove_events(NOW, 200) == 0


@pytest.mark.parametrize("longest", ["a", "ø", "界", "😀"])
async def test_indexes_take_the_longest_names(store: Store, longest: str) -> None:
    chance = Random(longest)
    drawn = [chr(ord(longest) + chance.randrange(64)) for _ in range(900)]
    values = {
        "queue_name": "".join(drawn[:255]),
        "campaign_id": "".join(drawn[255:355]),
        "tenant_id": "".join(drawn[355:455]),
        "pool_name": "".join(drawn[455:555]),
        "domain": ".".join(["".join(drawn[n : n + 50]) for n in range(600, 800, 50)]),
        "id": UUID(int=chance.getrandbits(128), version=4),
    }
    names = ", ".join(values)
    bound = ", ".join(f":{name}" for name in values)
    async with store.engines.write.connect() as connection:
        await connection.execute(
            text(
                f"INSERT INTO message_queue ({names}, message_id, recipient, sender, status,"
                f" size_bytes, scheduled_at, bounce_classification)"
                f" VALUES ({bound}, 'x', 'x', 'x', 'bounced', 1, now(), 'unknown')"
            ),
            values,
        )
        asked = {"campaign_id": values["campaign_id"], "tenant_id": values["tenant_id"]}
        page = await store.search(Reach()).page(MessageSelection.model_validate(asked))
        await connection.execute(
            text("DELETE FROM message_queue WHERE id = :id"), {"id": values["id"]}
        )
    assert [(one.id, one.queue_name) for one in page.items] == [
        (values["id"], values["queue_name"])
    ]


def test_a_word_is_its_beginning_or_the_words_that_begin_so() -> None:
    assert tsqueries_of(["ann", "gm"]) == ["'ann':*", "'gm':*"]
    assert tsqueries_of(["ann", "gm"], {"gm": ["gmail", "gmx"]}) == ["'ann':*", "('gmail' | 'gmx')"]


def test_a_letter_is_one_however_it_is_written() -> None:
    assert words_of("a\u0308rzte") == ["\u00e4rzte"]
    assert words_of("\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2") == [
        "\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3"
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=90))
async def test_any_text_is_split_alike_on_both_sides(store: Store, said: str) -> None:
    statement = text("""
        SELECT words_of_message('', '', :said, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
               words_of_message('', '', lower(:words), NULL, NULL, NULL, NULL, NULL, NULL, NULL)
    """)
    async with store.engines.read.connect() as connection:
        row = (
            await connection.execute(statement, {"said": said, "words": " ".join(words_of(said))})
        ).one()
    assert row[0] == row[1]
