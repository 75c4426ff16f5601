"""`/queue/legacy`, tenants that don't have the new model yet, and what was imported and sent."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from house import TOKEN, House, bridge_on
from legacy_world import MIGRATIONS, SENDER, Command, command_of, old_record, result_of, written
from outbound_world import Outbound

from mailroom.models.outbound.legacy_records import uuid_of
from mailroom.models.outbound.rollout import QueueModel, has_new_model

LEGACY = "/queue/legacy"

pytestmark = pytest.mark.filterwarnings("ignore:The old queue's model goes:DeprecationWarning")


async def bridge_of(house: House, model: QueueModel) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_on(replace(house.context, queue_model=model)) as http:
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        yield http


@pytest.fixture(scope="module")
async def legacy(outbound_house: House) -> AsyncIterator[httpx.AsyncClient]:
    async for http in bridge_of(outbound_house, QueueModel(legacy=True)):
        yield http


@pytest.fixture(scope="module")
async def half(outbound_house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Half of the tenants have the new model."""
    async for http in bridge_of(outbound_house, QueueModel(legacy=True, percentage=50)):
        yield http


@pytest.fixture
def run(queue_api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    return command_of(queue_api, monkeypatch, tmp_path)


async def test_it_is_not_there_unless_the_flag_says_so(queue_api: httpx.AsyncClient) -> None:
    for answer in (await queue_api.get(LEGACY), await queue_api.post(LEGACY, json=old_record())):
        assert answer.status_code == 404
        assert "ENABLE_LEGACY_QUEUE_ADAPTER=true" in answer.json()["detail"]


async def test_a_record_is_put_and_got(legacy: httpx.AsyncClient) -> None:
    record = old_record(status="in-progress")
    put = await legacy.post(LEGACY, json=record)
    assert put.status_code == 201, put.text
    assert put.headers["deprecation"] == "@1795219200"
    assert put.headers["link"] == '</queue/messages>; rel="successor-version"'
    shown = put.json()
    assert shown == record | {
        "customerPhone": "", "status": "waiting", "estimatedWaitTime": 0,
        "updatedAt": record["createdAt"],
    }  # fmt: skip
    assert (await legacy.get(f"{LEGACY}/{record['id']}")).json() == shown

    again = await legacy.post(LEGACY, json=record)
    assert (again.status_code, again.json()) == (200, shown)
    other = await legacy.post(LEGACY, json=record | {"priority": 0})
    assert other.status_code == 409


async def test_an_old_id_that_is_no_uuid_finds_its_message(
    legacy: httpx.AsyncClient, marker: str
) -> None:
    old_id = f"queue/{marker} 17"
    assert (await legacy.post(LEGACY, json=old_record(id=old_id))).status_code == 201
    by_old_id = await legacy.get(f"{LEGACY}/{quote(old_id, safe='')}")
    assert by_old_id.json()["id"] == old_id
    by_new_id = await legacy.get(f"{LEGACY}/{uuid_of(old_id)}")
    assert by_new_id.json() == by_old_id.json()
    assert (await legacy.get(f"{LEGACY}/{marker}")).status_code == 404


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"customerEmail": "nobody"}, "customerEmail: it is no e-mail address"),
        ({"priority": 12}, "priority"),
        ({"loyalty": "gold"}, "loyalty"),
        ({"notes": "a\0b"}, "notes: it has a NUL"),
    ],
)
async def test_a_wrong_record_is_refused(
    legacy: httpx.AsyncClient, more: dict[str, Any], said: str
) -> None:
    answer = await legacy.post(LEGACY, json=old_record(**more))
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


async def test_lists_go_by_page_customer_and_status(legacy: httpx.AsyncClient, marker: str) -> None:
    put = [
        old_record(customerId=marker, createdAt=f"2025-11-01T10:00:0{number}Z", status=status)
        for number, status in enumerate(["waiting", "completed", "waiting", "cancelled"])
    ]
    for record in put:
        assert (await legacy.post(LEGACY, json=record)).status_code == 201
    found: list[dict[str, Any]] = []
    asked = {"customerId": marker, "limit": 3}
    while True:
        page = (await legacy.get(LEGACY, params=asked)).json()
        found += page["items"]
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]
    assert [one["id"] for one in found] == [one["id"] for one in reversed(put)]
    waiting = await legacy.get(LEGACY, params={"customerId": marker, "status": "waiting"})
    assert [one["id"] for one in waiting.json()["items"]] == [put[2]["id"], put[0]["id"]]
    completed = await legacy.get(LEGACY, params={"customerId": marker, "status": "completed"})
    assert [one["actualWaitTime"] for one in completed.json()["items"]] == [4.983]
    assert (await legacy.get(LEGACY, params={"cursor": "nonsense"})).status_code == 422


async def test_without_content_it_can_be_cancelled_and_can_not_wait(
    legacy: httpx.AsyncClient, outbound: Outbound
) -> None:
    record = old_record()
    await legacy.post(LEGACY, json=record)
    path = f"{LEGACY}/{record['id']}"
    waits = await legacy.patch(path, json={"status": "waiting"})
    assert waits.status_code == 409
    assert "content first" in waits.json()["detail"]
    for _ in range(2):
        cancelled = await legacy.patch(path, json={"status": "cancelled"})
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert await outbound.events(uuid_of(record["id"])) == ["submitted", "cancelled"]
    assert (await legacy.patch(path, json={"status": "waiting"})).status_code == 409
    assert (await legacy.patch(path, json={"status": "completed"})).status_code == 409
    assert (await legacy.patch(f"{LEGACY}/none", json={"status": "waiting"})).status_code == 404


async def test_operators_cancel_what_has_no_content(
    legacy: httpx.AsyncClient, outbound: Outbound
) -> None:
    record = old_record()
    await legacy.post(LEGACY, json=record)
    id = uuid_of(record["id"])
    resumed = await legacy.post(f"/queue/messages/{id}/resume")
    assert resumed.status_code == 409
    assert "no content yet" in resumed.json()["detail"]
    await outbound.tell(id, "cancel", reason="too old")
    assert (await outbound.item(id)).last_bounce_reason == "too old"
    assert (await outbound.item(id)).status == "cancelled"


async def test_a_message_of_the_new_model_follows_the_old_words(
    legacy: httpx.AsyncClient, outbound: Outbound
) -> None:
    id = await outbound.submit(
        scheduled_at="2035-01-01T00:00:00Z", expires_at="2036-01-01T00:00:00Z"
    )
    path = f"{LEGACY}/{id}"
    assert (await legacy.get(path)).json()["status"] == "waiting"
    await legacy.patch(path, json={"status": "cancelled"})
    item = await outbound.reached(id, "cancelled")
    assert item.last_bounce_reason == "asked for through the legacy queue"
    assert (await legacy.get(path)).json()["status"] == "cancelled"


async def test_what_is_suspended_goes_on(legacy: httpx.AsyncClient, outbound: Outbound) -> None:
    id = await outbound.submit(
        scheduled_at="2035-01-01T00:00:00Z", expires_at="2036-01-01T00:00:00Z"
    )
    await outbound.tell(id, "suspend", reason="look at it")
    await outbound.reached(id, "suspended")
    assert (await legacy.patch(f"{LEGACY}/{id}", json={"status": "waiting"})).status_code == 200
    await outbound.reached(id, "scheduled")
    await outbound.tell(id, "cancel", reason="the test is over")
    await outbound.reached(id, "cancelled")


async def test_tenants_outside_the_rollout_submit_in_the_old_shape_only(
    half: httpx.AsyncClient, outbound: Outbound
) -> None:
    tenants = [f"{outbound.marker}-{number}" for number in range(40)]
    inside = next(tenant for tenant in tenants if has_new_model(tenant, 50))
    outside = next(tenant for tenant in tenants if not has_new_model(tenant, 50))

    refused = await half.post("/queue/messages", json=outbound.message(tenant_id=outside))
    assert refused.status_code == 409
    assert "ENABLE_EMAIL_QUEUE_MODEL is 50%" in refused.json()["detail"]
    items = [outbound.message(tenant_id=outside), outbound.message(tenant_id=inside)]
    partly = await half.post("/queue/messages", json={"items": items})
    assert partly.status_code == 202
    assert [one["index"] for one in partly.json()["rejected"]] == [0]
    assert len(partly.json()["accepted"]) == 1
    none = await half.post("/queue/messages?atomic=true", json={"items": items})
    assert none.status_code == 409

    old = await half.post(LEGACY, json=old_record(customerId=outside))
    assert old.status_code == 201
    [sent] = partly.json()["accepted"]
    assert (await outbound.ended(sent)).status == "delivered"
    assert len(outbound.house.sink.mails[outbound.to("take")]) == 1


async def test_what_has_its_content_by_now_stays(
    run: Command, outbound: Outbound, queue_api: httpx.AsyncClient, tmp_path: Path
) -> None:
    sent, waiting = old_record(customerEmail=outbound.to("take")), old_record()
    file = written(tmp_path / "old.json", [sent, waiting])
    report = result_of(await run(file, "--sender", SENDER, "-o", "json"))
    id = uuid_of(sent["id"])
    given = await queue_api.put(
        f"/queue/messages/{id}/content", json=outbound.message("take", sender=SENDER)
    )
    assert given.status_code == 200, given.text
    item = await outbound.ended(id)
    assert item.status == "delivered"

    changed = written(tmp_path / "changed.json", [sent | {"priority": 1}])
    again = result_of(await run(changed, "-o", "json"))
    assert again["counts"]["kept"] == 1
    assert again["kept"][0]["id"] == str(id)

    back = await run("--rollback", report["migration"], "--out", tmp_path / "back.json")
    assert "1 removed, 0 restored, 1 kept; 2 records given back" in back.stdout
    assert f"{id} (delivered) stays" in back.stderr
    assert json.loads((tmp_path / "back.json").read_text()) == [sent, waiting]
    assert await outbound.item(id) == item


async def test_an_id_of_another_message_is_left_to_it(
    outbound: Outbound, queue_api: httpx.AsyncClient
) -> None:
    id = await outbound.submit()
    item = await outbound.ended(id)
    record = old_record(id=str(id))
    took = (await queue_api.post(MIGRATIONS, json={"records": [record]})).json()
    assert took["counts"]["kept"] == 1
    assert "did not come from the old queue" in took["kept"][0]["reason"]
    assert await outbound.item(id) == item
