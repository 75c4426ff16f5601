"""`GET /queue/messages` with any filter, bad input, saved filters, and what is too slow."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from house import TOKEN, House, bridge_on
from outbound_world import Outbound
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from mailroom.adapters.postgres.message_search import PostgresMessageSearch

FAR = "2036-01-01T00:00:00Z"


@pytest.fixture
async def waiting(outbound: Outbound) -> list[str]:
    """Three messages of a campaign that wait for years."""
    more = {
        "campaign_id": outbound.marker,
        "scheduled_at": FAR,
        "expires_at": "2037-01-01T00:00:00Z",
    }
    subjects = ["Summer sale", "Winter sale", "Rechnung für März"]
    messages = [
        outbound.message(f"take{n}", headers={"Subject": subject}, priority=n, **more)
        for n, subject in enumerate(subjects)
    ]
    response = await outbound.http.post("/queue/messages", json={"items": messages})
    assert response.status_code == 202, response.text
    ids: list[str] = response.json()["accepted"]
    assert len(ids) == len(messages), response.text
    return ids


async def listed(outbound: Outbound, **params: object) -> dict[str, Any]:
    asked = {"campaign_id": outbound.marker, **params}
    response = await outbound.http.get("/queue/messages", params=asked)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_list_by_words_tags_and_priority(outbound: Outbound, waiting: list[str]) -> None:
    found = await listed(outbound, search_query="SALE", sort_by="priority", sort_order="asc")
    assert [one["id"] for one in found["items"]] == waiting[:2]
    assert (found["total"], found["total_is_exact"]) == (2, True)
    assert (await listed(outbound, search_query="rech mär", priority=2))["total"] == 1
    assert (await listed(outbound, search_query=outbound.marker[:9]))["total"] == 3
    assert (await listed(outbound, tags=["nothing"]))["total"] == 0


async def test_pages_by_cursor_and_by_offset(outbound: Outbound, waiting: list[str]) -> None:
    first = await listed(outbound, limit=2, sort_by="priority")
    rest = await listed(outbound, limit=2, sort_by="priority", cursor=first["next_cursor"])
    assert [one["id"] for one in first["items"] + rest["items"]] == waiting[::-1]
    assert "next_cursor" not in rest
    by_offset = await listed(outbound, limit=2, offset=2, sort_by="priority")
    assert by_offset["items"] == rest["items"]


@pytest.mark.parametrize(
    "order", [{"sort_order": "asc"}, {"sort_by": "domain"}, {"min_attempts": 1}]
)
async def test_a_cursor_is_of_one_list(
    outbound: Outbound, waiting: list[str], order: dict[str, object]
) -> None:
    first = await listed(outbound, limit=2)
    asked = {"campaign_id": outbound.marker, "cursor": first["next_cursor"], **order}
    response = await outbound.http.get("/queue/messages", params=asked)  # type: ignore[arg-type]
    assert response.status_code == 422
    assert response.json()["detail"] == (
        "cursor: it is of a list with another filter or order; begin without one."
    )


@pytest.mark.parametrize(
    ("sort", "key"),
    [("priority", 99_999), ("num_attempts", 2**40), ("size_bytes", 2**70), ("recipient", "a\0b"),
     ("domain", "\0"), ("recipient", "\ud800")],
)  # fmt: skip
async def test_a_cursor_that_somebody_made_up_is_none(
    outbound: Outbound, waiting: list[str], sort: str, key: object
) -> None:
    asked = {"campaign_id": outbound.marker, "sort_by": sort}
    cursor = (await listed(outbound, limit=2, sort_by=sort))["next_cursor"]
    shape, _, *keys = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    forged = base64.urlsafe_b64encode(json.dumps([shape, key, *keys]).encode()).decode()
    response = await outbound.http.get("/queue/messages", params=asked | {"cursor": forged})
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["field"] == "cursor"


SQL = "'; DROP TABLE message_queue; --"
BAD: list[tuple[dict[str, object], str]] = [
    ({"colour": "red"}, "colour"),
    ({"sort_by": "colour"}, "sort_by"),
    ({"sort_by": SQL}, "sort_by"),
    ({"sort_order": "up"}, "sort_order"),
    ({"status": "lost"}, "status"),
    ({"created_after": FAR, "created_before": "2026-01-01T00:00Z"}, "created_before"),
    ({"scheduled_after": FAR, "scheduled_before": FAR}, "scheduled_before"),
    ({"created_after": "2026-01-02T00:00:00"}, "created_after"),
    ({"created_after": SQL}, "created_after"),
    ({"min_attempts": 3, "max_attempts": 2}, "max_attempts"),
    ({"min_attempts": 10**30}, "min_attempts"),
    ({"min_size_bytes": 3, "max_size_bytes": 2}, "max_size_bytes"),
    ({"priority": 11}, "priority"),
    ({"domain": "a.test", "domains": ["b.test"]}, "domains"),
    ({"domains": [f"d{n}.test" for n in range(101)]}, "domains"),
    ({"tags": ["t"] * 1_000}, "tags"),
    ({"search_query": "?!"}, "search_query"),
    ({"search_query": "x" * 201}, "search_query"),
    ({"search_query": " ".join("abcdefghijklmnopqrstuvw")}, "search_query"),
    ({"sender": "a\0b"}, "sender"),
    ({"recipient": "x" * 501}, "recipient"),
    ({"limit": 1_001}, "limit"),
    ({"offset": 10_001}, "offset"),
    ({"cursor": "nonsense"}, "cursor"),
    ({"cursor": "WyJ4Il0"}, "cursor"),
    ({"cursor": "x" * 2_001}, "cursor"),
]  # fmt: skip


@pytest.mark.parametrize(("params", "field"), BAD)
async def test_bad_input_is_told_by_its_field(
    queue_api: httpx.AsyncClient, params: dict[str, Any], field: str
) -> None:
    response = await queue_api.get("/queue/messages", params=params)
    assert response.status_code == 422, response.text
    assert response.json()["detail"].removeprefix("query.").startswith(field)
    assert response.json()["errors"][0]["field"].removeprefix("query.") in (field, f"{field}.0")


@pytest.mark.parametrize("path", ["metrics", "metrics/series", "top", "operations"])
async def test_what_is_no_parameter_is_said(queue_api: httpx.AsyncClient, path: str) -> None:
    response = await queue_api.get(f"/queue/{path}", params={"campaign": "autumn"})
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["field"] == "query.campaign"


@pytest.mark.parametrize(
    "field",
    ["domain", "sender", "recipient", "routing_domain", "campaign_id", "tenant_id", "pool_name",
     "queue_name", "tags", "domains", "search_query"],
)  # fmt: skip
@pytest.mark.parametrize("said", [SQL, "a & !(b | c:*)", "(a+)+$", "\\'x' <-> %_", "ü\u202e\\"])
async def test_any_text_is_only_text(
    queue_api: httpx.AsyncClient, field: str, said: str, marker: str
) -> None:
    # Words of it may begin words of others: what fits has to be of a tenant whom nobody has.
    response = await queue_api.get("/queue/messages", params={"tenant_id": marker, field: said})
    assert response.status_code == 200, response.text
    assert response.json()["items"] == []


async def test_a_slow_list_is_given_up_with_a_hint(outbound_house: House) -> None:
    """Somebody else has the table for himself, so that no list comes to its end."""
    engines = outbound_house.adapters.engines
    impatient = create_async_engine(
        engines.read.url, connect_args={"options": "-c statement_timeout=100"}
    )
    context = replace(outbound_house.context, message_search=PostgresMessageSearch(impatient))
    async with bridge_on(context) as http, engines.write.connect() as one:
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        await one.execute(text("BEGIN"))
        await one.execute(text("LOCK TABLE message_queue IN ACCESS EXCLUSIVE MODE"))
        response = await http.get("/queue/messages", params={"status": "deferred"})
        await one.execute(text("ROLLBACK"))
    await impatient.dispose()
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.json()["detail"] == (
        "This filter takes too long right now; narrow it by created_after or domain or campaign_id."
    )


# --- saved filters


@pytest.fixture
async def name(queue_api: httpx.AsyncClient, marker: str) -> AsyncIterator[str]:
    yield f"stuck {marker}"
    await queue_api.delete(f"/queue/filters/stuck {marker}")


async def test_a_saved_filter_is_applied_and_what_is_given_goes_before(
    outbound: Outbound, waiting: list[str], name: str
) -> None:
    http = outbound.http
    saved = {"campaign_id": outbound.marker, "sort_by": "priority", "limit": 1}
    response = await http.put(f"/queue/filters/{name}", json=saved)
    assert response.status_code == 200, response.text
    assert response.json()["selection"] == saved
    page = (await http.get("/queue/messages", params={"filter": name})).json()
    assert [one["id"] for one in page["items"]] == waiting[2:]
    asked = {"filter": name, "sort_order": "asc", "limit": 2}
    page = (await http.get("/queue/messages", params=asked)).json()  # type: ignore[arg-type]
    assert [one["id"] for one in page["items"]] == waiting[:2]
    asked |= {"cursor": page["next_cursor"]}
    page = (await http.get("/queue/messages", params=asked)).json()  # type: ignore[arg-type]
    assert [one["id"] for one in page["items"]] == waiting[2:]


async def test_saved_filters_are_listed_replaced_and_removed(
    queue_api: httpx.AsyncClient, name: str
) -> None:
    path = f"/queue/filters/{name}"
    await queue_api.put(path, json={"status": "deferred"})
    await queue_api.put(path, json={"status": ["bounced"]})
    listed = (await queue_api.get("/queue/filters")).json()["items"]
    [mine] = [one for one in listed if one["name"] == name]
    assert mine["selection"] == {"status": ["bounced"]}
    assert (await queue_api.get(path)).json() == mine
    assert (await queue_api.delete(path)).status_code == 204
    assert (await queue_api.get(path)).status_code == 404
    assert (await queue_api.delete(path)).status_code == 404
    response = await queue_api.get("/queue/messages", params={"filter": name})
    assert response.status_code == 404
    assert name in response.json()["detail"]


async def test_a_bad_filter_is_not_saved(queue_api: httpx.AsyncClient, name: str) -> None:
    response = await queue_api.put(f"/queue/filters/{name}", json={"min_attempts": -1})
    assert response.status_code == 422
    assert "min_attempts" in response.json()["detail"]
    response = await queue_api.put(f"/queue/filters/{name}", json={"tags": ["t"] * 10_000})
    assert response.status_code == 422
    assert "tags" in response.json()["detail"]
    response = await queue_api.put("/queue/filters/" + "x" * 101, json={})
    assert response.status_code == 422


async def test_what_is_saved_and_what_is_given_may_contradict(
    queue_api: httpx.AsyncClient, name: str
) -> None:
    await queue_api.put(f"/queue/filters/{name}", json={"min_attempts": 5})
    response = await queue_api.get("/queue/messages", params={"filter": name, "max_attempts": 2})
    assert response.status_code == 422
    assert "max_attempts: it is less than min_attempts" in response.json()["detail"]
