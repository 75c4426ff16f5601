"""`/queue/export`: what was stored comes back out of a file, whoever wrote it and however much."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from house import TOKEN, House
from sqlalchemy import text
from world import eventually

from mailroom.adapters import parquet
from mailroom.adapters.postgres.message_export import MOST_AT_ONCE, PostgresExports
from mailroom.models.outbound.export import COLUMNS, MOMENTS, NUMBERS
from mailroom.models.outbound.filters import MessageSelection
from mailroom.models.outbound.item import MessageQueueItem

AWKWARD = [
    "=1+1",
    "+49 30 1234",
    "-2",
    "@SUM(A1)",
    "\ttab",
    "'quoted",
    'a "quote", a comma',
    "two\r\nlines\nand one more",
    "Zażółć gęślą jaźń 🎈 \u202e rtl",
    "",
    "null",
    "\\N \\. \\x01",
    "50 % of :all %(f_x)s {where}",
]
_AWKWARD = text("""
    INSERT INTO message_queue
        (id, message_id, queue_name, recipient, sender, domain, campaign_id, status, size_bytes,
         last_bounce_reason, headers, tags, metadata, created_at, smtp_response)
    SELECT gen_random_uuid(), 'm' || n, said, 'to' || n || '@example.com', said, 'example.com',
           :campaign, 'deferred', n, said, jsonb_build_object('Subject', said),
           CASE WHEN n % 2 = 0 THEN ARRAY['a,b', said] END,
           jsonb_build_object('said', said, 'none', NULL), now() - n * interval '1 minute',
           jsonb_build_object('code', 451, 'message', said,
                              'timestamp', '2026-03-02T17:00:00.5+00:00')
    FROM unnest(CAST(:awkward AS text[])) WITH ORDINALITY AS given (said, n)
""")
_MANY = text("""
    INSERT INTO message_queue
        (id, message_id, queue_name, recipient, sender, domain, campaign_id, status, size_bytes,
         metadata)
    SELECT gen_random_uuid(), 'm' || n, 'export.test', n || '@export.test', 'us@ours.test',
           'export.test', :campaign, 'cancelled', n,
           jsonb_build_object('long', repeat('more than that ', 500))
    FROM generate_series(1, :count) AS n
""")
_REMOVE = text("DELETE FROM message_queue WHERE campaign_id = :campaign")
_COPYING = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE ltrim(query, E' \\n') LIKE 'COPY%' AND state = 'active'
""")


@pytest.fixture
async def api(bridge: httpx.AsyncClient) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=bridge.base_url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
    )


@pytest.fixture
async def awkward(house: House, api: httpx.AsyncClient, marker: str) -> AsyncIterator[list[Any]]:
    """Messages of a campaign, as lists show them."""
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(_AWKWARD, {"awkward": AWKWARD, "campaign": marker})
        listed = await api.get("/queue/messages", params={"campaign_id": marker})
        yield [MessageQueueItem.model_validate(one) for one in listed.json()["items"]]
        await connection.execute(_REMOVE, {"campaign": marker})


@pytest.fixture
async def many(house: House, marker: str) -> AsyncIterator[int]:
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(_MANY, {"count": 6_000, "campaign": marker})
        yield 6_000
        await connection.execute(_REMOVE, {"campaign": marker})


async def exported(api: httpx.AsyncClient, **asked: str) -> bytes:
    answer = await api.get("/queue/export", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.content


def by_id(items: list[MessageQueueItem]) -> dict[str, MessageQueueItem]:
    return {str(one.id): one for one in items}


async def test_json_lines_are_the_messages(
    api: httpx.AsyncClient, awkward: list[MessageQueueItem], marker: str
) -> None:
    lines = (await exported(api, format="jsonl", campaign_id=marker)).decode().split("\n")
    assert lines.pop() == ""
    found = [json.loads(line) for line in lines]
    assert all(tuple(one) == COLUMNS for one in found)
    assert by_id([MessageQueueItem.model_validate(one) for one in found]) == by_id(awkward)


async def test_csv_is_the_messages_and_no_spreadsheet_runs_it(
    api: httpx.AsyncClient, awkward: list[MessageQueueItem], marker: str
) -> None:
    content = (await exported(api, campaign_id=marker)).decode()
    rows = list(csv.DictReader(io.StringIO(content, newline="")))
    assert tuple(rows[0]) == COLUMNS
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert by_id([item_of(row) for row in rows]) == by_id(awkward)


def item_of(row: dict[str, str]) -> MessageQueueItem:
    """As somebody reads it who knows of the apostrophe, and takes empty cells for nothing."""
    known: dict[str, Any] = {}
    for name, cell in row.items():
        if name in ("tags", "headers", "metadata", "smtp_response"):
            known[name] = json.loads(cell) if cell else None
        elif cell or name in ("queue_name", "sender", "last_bounce_reason"):
            known[name] = cell.removeprefix("'")
    return MessageQueueItem.model_validate(known)


async def test_parquet_has_the_messages_with_types(
    api: httpx.AsyncClient, awkward: list[MessageQueueItem], marker: str
) -> None:
    content = await exported(api, format="parquet", campaign_id=marker)
    table = pq.read_table(io.BytesIO(content))
    assert tuple(table.column_names) == COLUMNS
    assert {table.schema.field(name).type for name in NUMBERS} == {pa.int64()}
    assert {table.schema.field(name).type for name in MOMENTS} == {pa.timestamp("us", tz="UTC")}
    rows = table.to_pylist()
    for row in rows:
        for name in ("headers", "metadata", "smtp_response"):
            row[name] = json.loads(row[name]) if row[name] else None
    assert by_id([MessageQueueItem.model_validate(row) for row in rows]) == by_id(awkward)


async def test_an_export_has_the_order_and_the_filter_that_were_asked_for(
    api: httpx.AsyncClient, awkward: list[MessageQueueItem], marker: str
) -> None:
    asked = {"format": "jsonl", "campaign_id": marker, "max_size_bytes": "3"}
    content = await exported(api, **asked, sort_by="size_bytes", sort_order="desc")
    assert [json.loads(line)["size_bytes"] for line in content.splitlines()] == [3, 2, 1]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"format": "xls"}, "format"),
        ({"limit": "10"}, "limit"),
        ({"status": "lost"}, "status"),
        ({"created_after": "2026-03-02T17:00:00"}, "created_after"),
        ({"min_attempts": "3", "max_attempts": "1"}, "max_attempts"),
    ],
)
async def test_what_makes_no_sense_is_named(
    api: httpx.AsyncClient, asked: dict[str, str], field: str
) -> None:
    answer = await api.get("/queue/export", params=asked)
    assert (answer.status_code, field in answer.json()["detail"]) == (422, True), answer.text


async def test_sql_in_a_filter_is_text(api: httpx.AsyncClient) -> None:
    hostile = "x'; DROP TABLE message_queue; --%s%(f_domain)s:x"
    content = await exported(api, format="jsonl", domain=hostile, campaign_id=hostile)
    assert content == b""
    assert (await api.get("/queue/messages", params={"limit": "1"})).status_code == 200


async def test_an_export_sees_one_moment_and_needs_no_memory(
    house: House, many: int, marker: str
) -> None:
    """What is deleted while it runs is in it."""
    exports = PostgresExports(house.adapters.engines.read)
    this, rows = psutil.Process(), 0
    before = most = this.memory_info().rss
    async for chunk in exports.json_lines(MessageSelection(campaign_id=marker)):
        if not rows:
            async with house.adapters.engines.write.connect() as connection:
                await connection.execute(_REMOVE, {"campaign": marker})
        rows += chunk.count(b"\n")
        most = max(most, this.memory_info().rss)
    assert rows == many
    # 45 MB have passed.
    assert most - before < 24 * 2**20


async def test_who_goes_away_ends_the_statement_and_gives_the_place_back(
    house: House, api: httpx.AsyncClient, many: int, marker: str
) -> None:
    asked = {"format": "jsonl", "campaign_id": marker}

    async def nothing_is_copied() -> bool:
        async with house.adapters.engines.write.connect() as connection:
            return await connection.scalar(_COPYING) == 0

    for _ in range(MOST_AT_ONCE + 1):
        async with api.stream("GET", "/queue/export", params=asked) as answer:
            assert answer.status_code == 200
            assert not await nothing_is_copied()
        await eventually(nothing_is_copied)


async def test_more_than_a_few_at_once_are_refused(
    api: httpx.AsyncClient, many: int, marker: str
) -> None:
    asked = {"format": "jsonl", "campaign_id": marker}
    async with (
        api.stream("GET", "/queue/export", params=asked) as first,
        api.stream("GET", "/queue/export", params=asked) as second,
    ):
        assert [first.status_code, second.status_code] == [200, 200]
        third = await api.get("/queue/export", params=asked)
        assert (third.status_code, third.headers["Retry-After"]) == (429, "10")


async def test_parquet_without_its_library_is_explained(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "is_there", lambda: False)
    answer = await api.get("/queue/export", params={"format": "parquet"})
    assert answer.status_code == 501
    assert "mailroom[parquet]" in answer.json()["detail"]
