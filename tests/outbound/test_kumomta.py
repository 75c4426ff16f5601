"""Messages that KumoMTA delivers, from their submission to what its log says of them."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from house import TOKEN, House, bridge_on, configured_house
from kumo_world import Injection, Kumo, feedback, kumo_running, out_of_band, post_log, record
from outbound_world import CONFIG, Outbound
from sqlalchemy import URL, text
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from world import Gateway, Sink, eventually

from activities.deliver_message import DeliverMessage
from mailroom.adapters.kumomta.courier import KumoCourier
from mailroom.adapters.kumomta.server import KumoServer
from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.markers import PostgresMarkers
from mailroom.adapters.postgres.message_queue import PostgresMessages
from mailroom.adapters.postgres.message_reports import PostgresReports
from mailroom.bridge.auth import owner_token
from mailroom.bridge.queue_reports import Reports
from mailroom.models.names import MAIL_TASK_QUEUE, QUEUE_HEALTH
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.message import DeliverInput, Outcome
from mailroom.models.outbound.queues import HealthRun
from mailroom.models.outbound.words import BounceType, DeliveryProtocol, MessageQueueStatus
from workflows.queue_health import QueueHealthWorkflow

S = MessageQueueStatus


@pytest.fixture(scope="module")
async def kumo() -> AsyncIterator[Kumo]:
    async with kumo_running() as running:
        yield running


@pytest.fixture(scope="module")
async def house(
    own_env: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    kumo: Kumo,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("kumomta")
    route = {"mailroom_outbound_route": "kumomta", "kumomta_url": kumo.url}
    async with configured_house(
        own_env, database, gateway, sink, folder, CONFIG, **route
    ) as running:
        yield running


@pytest.fixture(scope="module")
async def hook(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """KumoMTA's log hook, on the same machine."""
    async with bridge_on(house.context) as http:
        yield http


@pytest.fixture
async def outbound(house: House, hook: httpx.AsyncClient, marker: str) -> AsyncIterator[Outbound]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=hook.base_url, headers=headers, timeout=60) as http:
        yield Outbound(house, http, marker)


async def handed_over(
    outbound: Outbound, kumo: Kumo, what: str = "take", **more: object
) -> tuple[UUID, Injection]:
    """A message that KumoMTA has."""
    id = await outbound.submit(what, **more)
    item = await outbound.reached(id, "in_delivery", num_attempts=1)
    assert item.delivery_protocol is DeliveryProtocol.HTTP

    async def relayed() -> bool:
        return (await outbound.progress(id)).relayed

    # The row comes first.
    await eventually(relayed)
    [injected] = kumo.to(outbound.to(what))
    return id, injected


async def untouched(outbound: Outbound, id: UUID, before: MessageQueueItem) -> None:
    assert await outbound.item(id) == before
    assert (await outbound.progress(id)).status is before.status


async def test_a_message_is_handed_over_tried_and_delivered(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo, campaign_id="spring", tenant_id="t1")
    assert injected.recipients[0].metadata["mailroom_id"] == str(id)
    assert injected.recipients[0].metadata["campaign"] == "spring"
    later = record("TransientFailure", injected, 451, "greylisted", num_attempts=2)
    assert await post_log(hook, later) == {"received": 1, "taken": 1, "rejected": []}
    item = await outbound.item(id)
    assert (item.status, item.num_attempts) == (S.IN_DELIVERY, 2)
    assert item.smtp_response is not None
    assert (item.smtp_response.code, item.smtp_response.message) == (451, "greylisted")
    assert item.next_attempt_at is None
    await post_log(hook, record("Delivery", injected, num_attempts=3))
    item = await outbound.ended(id)
    assert (item.status, item.num_attempts) == (S.DELIVERED, 3)
    assert item.delivered_at is not None
    assert await outbound.events(id) == ["submitted", "relayed", "deferred", "delivered"]
    assert len(kumo.to(outbound.to("take"))) == 1


async def test_a_bounce_suppresses_its_recipient(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo)
    said = "recipient is not one of ours"
    await post_log(
        hook, record("Bounce", injected, 554, said, bounce_classification="InvalidRecipient")
    )
    item = await outbound.ended(id)
    assert (item.status, item.bounce_classification) == (S.BOUNCED, BounceType.HARD)
    assert said in (item.last_bounce_reason or "")
    again = await outbound.ended(await outbound.submit())
    assert (again.status, again.num_attempts) == (S.BOUNCED, 0)
    assert len(kumo.to(outbound.to("take"))) == 1


async def test_what_its_operator_bounced_suppresses_nobody(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo)
    said = "Administrator bounced with reason: user unknown"
    await post_log(hook, record("AdminBounce", injected, 551, said))
    item = await outbound.ended(id)
    assert (item.status, item.bounce_classification) == (S.BOUNCED, BounceType.UNKNOWN)
    assert said in (item.last_bounce_reason or "")
    again = await outbound.submit()
    await outbound.reached(again, "in_delivery", num_attempts=1)
    await outbound.tell(again, "cancel")


async def test_what_kumomta_gave_up_has_expired(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo)
    await post_log(hook, record("Expiration", injected, 551, "exceeds max_age=5days"))
    assert (await outbound.ended(id)).status is S.EXPIRED


async def test_what_comes_again_changes_nothing(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo)
    later = record("TransientFailure", injected, 451, "not now", num_attempts=2)
    done = record("Delivery", injected, num_attempts=3)
    # Late, twice, and in the wrong order.
    assert (await post_log(hook, done, later, done))["taken"] == 2
    item, lines = await outbound.ended(id), await outbound.timeline(id)
    lined = "\n".join(json.dumps(one) for one in (later, done, later))
    alone = await hook.post("/kumomta/log", content=json.dumps(done, indent=1))
    assert (await hook.post("/kumomta/log", content=lined)).json()["taken"] == 0
    assert alone.json() == {"received": 1, "taken": 0, "rejected": []}
    assert (await outbound.item(id), await outbound.timeline(id)) == (item, lines)
    assert item.status is S.DELIVERED


async def test_a_failure_that_comes_after_the_end_moves_nothing(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo)
    later = record("TransientFailure", injected, 451, "not now", num_attempts=2)
    await post_log(hook, record("Delivery", injected, num_attempts=3))
    await post_log(hook, later)
    item = await outbound.ended(id)
    assert (item.status, item.num_attempts) == (S.DELIVERED, 3)


async def test_a_mail_server_that_took_it_may_bounce_it_later(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo)
    assert injected.envelope_sender.endswith("@bounces.mailroom.test")
    await post_log(hook, record("Delivery", injected))
    await outbound.ended(id)
    await post_log(hook, out_of_band(injected, "5.1.1 no such user"))
    item = await outbound.item(id)
    assert (item.status, item.bounce_classification) == (S.BOUNCED, BounceType.HARD)
    forged = out_of_band(injected) | {"sender": f"b-{id.hex}-aaaaaaaaaa@bounces.mailroom.test"}
    assert (await post_log(hook, forged))["taken"] == 0


async def test_who_complains_gets_no_more(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo)
    await post_log(hook, record("Delivery", injected), feedback(injected, "not-spam"))
    await outbound.ended(id)
    await post_log(hook, feedback(injected))
    item = await outbound.item(id)
    assert (item.status, item.bounce_classification) == (S.DELIVERED, BounceType.COMPLAINT)
    again = await outbound.ended(await outbound.submit())
    assert (again.status, again.num_attempts) == (S.BOUNCED, 0)


async def test_it_is_handed_over_once_whatever_is_said(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo)
    await hook.post("/kumomta/log", json=[])
    for order in ("retry", "suspend", "resume"):
        answer = await outbound.http.post(f"/queue/messages/{id}/{order}")
        assert answer.status_code in (202, 409), answer.text
    await outbound.house.skip(hours=30)
    assert (await outbound.item(id)).status is S.IN_DELIVERY
    await post_log(hook, record("Delivery", injected))
    assert (await outbound.ended(id)).status is S.DELIVERED
    assert len(kumo.to(outbound.to("take"))) == 1


async def test_without_a_word_it_expires_and_is_not_handed_over_again(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    now = await outbound.house.env.get_current_time()
    id, injected = await handed_over(
        outbound, kumo, expires_at=(now + timedelta(hours=1)).isoformat()
    )
    await outbound.house.skip(hours=2)
    await outbound.reached(id, "expired", num_attempts=1)
    await outbound.house.skip(hours=30)
    # KumoMTA has it still, and the last word.
    await post_log(hook, record("Delivery", injected))
    assert (await outbound.item(id)).status is S.DELIVERED
    assert len(kumo.to(outbound.to("take"))) == 1


async def test_without_an_answer_it_may_have_been_sent_and_the_log_tells(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id = await outbound.submit("kumo-die")
    item = await outbound.reached(id, "suspended")
    assert item.bounce_classification is BounceType.UNKNOWN
    assert "may have been sent" in (item.last_bounce_reason or "")
    await outbound.house.skip(hours=7)
    [injected] = kumo.to(outbound.to("kumo-die"))
    await post_log(hook, record("Delivery", injected))
    assert (await outbound.ended(id)).status is S.DELIVERED
    assert len(kumo.to(outbound.to("kumo-die"))) == 1


async def test_a_worker_that_is_killed_while_kumomta_takes_it_hands_it_over_once(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    """The step is run as a worker runs it; the first time it stops without a trace."""
    kumo.hurry.clear()
    soon = datetime.now(UTC) + timedelta(days=300)
    id = await outbound.submit("kumo-slow", scheduled_at=soon.isoformat())
    request = DeliverInput(id=id, step=1, attempt=1)
    deliver, recipient = delivery_of(outbound.house, kumo), outbound.to("kumo-slow")
    killed = asyncio.create_task(ActivityEnvironment().run(deliver, request))

    async def there() -> bool:
        return recipient in kumo.seen

    await eventually(there)
    killed.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await killed
    kumo.hurry.set()
    again = ActivityEnvironment()
    again.info = replace(again.info, attempt=2)
    outcome = await again.run(deliver, request)
    assert (outcome.status, outcome.unknown) == (S.SUSPENDED, True)
    assert kumo.seen.count(recipient) == 1
    injected = await asyncio.wait_for(once(kumo, recipient), 10)
    await post_log(hook, record("Delivery", injected))
    assert (await outbound.item(id)).status is S.DELIVERED


async def test_a_log_that_is_faster_than_the_answer(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    kumo.hurry.clear()
    id, recipient = await outbound.submit("kumo-slow"), outbound.to("kumo-slow")

    async def there() -> bool:
        return recipient in kumo.seen

    await eventually(there)
    asked = [{"email": recipient, "metadata": {"mailroom_id": str(id)}}]
    known = {"envelope_sender": "news@company.com", "recipients": asked, "content": ""}
    injected = Injection.model_validate(known)
    await post_log(hook, record("Delivery", injected, num_attempts=1))
    kumo.hurry.set()
    item = await outbound.ended(id)
    assert item.status is S.DELIVERED
    assert kumo.seen.count(recipient) == 1
    assert (await outbound.events(id))[-1] == "delivered"


async def once(kumo: Kumo, recipient: str) -> Injection:
    async def taken() -> bool:
        return bool(kumo.to(recipient))

    await eventually(taken)
    [injected] = kumo.to(recipient)
    return injected


def delivery_of(house: House, kumo: Kumo) -> Callable[[DeliverInput], Awaitable[Outcome]]:
    write, terms = house.adapters.engines.write, house.adapters.outbound
    courier = KumoCourier(house.adapters.http, KumoServer(kumo.url))
    deliver = DeliverMessage(
        PostgresMessages(write, terms), PostgresMarkers(write), house.adapters.blobs, courier, terms
    )
    return deliver.deliver_message


async def test_what_its_policy_says(outbound: Outbound, kumo: Kumo) -> None:
    refused = await outbound.ended(await outbound.submit("kumo-550"))
    assert (refused.status, refused.num_attempts) == (S.BOUNCED, 1)
    assert "we don't send that" in (refused.last_bounce_reason or "")
    later = await outbound.submit("kumo-451")
    item = await outbound.reached(later, "deferred")
    assert item.next_attempt_at is not None
    await outbound.tell(later, "cancel")
    assert kumo.to(outbound.to("kumo-550")) == []


async def test_that_kumomta_takes_nothing_is_no_fault_of_the_recipients_domain(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    domain = f"{outbound.marker}.example"

    async def submit(name: str) -> UUID:
        return await outbound.submit(recipient=f"{name}@{domain}", queue_name=outbound.marker)

    later = await submit("kumo-http-503")
    await outbound.reached(later, "deferred")
    await outbound.tell(later, "cancel")
    await outbound.ended(await submit("kumo-550"))
    assert await outcomes(outbound.house, domain) == []
    taken = await submit("take")
    await outbound.reached(taken, "in_delivery", num_attempts=1)
    [injected] = kumo.to(f"take@{domain}")
    await post_log(hook, record("TransientFailure", injected, 451), record("Delivery", injected))
    assert await outcomes(outbound.house, domain) == ["deferred", "delivered"]


async def outcomes(house: House, domain: str) -> list[str]:
    kinds = text("SELECT kind FROM delivery_outcomes WHERE domain = :domain ORDER BY id")
    async with house.adapters.engines.write.connect() as connection:
        return list(await connection.scalars(kinds, {"domain": domain}))


# --- The webhook


async def test_ten_thousand_records_at_once(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    """Most of them are nobody's, as on a server that others use, too."""
    messages = [await handed_over(outbound, kumo, f"take{n}") for n in range(3)]
    ours = [record("Delivery", injected) for _, injected in messages]
    other = record("Reception", messages[0][1])
    theirs = [other | {"id": uuid4().hex, "meta": {}} for _ in range(9_997)]
    body = json.dumps([*theirs[:5_000], *ours, *theirs[5_000:]])
    assert len(body) > 10_000_000
    answer = await hook.post("/kumomta/log", content=body)
    assert answer.json() == {"received": 10_000, "taken": 3, "rejected": []}
    for id, _ in messages:
        assert (await outbound.ended(id)).status is S.DELIVERED


async def test_bad_records_are_named_and_stand_in_nobodys_way(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo)
    nobodys: list[Any] = [5, {"type": "Delivery"}]
    answer = await hook.post("/kumomta/log", json=[*nobodys, record("Delivery", injected)])
    assert answer.status_code == 200
    assert answer.json()["taken"] == 1
    assert [one["index"] for one in answer.json()["rejected"]] == [0, 1]
    assert (await outbound.ended(id)).status is S.DELIVERED
    none = await hook.post("/kumomta/log", json=nobodys)
    assert (none.status_code, len(none.json()["rejected"])) == (422, 2)
    assert (await hook.post("/kumomta/log", content=b"hello")).status_code == 422


async def test_only_this_machine_and_the_operator_post(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo)
    before, done = await outbound.item(id), record("Delivery", injected)
    for headers in (
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Origin": "http://127.0.0.1"},
        {"Host": "mailroom.example.org"},
        {"Authorization": "Bearer of-somebody-else"},
    ):
        answer = await hook.post("/kumomta/log", json=done, headers=headers)
        assert answer.status_code == 401, headers
    await untouched(outbound, id, before)
    behind_a_proxy = {"Via": "1.1 proxy", "Authorization": f"Bearer {TOKEN}"}
    answer = await hook.post("/kumomta/log", json=done, headers=behind_a_proxy)
    assert answer.json()["taken"] == 1
    assert (await outbound.ended(id)).status is S.DELIVERED


async def test_too_much_is_not_read(hook: httpx.AsyncClient) -> None:
    async def without_end() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield b" " * 1024 * 1024

    answer = await hook.post("/kumomta/log", content=without_end())
    assert answer.status_code == 413


async def test_while_postgresql_is_away_kumomta_keeps_its_records(
    outbound: Outbound, kumo: Kumo, house: House, hook: httpx.AsyncClient
) -> None:
    id, injected = await handed_over(outbound, kumo)
    nowhere = engine.connect("postgresql+psycopg://nobody@127.0.0.1:1/none", 1)
    reports = Reports(PostgresReports(nowhere), house.context.message_flows)
    away = replace(house.context, returns=replace(house.context.returns, reports=reports))
    done = [record("TransientFailure", injected, 451), record("Delivery", injected)]
    async with bridge_on(away) as http:
        answer = await http.post("/kumomta/log", json=done)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
    await nowhere.dispose()
    assert (await post_log(hook, *done))["taken"] == 2
    assert (await outbound.ended(id)).status is S.DELIVERED


async def test_an_owners_token_does_not_do(outbound: Outbound, hook: httpx.AsyncClient) -> None:
    [owner] = outbound.house.context.owners
    headers = {"Authorization": f"Bearer {owner_token(outbound.house.context, owner)}"}
    assert (await hook.post("/kumomta/log", json=[], headers=headers)).status_code == 403


async def test_the_record_in_the_docs_is_one(
    outbound: Outbound, kumo: Kumo, hook: httpx.AsyncClient
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
    [shown] = re.findall(r"curl -d '(\{\"type\".*?)' \$B/kumomta/log", page, re.DOTALL)
    id, _ = await handed_over(outbound, kumo)
    said = re.sub(r'(?<="mailroom_id": ")[^"]+', str(id), shown)
    assert (await post_log(hook, json.loads(said)))["taken"] == 1
    assert (await outbound.ended(id)).status is S.DELIVERED


async def test_what_is_suspended_is_held_there_and_again_after_it_restarts(
    house: House, outbound: Outbound, kumo: Kumo, marker: str
) -> None:
    what, reason = f"/queue/suspensions/campaign/{marker}", f"Mailroom: held by {marker}"

    async def held() -> bool:
        return reason in {one["reason"] for one in kumo.suspensions.values()}

    async def set_state(state: str) -> None:
        wanted = {"state": state, "reason": "they block us"}
        answer = await outbound.http.put(f"/queue/queues/{marker}->mx.test@smtp", json=wanted)
        assert answer.status_code == 200, answer.text

    answer = await outbound.http.put(what, json={"reason": f"held by {marker}"})
    assert answer.status_code == 200, answer.text
    await set_state("suspended")
    assert await held()
    assert [one["name"] for one in kumo.ready.values()] == [f"{marker}->mx.test@smtp"]
    kumo.restart()
    assert not await held()
    assert (await looked(house)).mirrored >= 2
    assert await held()
    assert len(kumo.ready) == 1
    assert (await outbound.http.delete(what)).status_code == 204
    await set_state("active")
    assert not await held()
    assert kumo.ready == {}


async def test_what_kumomta_has_is_bounced_and_rebound_there(
    outbound: Outbound, kumo: Kumo, marker: str
) -> None:
    id, _ = await handed_over(outbound, kumo, campaign_id=marker)
    asked = {"filter": {"campaign_id": marker}, "reason": "a wrong link"}
    moved = {"operation": "rebind", "metadata": {"routing_domain": "relay.example.com"}}
    answer = await outbound.http.post("/queue/operations?wait=20", json=asked | moved)
    assert answer.json()["operation"]["result"]["success"], answer.text
    assert (await outbound.item(id)).routing_domain == "relay.example.com"
    answer = await outbound.http.post(
        "/queue/operations?wait=20", json=asked | {"operation": "bounce"}
    )
    assert answer.json()["operation"]["result"]["success"], answer.text
    assert (await outbound.ended(id)).status is S.BOUNCED
    assert [one for one in kumo.asked if one[1].get("campaign") == marker] == [
        (
            "/api/admin/rebind/v1",
            {
                "campaign": marker,
                "data": {"routing_domain": "relay.example.com"},
                "reason": "a wrong link",
                "always_flush": False,
            },
        ),
        (
            "/api/admin/bounce/v1",
            {
                "campaign": marker,
                "reason": "a wrong link",
                "suppress_logging": False,
                "duration": "10s",
            },
        ),
    ]


async def looked(house: House) -> HealthRun:
    """What the Schedule does every minute."""
    with house.env.auto_time_skipping_disabled():
        return await house.client.execute_workflow(
            QueueHealthWorkflow.run, id=f"{QUEUE_HEALTH}/{uuid4()}", task_queue=MAIL_TASK_QUEUE
        )
