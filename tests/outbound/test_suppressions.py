"""The suppression list by its routes and its store."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator

import httpx
import pytest
from house import TOKEN, House
from sqlalchemy import text

from mailroom.adapters.postgres.suppressions import BATCH, EXPORTED, PostgresSuppressions
from mailroom.models.outbound.suppression import NewSuppression, SuppressionReason

LIST = "/queue/suppressions"


@pytest.fixture(autouse=True)
async def empty_list(house: House) -> None:
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(text("DELETE FROM suppressions"))


@pytest.fixture
async def api(bridge: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=bridge.base_url, headers=headers, timeout=60) as http:
        yield http


@pytest.fixture
def store(house: House) -> PostgresSuppressions:
    return house.context.suppressions


async def listed(api: httpx.AsyncClient, **params: str) -> list[str]:
    answer = await api.get(LIST, params=params)
    assert answer.status_code == 200, answer.text
    return [item["address"] for item in answer.json()["items"]]


async def test_add_find_and_remove(api: httpx.AsyncClient) -> None:
    one = {"address": "Ann@Example.com", "source": "a letter"}
    assert (await api.post(LIST, json=one)).json() == {"added": 1, "known": 0}
    assert (await api.post(LIST, json=one)).json() == {"added": 0, "known": 1}
    [item] = (await api.get(LIST, params={"search": "AN"})).json()["items"]
    assert item | {"created_at": None} == {
        "address": "ann@example.com",
        "reason": "manual",
        "tenant_id": None,
        "source": "a letter",
        "created_at": None,
    }
    assert (await api.delete(f"{LIST}/ann@EXAMPLE.com")).status_code == 204
    gone = await api.delete(f"{LIST}/ann@EXAMPLE.com")
    assert gone.status_code == 404
    assert gone.json()["detail"] == "This address is not on the list without tenant."


async def test_tenants_have_lists_of_their_own(api: httpx.AsyncClient) -> None:
    await api.post(LIST, json={"address": "ann@example.com", "tenant_id": "acme"})
    await api.post(LIST, json={"address": "bob@example.com"})
    assert await listed(api) == ["ann@example.com", "bob@example.com"]
    assert await listed(api, tenant_id="acme") == ["ann@example.com"]
    assert await listed(api, tenant_id="") == ["bob@example.com"]
    assert (await api.delete(f"{LIST}/ann@example.com")).status_code == 404
    theirs = await api.delete(f"{LIST}/ann@example.com", params={"tenant_id": "acme"})
    assert theirs.status_code == 204


async def test_several_are_added_together_or_not_at_all(api: httpx.AsyncClient) -> None:
    items = [{"address": "ann@example.com"}, {"address": "nobody"}]
    assert (await api.post(LIST, json={"items": items})).status_code == 422
    assert await listed(api) == []
    assert (await api.post(LIST, json={"items": items[:1]})).json()["added"] == 1


async def test_the_list_is_read_page_by_page(api: httpx.AsyncClient) -> None:
    both = [
        {"address": f"p{n}@example.com", "tenant_id": tenant}
        for n in range(4)
        for tenant in (None, "acme")
    ]
    await api.post(LIST, json={"items": both})
    seen, cursor = [], None
    while True:
        params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(LIST, params=params)).json()
        seen += [(item["address"], item["tenant_id"]) for item in page["items"]]
        assert len(page["items"]) <= 3
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == sorted(
        ((one["address"], one["tenant_id"]) for one in both), key=lambda key: (key[0], key[1] or "")
    )


@pytest.mark.parametrize("cursor", ["nonsense", "WyJhIl0", "", "WyJhXHUwMDAwIiwgIiJd"])
async def test_a_strange_cursor_is_refused(api: httpx.AsyncClient, cursor: str) -> None:
    assert (await api.get(LIST, params={"cursor": cursor})).status_code == 422


@pytest.mark.parametrize("search", ["%", "_nn", "ann\0", "\U0010ffff", "\\"])
async def test_a_search_is_no_pattern(api: httpx.AsyncClient, search: str) -> None:
    await api.post(LIST, json={"address": "ann@example.com"})
    expected = ["ann@example.com"] if search == "ann\0" else []
    assert await listed(api, search=search) == expected


async def test_import_says_which_lines_it_left_out(api: httpx.AsyncClient) -> None:
    body = "address,reason\nann@example.com,unsubscribe\nnobody,manual\nANN@example.com,manual\n"
    answer = await api.post(f"{LIST}/import", content=body, params={"tenant_id": "acme"})
    assert answer.json() == {
        "added": 1,
        "known": 0,
        "refused": 1,
        "errors": [{"line": 3, "error": "address: this is no address such as ann@example.com"}],
    }
    [item] = (await api.get(LIST, params={"tenant_id": "acme"})).json()["items"]
    assert item["reason"] == "unsubscribe", "the stronger one of two lines"


async def test_atomic_import_takes_all_lines_or_none(api: httpx.AsyncClient) -> None:
    body = "ann@example.com\nnobody\n"
    answer = await api.post(f"{LIST}/import", content=body, params={"atomic": "true"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("Nothing was imported: 1 lines can't be used. Line 2")
    assert answer.json()["errors"][0]["line"] == 2
    assert await listed(api) == []


async def test_an_import_that_is_no_text_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post(f"{LIST}/import", content=b"\xff\xfe\x00")
    assert answer.status_code == 422
    assert "UTF-8" in answer.json()["detail"]


async def test_what_is_exported_can_be_imported(
    api: httpx.AsyncClient, store: PostgresSuppressions
) -> None:
    given = [
        NewSuppression(address=f"{mark}{n}@example.com", tenant_id=tenant, reason=reason)
        for n, mark in enumerate(("=a", "+b", "'c", "d"))
        for tenant, reason in (("acme", SuppressionReason.COMPLAINT), (None, "manual"))
    ]
    await store.add(given)
    exported = await api.get(f"{LIST}/export")
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(exported.text)))
    assert not [row for row in rows if row["address"].startswith(("=", "+"))]
    before = (await api.get(LIST)).json()["items"]
    for item in before:
        await store.remove(item["address"], item["tenant_id"])
    answer = await api.post(f"{LIST}/import", content=exported.content)
    assert answer.json() == {"added": len(given), "known": 0, "refused": 0, "errors": []}
    after = (await api.get(LIST)).json()["items"]
    assert [one | {"created_at": 0} for one in after] == [one | {"created_at": 0} for one in before]


async def test_a_list_of_more_than_one_batch_is_exported_whole(
    api: httpx.AsyncClient, store: PostgresSuppressions
) -> None:
    count = 2 * EXPORTED + 2
    await store.add(NewSuppression(address=f"p{n}@example.com") for n in range(count))
    lines = (await api.get(f"{LIST}/export", params={"tenant_id": ""})).text.splitlines()
    assert len(set(lines)) == len(lines) == count + 1


async def test_a_wish_is_not_overwritten_by_a_bounce(store: PostgresSuppressions) -> None:
    ann = NewSuppression(address="ann@example.com", reason=SuppressionReason.HARD_BOUNCE)
    for reason, kept in [
        (SuppressionReason.HARD_BOUNCE, "hard_bounce"),
        (SuppressionReason.UNSUBSCRIBE, "unsubscribe"),
        (SuppressionReason.HARD_BOUNCE, "unsubscribe"),
        (SuppressionReason.MANUAL, "unsubscribe"),
        (SuppressionReason.COMPLAINT, "complaint"),
        (SuppressionReason.UNSUBSCRIBE, "complaint"),
    ]:
        await store.add([ann.model_copy(update={"reason": reason})])
        assert await store.reason_of("ann@example.com", None) == kept


async def test_two_who_import_the_same_never_wait_for_each_other(
    store: PostgresSuppressions,
) -> None:
    lines = [NewSuppression(address=f"p{n}@example.com") for n in range(2_000)]
    results = await asyncio.gather(
        *(store.add(way) for way in (lines, lines[::-1], lines, lines[::-1]))
    )
    assert sum(result.added for result in results) == len(lines)


async def test_an_import_that_fails_in_between_leaves_nothing(
    api: httpx.AsyncClient, store: PostgresSuppressions
) -> None:
    lines = [NewSuppression(address=f"p{n}@example.com") for n in range(BATCH)]
    # Sorted behind the first batch; the store has no text with a NUL.
    last = lines[0].model_copy(update={"address": "z\0@example.com"})
    with pytest.raises(Exception, match="NUL"):
        await store.add([*lines, last])
    assert await listed(api) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", LIST),
        ("POST", LIST),
        ("POST", f"{LIST}/import"),
        ("GET", f"{LIST}/export"),
        ("DELETE", f"{LIST}/ann@example.com"),
    ],
)
async def test_the_list_is_the_operators(bridge: httpx.AsyncClient, method: str, path: str) -> None:
    assert (await bridge.request(method, path)).status_code == 401
