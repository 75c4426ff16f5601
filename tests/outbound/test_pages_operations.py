"""Bulk operations on the pages, without a browser."""

import re
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import pytest
from house import House
from outbound_world import Outbound
from pages_world import HOSTILE, LATER, Person, ended, notice_of, words
from sqlalchemy import text

from mailroom.bridge.auth import owner_token

SOMEBODYS = "0f6f2f4e-58a5-4c43-9f70-5b2c8d9d1c11"


async def test_a_campaign_is_moved_once_it_was_counted(
    operator: Person, outbound: Outbound
) -> None:
    campaign, slow = f"c-{outbound.marker}", f"slow-{outbound.marker}"
    ids = [await outbound.submit(campaign_id=campaign, scheduled_at=LATER) for _ in range(12)]
    counted = await operator.count(
        operation="rebind",
        scope="all",
        query=f"campaign_id={campaign}",
        queue_name=slow,
        reason="x",
    )
    said = words(counted)
    assert "Rebind 12 messages?" in said
    assert "10 of them" in said
    assert f"Campaign {campaign}" in said
    assert f"To the queue {slow}" in said
    assert (await outbound.item(ids[0])).queue_name == outbound.marker
    done = await operator.do(counted)
    assert done.url != counted.url
    assert (await ended(outbound, done))["affected"] == 12
    page = await operator.see(done.url.path)
    assert "12 messages were moved." in words(page)
    assert 'value="12"' in page
    for id in ids:
        assert (await outbound.item(id)).queue_name == slow
    # A second click on the old page does nothing more.
    again = await operator.do(counted)
    assert again.url == done.url
    assert "It was done afterwards." in words(await operator.see(counted.url.path))
    one = await operator.see(f"/outbound/{ids[0]}")
    assert f'href="{done.url.path}">an operation by operator, on the page' in one
    trail = words(await operator.see("/outbound/operations", operation="rebind"))
    assert "Rebind 12 messages" in trail
    assert f"Campaign: {campaign}" in trail


async def test_chosen_ones_and_all_of_a_page(operator: Person, outbound: Outbound) -> None:
    ids = [str(await outbound.submit(scheduled_at=LATER)) for _ in range(3)]
    some = await operator.count(
        operation="set_priority", scope="chosen", message=ids[:2], shown=ids, priority="9"
    )
    assert "Set the priority of 2 messages?" in words(some)
    await ended(outbound, await operator.do(some))
    found = [(await outbound.item(UUID(id))).priority for id in ids]
    assert found == [9, 9, 5]
    every = await operator.count(operation="cancel", scope="page", message=ids[:1], shown=ids)
    assert "Cancel 3 messages?" in words(every)
    assert "This can't be undone" in words(every)
    assert 'class="danger"' in every.text
    await ended(outbound, await operator.do(every))
    for id in ids:
        assert (await outbound.item(UUID(id))).status == "cancelled"


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"scope": "chosen", "message": ["{id}"]}, "Choose what is to be done."),
        ({"operation": "cancel", "scope": "chosen"}, "Choose a message first."),
        ({"operation": "cancel", "scope": "page"}, "Choose a message first."),
        (
            {"operation": "purge", "scope": "all"},
            "All messages are never meant: give the list a filter first.",
        ),
        (
            {"operation": "purge", "scope": "all", "query": "sort_by=domain"},
            "All messages are never meant: give the list a filter first.",
        ),
        (
            {"operation": "purge", "scope": "all", "query": "status=lost"},
            "Status: Input should be",
        ),
        (
            {"operation": "rebind", "scope": "chosen", "message": ["{id}"]},
            "say whereto: queue_name, routing_domain, or both.",
        ),
        (
            {"operation": "set_priority", "scope": "chosen", "message": ["{id}"], "priority": "11"},
            "metadata.priority: Input should be less than or equal to 10.",
        ),
        (
            {"operation": "suspend", "scope": "all", "query": "domain=a.test", "lasting": "soon"},
            "metadata.for: ",
        ),
    ],
)
async def test_what_is_missing_is_said_on_the_list(
    operator: Person, outbound: Outbound, form: dict[str, Any], sentence: str
) -> None:
    id = await outbound.submit(scheduled_at=LATER)
    given = {
        name: [each.format(id=id) for each in value] if isinstance(value, list) else value
        for name, value in form.items()
    }
    page = await operator.count(**given)
    assert sentence in notice_of(page)
    assert page.url.path == "/outbound/messages"
    assert (await outbound.item(id)).status == "scheduled"


async def test_one_message_is_bounced_from_its_page(operator: Person, outbound: Outbound) -> None:
    id = str(await outbound.submit(scheduled_at=LATER))
    asked = await operator.count(back="message", message=id)
    assert asked.url.path == f"/outbound/{id}"
    assert notice_of(asked) == "Choose what is to be done."
    asked = await operator.count(back="message", message=id, operation="bounce", reason=HOSTILE)
    assert "<img" not in asked.text
    done = await ended(outbound, await operator.do(asked))
    assert done["reason"] == HOSTILE
    item = await outbound.item(UUID(id))
    assert (item.status, item.last_bounce_reason) == ("bounced", HOSTILE)
    for path in (f"/outbound/operations/{done['id']}", "/outbound/operations", f"/outbound/{id}"):
        page = await operator.see(path)
        assert "<img" not in page, path
        assert "alert(1)" in unescape(page), path


async def test_what_did_not_follow_is_listed(operator: Person, outbound: Outbound) -> None:
    ids = [str(await outbound.submit(scheduled_at=LATER)) for _ in range(2)]
    counted = await operator.count(operation="suspend", scope="chosen", message=ids)
    await outbound.tell(UUID(ids[0]), "cancel")
    await outbound.reached(UUID(ids[0]), "cancelled")
    done = await operator.do(counted)
    await ended(outbound, done)
    said = words(await operator.see(done.url.path))
    assert "1 message was suspended; 1 did not follow." in said
    assert f"{ids[0]} : it has ended" in said
    await outbound.tell(UUID(ids[1]), "cancel")


async def test_more_than_a_thousand_have_to_be_meant(
    operator: Person, outbound: Outbound, outbound_house: House
) -> None:
    name = f"crowd-{outbound.marker}"
    async with outbound_house.adapters.engines.write.connect() as connection:
        await connection.execute(_CROWD, {"name": name, "number": 1_001})
    counted = await operator.count(operation="purge", scope="all", query=f"queue_name={name}")
    assert "All 1,001 are meant." in words(counted)
    refused = await operator.do(counted)
    assert notice_of(refused) == "Say first that all of them are meant."
    assert refused.url == counted.url
    done = await operator.do(counted, sure="true")
    assert (await ended(outbound, done))["affected"] == 1_001
    assert "No message matches." in words(await operator.see("/outbound/messages", queue_name=name))


_CROWD = text("""
    INSERT INTO message_queue
        (id, message_id, queue_name, recipient, sender, domain, status, size_bytes)
    SELECT gen_random_uuid(), gen_random_uuid() || '@ours.test', :name, 'a@example.com',
           'us@ours.test', 'example.com', 'cancelled', 2 FROM generate_series(1, :number)
""")


async def test_an_operation_that_asks_is_confirmed_or_stopped(
    operator: Person, outbound: Outbound, outbound_house: House
) -> None:
    name = f"crowd-{outbound.marker}"
    async with outbound_house.adapters.engines.write.connect() as connection:
        await connection.execute(_CROWD, {"name": name, "number": 1_001})
    purge = {"operation": "purge", "queue_name": name}
    for button, status, left in (("abandon", "abandoned", 1_001), ("confirm", "completed", 0)):
        asked = (await outbound.http.post("/queue/operations?wait=30", json=purge)).json()
        path = f"/outbound/operations/{asked['operation_id']}"
        assert "it waits to be confirmed" in words(await operator.see(path))
        page = await operator.send(f"{path}/{button}", {})
        assert (await ended(outbound, page))["status"] == status
        found = await outbound.http.get("/queue/messages", params={"queue_name": name})
        assert found.json()["total"] == left
        late = await operator.send(f"{path}/{button}", {})
        assert "ended" in notice_of(late) or "asks for nothing" in notice_of(late)


FORMS = (
    "/outbound/operations/ask",
    f"/outbound/operations/{SOMEBODYS}/do",
    f"/outbound/operations/{SOMEBODYS}/confirm",
    f"/outbound/operations/{SOMEBODYS}/abandon",
    "/outbound/filters",
    "/outbound/filters/remove",
    "/outbound/domains/example.com/suspend",
    "/outbound/domains/example.com/release",
    "/outbound/suspensions",
    "/outbound/suspensions/release",
)


@pytest.mark.parametrize("path", FORMS)
async def test_no_form_counts_without_its_token_or_for_others(
    operator: Person, outbound_house: House, path: str
) -> None:
    form = {"scope": "domain", "name": "example.com", "reason": "forged", "lasting": "1h"}
    for forged in ({}, {"csrf": "0" * 64}):
        answer = await operator.http.post(path, data=form | forged)
        assert answer.status_code == 403, answer.text
    [one, *_] = outbound_house.context.owners
    async with httpx.AsyncClient(base_url=operator.http.base_url) as owner:
        await owner.get("/login", params={"token": owner_token(outbound_house.context, one)})
        [own, *_] = re.findall(r'name="csrf" value="([0-9a-f]+)"', (await owner.get("/")).text)
        answer = await owner.post(path, data=form | {"csrf": own})
        assert answer.status_code == 403
        assert "operator" in answer.text


async def test_a_stream_tells_how_far_an_operation_is(operator: Person, outbound: Outbound) -> None:
    id = str(await outbound.submit(scheduled_at=LATER))
    counted = await operator.count(operation="cancel", scope="chosen", message=id)
    async with operator.http.stream("GET", "/outbound/operations/stream") as stream:
        events = (line async for line in stream.aiter_lines() if line.startswith("event: "))
        assert await anext(events) == "event: operation"
        done = await operator.do(counted)
        assert await anext(events) == "event: operation"
    await ended(outbound, done)
