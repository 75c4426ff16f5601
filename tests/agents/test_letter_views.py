"""Lists of letters, inboxes, one letter by the beginning of its ID."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from house import another_database
from letters_world import Post, post_on
from sqlalchemy import URL, text

from mailroom.adapters.postgres import letter_figures, letter_sql
from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_handling import Mailbox
from mailroom.models.agent_mail import LetterState, Priority
from mailroom.models.letter_rows import (
    LARGEST_NUMBER,
    CircuitState,
    InboxCursor,
    LetterFilter,
    LetterRow,
)

STRANGE = [
    "", "   ", "&", "!!!", "a & | ! (", "'", "''", "\\", "a\\'b", "foo:*", ":*", "<->", "a <-> ",
    "\0", "x\0y", "%", "rig/worker", "a" * 5_000, "𝔘𝔫𝔦", "\u202e", "(" * 500, "-" * 300, "日本",
    "'; DROP TABLE agent_mail; --", "::::", "a:b:c", "1' OR '1'='1", "\ud7ff\ue000",
]  # fmt: skip


@pytest.fixture
async def post(database: URL) -> AsyncIterator[Post]:
    async with post_on(database) as post:
        yield post


@pytest.fixture(scope="module")
async def own(database: URL) -> AsyncIterator[Post]:
    """With nobody else's letters, for what counts them all."""
    agents = AgentsSection(
        addresses=("quiet/",), mailboxes=(Mailbox(address="rig/slow", breaker={"open_for": "1h"}),)
    )
    async with post_on(await another_database(database, "letters"), agents) as post:
        yield post


def ids(rows: list[LetterRow]) -> list[str]:
    return [row.id for row in rows]


# --- lists


async def test_the_newest_letter_comes_first_and_pages_join(post: Post, marker: str) -> None:
    sent = [await post.letter(f"rig/{marker}") for _ in range(7)]
    found: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor:
        page = await post.views.page(LetterFilter(to=f"rig/{marker}"), cursor, limit=3)
        found += ids(page.items)
        cursor, pages = page.next_cursor, pages + 1
    assert found == sent[::-1]
    assert pages == 3


async def test_conditions_are_all_to_hold(post: Post, marker: str) -> None:
    to = f"rig/{marker}"
    dead = await post.letter(to, LetterState.DEAD_LETTER, priority=Priority.URGENT)
    await post.letter(to, LetterState.DEAD_LETTER)
    waits = await post.letter(to, sender=f"{marker}/")
    statuses = (LetterState.DEAD_LETTER, LetterState.EXPIRED)
    wanted = LetterFilter(to=to, statuses=statuses, priorities=(Priority.URGENT, Priority.HIGH))
    assert ids((await post.views.page(wanted)).items) == [dead]
    wanted = LetterFilter(to=to, sender=f"{marker}/")
    assert ids((await post.views.page(wanted)).items) == [waits]
    assert ids((await post.views.page(LetterFilter(thread=waits))).items) == [waits]
    assert await post.views.count(LetterFilter(to=to)) == 3


async def test_an_agent_sees_what_it_got_and_what_it_sent(post: Post, marker: str) -> None:
    me = f"rig/{marker}"
    got = await post.letter(me)
    sent = await post.letter("mayor/", sender=me)
    to_itself = await post.letter(me, sender=me)
    await post.letter(f"rig/x{marker}", sender="mayor/")
    mine = await post.views.page(LetterFilter(mine=me))
    assert ids(mine.items) == [to_itself, sent, got]
    page = await post.views.page(LetterFilter(mine=me), limit=2)
    rest = await post.views.page(LetterFilter(mine=me), page.next_cursor, limit=2)
    assert ids(page.items + rest.items) == [to_itself, sent, got]
    assert rest.next_cursor is None


async def test_a_search_finds_beginnings_of_words(post: Post, marker: str) -> None:
    to = f"rig/{marker}"
    build = await post.letter(to, subject=f"Build {marker}", body="The deployment failed: O'Hara")
    other = await post.letter(to, subject=f"Lunch {marker}", body="At noon")
    for search, found in {
        f"{marker} deploy": [build],
        f"{marker[:6]} o'hara": [build],
        f"noo {marker}": [other],
        marker: [other, build],
        f"{marker} nothing": [],
        to: [other, build],
        f"{marker[1:]}": [],
        f"build {to.partition('/')[2]}": [build],
    }.items():
        page = await post.views.page(LetterFilter(to=to, search=search))
        assert ids(page.items) == found, search


@pytest.mark.parametrize("search", STRANGE)
async def test_no_search_is_an_error(post: Post, marker: str, search: str) -> None:
    found = await post.views.page(LetterFilter(to=marker, search=search))
    assert await post.views.count(LetterFilter(to=marker, search=search)) == len(found.items) == 0


async def test_unread_is_what_nobody_has_read_or_done(post: Post, marker: str) -> None:
    to = f"rig/{marker}"
    unread = await post.letter(to, LetterState.DELIVERED)
    read, done = [await post.letter(to, LetterState.DELIVERED) for _ in range(2)]
    await post.letter(to, LetterState.DEAD_LETTER)
    await post.actions.read(read)
    await post.actions.acknowledge(done)
    page = await post.views.page(LetterFilter(to=to, unread=True))
    assert ids(page.items) == [unread]


# --- inboxes


async def an_inbox(post: Post, to: str) -> dict[str, str]:
    letters = {
        "normal": await post.letter(to),
        "low": await post.letter(to, priority=Priority.LOW),
        "urgent": await post.letter(to, priority=Priority.URGENT),
        "pinned": await post.letter(to, LetterState.DELIVERED, pinned=True, priority=Priority.LOW),
        "second": await post.letter(to, LetterState.DELIVERED),
        "read": await post.letter(to, LetterState.DELIVERED),
    }
    for state in (LetterState.DEAD_LETTER, LetterState.EXPIRED, LetterState.DISCARDED):
        await post.letter(to, state, pinned=True)
    await post.letter(f"{to}x")
    for each in ("pinned", "read"):
        await post.actions.read(letters[each])
    return letters


async def names(
    post: Post, to: str, letters: dict[str, str], limit: int, **asked: Any
) -> list[str]:
    known = {letter: name for name, letter in letters.items()}
    found: list[str] = []
    cursor: InboxCursor | None = None
    while True:
        page = await post.views.inbox(to, cursor=cursor, limit=limit, **asked)
        found += [known[row.id] for row in page.items]
        if page.next_cursor is None:
            return found
        cursor = InboxCursor.of(page.next_cursor)


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_an_inbox_begins_with_what_is_pinned_then_by_priority(
    post: Post, marker: str, limit: int
) -> None:
    to = f"rig/{marker}"
    letters = await an_inbox(post, to)
    unread = await names(post, to, letters, limit)
    assert unread == ["pinned", "urgent", "normal", "second", "low"]
    every = await names(post, to, letters, limit, unread=False)
    assert every == ["pinned", "urgent", "normal", "second", "read", "low"]
    by_age = await names(post, to, letters, limit, by_priority=False)
    assert by_age == ["pinned", "normal", "low", "urgent", "second"]


@pytest.mark.parametrize("cursor", ["", "x", "e30", "bm8", "W10", "////", "é", "A" * 9_000, "\0"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match="leave it out"):
        InboxCursor.of(cursor)


def test_a_deeply_nested_cursor_is_refused() -> None:
    import base64

    nested = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(ValueError, match="leave it out"):
        InboxCursor.of(nested)


# --- one letter


async def test_a_letter_is_found_by_the_beginning_of_its_id(post: Post, marker: str) -> None:
    to, unique = f"rig/{marker}", uuid4().hex
    one = await post.letter(to, id=f"{unique[:31]}0")
    two = await post.letter(to, id=f"{unique[:31]}f", sender=f"{marker}/")
    assert {row.id for row in await post.views.find(unique[:10])} == {one, two}
    assert ids(list(await post.views.find(one))) == [one]
    assert await post.views.find(uuid4().hex) == []
    first, second = await post.views.find(unique[:10], mine=f"{marker}/")
    assert (first.id, first.mine, second.mine) == (two, True, False)


async def test_a_thread_is_read_from_its_beginning(post: Post, marker: str) -> None:
    me, other = f"rig/{marker}", f"rig/x{marker}"
    first = await post.letter(me, sender=other)
    answer = await post.letter(other, sender=me, thread=first, reply_to=first)
    aside = await post.letter(other, sender="mayor/", thread=first)
    assert ids((await post.views.thread(first, None)).items) == [first, answer, aside]
    assert ids((await post.views.thread(first, me)).items) == [first, answer]
    page = await post.views.thread(first, None, limit=2)
    assert ids((await post.views.thread(first, None, page.next_cursor)).items) == [aside]


async def test_a_timeline_tells_what_happened_in_its_order(post: Post, marker: str) -> None:
    letter = await post.letter(f"rig/{marker}", LetterState.RETRYING)
    await post.actions.acknowledge(letter)
    assert await post.lines(letter) == [
        "message.routing_failed", "message.routed", "message.acknowledged",
    ]  # fmt: skip
    [failed, routed, _] = await post.views.timeline(letter, f"rig/{marker}")
    assert failed.detail == {"reason": "Nobody took it."}
    assert routed.detail == {"channel": "inbox"}


# --- queues, mailboxes, figures


async def test_queues_mailboxes_and_figures(own: Post) -> None:
    late = await own.letter("rig/a", priority=Priority.LOW)
    urgent = await own.letter("rig/a", priority=Priority.URGENT)
    trying = await own.letter("rig/b", LetterState.DELIVERING)
    retrying = await own.letter("rig/b", LetterState.RETRYING)
    dead = await own.letter("rig/slow", LetterState.DEAD_LETTER, strategy="quiet")
    arrived = await own.letter("rig/a", LetterState.DELIVERED, strategy="control")
    await own.actions.acknowledge(arrived)
    await own.letter("rig/gone", LetterState.EXPIRED)
    await own.online("rig/b")
    await own.run("INSERT INTO agents (address, failures, opened_at) VALUES ('rig/slow', 5, now())")

    queues = await own.figures.queues(limit=2)
    assert queues.enabled
    assert queues.inbound.total == 3
    assert [one.id for one in queues.inbound.items] == [urgent, trying]
    assert [one.id for one in queues.outbound.items] == [retrying]
    [item] = queues.dead_letter.items
    assert (item.id, item.error, item.attempts) == (dead, "Nobody took it.", 2)
    assert (await own.figures.queues(limit=9)).inbound.items[-1].id == late

    boxes = {box.address: box for box in await own.figures.mailboxes()}
    assert boxes.keys() == {"overseer", "quiet/", "rig/a", "rig/b", "rig/gone", "rig/slow"}
    a, b, slow = boxes["rig/a"], boxes["rig/b"], boxes["rig/slow"]
    assert (a.queued, a.unread, a.online) == (2, 2, False)
    assert (b.queued, b.unread, b.online, b.sessions) == (2, 2, True, 1)
    assert b.last_active_at is not None
    assert (slow.dead_letters, slow.unread, slow.circuit) == (1, 0, CircuitState.OPEN)
    later = datetime.now(UTC) + timedelta(hours=2)
    states = {box.address: box.circuit for box in await own.figures.mailboxes(later)}
    assert states["rig/slow"] is CircuitState.HALF_OPEN
    assert states["rig/a"] is CircuitState.CLOSED

    figures = await own.figures.figures(timedelta(hours=24))
    assert (figures.delivered, figures.failed) == (1, 2)
    assert figures.success_rate == pytest.approx(1 / 3, abs=1e-4)
    assert 3_000 < (figures.delivery_seconds.p50 or 0) < 4_000, "sent an hour ago"
    assert 0 <= (figures.acknowledge_seconds.p95 or 0) < 60
    assert [(one.address, one.queued) for one in figures.queue_depths] == [
        ("rig/a", 2),
        ("rig/b", 2),
    ]
    assert figures.events["message.queued"] == 2
    assert figures.events["message.routed"] == figures.events["message.acknowledged"] == 1
    control, quiet = figures.strategies
    assert (control.strategy, control.letters, control.delivered) == ("control", 1, 1)
    assert (quiet.strategy, quiet.delivered, quiet.delivery_seconds.p50) == ("quiet", 0, None)

    counts = await own.figures.counts()
    assert (counts.waiting, counts.sessions, counts.circuits_open) == (4, 1, 1)
    assert counts.letters[LetterState.DEAD_LETTER] == 1


async def test_figures_of_nothing_are_none(own: Post) -> None:
    figures = await own.figures.figures(timedelta(0))
    assert (figures.success_rate, figures.delivered) == (None, 0)
    assert figures.delivery_seconds.p95 is None


# --- indexes


async def plan(post: Post, statement: str, **values: object) -> str:
    async with post.engines.read.connect() as connection:
        rows = await connection.scalars(text(f"EXPLAIN {statement}"), values)
        return "\n".join(rows)


@pytest.fixture(scope="module")
async def crowded(database: URL) -> AsyncIterator[Post]:
    """100,000 letters to 500 addresses, of which a thousandth waits and a tenth is unread; most
    are more than a day old."""
    async with post_on(await another_database(database, "crowded")) as post:
        async with without_indexes(post):
            await post.run("""
                INSERT INTO agent_mail (id, "to", "from", subject, body, priority, delivery, status,
                                        thread, step, sent_at, updated_at, read_at, pinned)
                SELECT md5(n::text), 'rig/w' || n % 500, 'rig/w' || n % 77, 'Letter ' || n, 'Text',
                       n % 4, 'queue',
                       CASE WHEN n % 1000 = 0 THEN 'queued' WHEN n % 1000 = 1 THEN 'dead_letter'
                            WHEN n % 1000 = 2 THEN 'retrying' ELSE 'delivered' END,
                       md5((n / 3)::text), 1, at, at,
                       CASE WHEN n % 10 > 0 THEN at END, n % 5000 = 0
                FROM generate_series(1, 100000) AS n,
                     LATERAL (SELECT now() - n * interval '1 minute') AS moment (at)
            """)
        await post.run("ANALYZE agent_mail")
        yield post


@asynccontextmanager
async def without_indexes(post: Post) -> AsyncIterator[None]:
    """Made again at the end, which is quicker than row by row."""
    query = """
        SELECT indexname, indexdef FROM pg_indexes
        WHERE tablename = 'agent_mail' AND indexdef NOT LIKE 'CREATE UNIQUE%'
    """
    async with post.engines.read.connect() as connection:
        indexes = (await connection.execute(text(query))).all()
    for index in indexes:
        await post.run(f"DROP INDEX {index.indexname}")
    yield
    for index in indexes:
        await post.run(index.indexdef)


FILTERS = [
    LetterFilter(),
    LetterFilter(to="rig/w7"),
    LetterFilter(sender="rig/w7"),
    LetterFilter(mine="rig/w7"),
    LetterFilter(to="rig/w7", sender="rig/w3", unread=True),
    LetterFilter(statuses=(LetterState.DEAD_LETTER,)),
    LetterFilter(statuses=(LetterState.DEAD_LETTER, LetterState.QUEUED)),
    LetterFilter(priorities=(Priority.URGENT,)),
    LetterFilter(search="4711"),
    LetterFilter(thread="c4ca4238a0b923820dcc509a6f75849b"),
]


@pytest.mark.parametrize(
    "wanted", FILTERS, ids=lambda wanted: " ".join(sorted(wanted.model_fields_set))
)
@pytest.mark.parametrize("cursor", [LARGEST_NUMBER, 60_000], ids=["first", "later"])
async def test_a_page_reads_no_whole_table(
    crowded: Post, wanted: LetterFilter, cursor: int
) -> None:
    statement, values = letter_sql.page(wanted)
    assert "Seq Scan" not in await plan(crowded, statement, **values, cursor=cursor, limit=51)


@pytest.mark.parametrize("by_priority", [True, False])
@pytest.mark.parametrize(
    "which", [letter_sql.PINNED, letter_sql.UNREAD, letter_sql.ALL], ids=["pinned", "unread", "all"]
)
async def test_an_inbox_reads_no_whole_table(crowded: Post, which: str, by_priority: bool) -> None:
    statement = letter_sql.inbox(which, by_priority=by_priority)
    known = {"to": "rig/w0", "rank": 4, "sent_at": None, "number": 0, "limit": 51}
    found = await plan(crowded, statement, **known)
    assert "Seq Scan" not in found
    if which is letter_sql.UNREAD:
        assert "agent_mail_unread" in found


async def test_queues_and_figures_read_no_whole_table(crowded: Post) -> None:
    known: dict[str, object] = {"limit": 200, "statuses": ["queued"], "period": timedelta(days=1)}
    for name in ("_INBOUND_BY_PRIORITY", "_INBOUND_BY_AGE", "_OUTBOUND", "_DEAD", "_TOTAL",
                 "_DEPTHS", "_COUNTS", "_FIGURES", "_STRATEGIES", "_MAILBOXES"):  # fmt: skip
        statement = getattr(letter_figures, name).text
        given = {key: value for key, value in known.items() if f":{key}" in statement}
        if name == "_MAILBOXES":
            given["known"] = []
        found = await plan(crowded, statement, **given)
        assert "Seq Scan on agent_mail" not in found, f"{name}: {found}"


async def test_an_inbox_of_many_is_quick_to_page_through(crowded: Post) -> None:
    cursor, found = None, 0
    while True:
        page = await crowded.views.inbox("rig/w0", cursor=cursor, limit=20)
        found += len(page.items)
        if page.next_cursor is None:
            break
        cursor = InboxCursor.of(page.next_cursor)
    assert found == 200, "all of n % 500 are unread"
