"""Operations over many messages, on real workflows."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from house import House
from outbound_world import Outbound
from sqlalchemy import text
from temporalio.client import WorkflowExecutionStatus
from world import eventually

from activities.queue_operation import QueueOperations
from mailroom.adapters.temporal import TemporalUnavailable
from mailroom.bridge.operated_flows import OperatedFlows
from mailroom.bridge.queue_flows import QueueFlows
from mailroom.models.names import outbound_id
from mailroom.models.outbound.bulk import OperationProgress, OperationRef, Reach, Reached
from mailroom.models.outbound.domains import ascii_domain
from mailroom.models.outbound.operation_request import OperationRequest
from mailroom.models.outbound.words import QueueOperationType


async def operate(outbound: Outbound, **operation: object) -> dict[str, Any]:
    """An operation, once it has ended or asks to be confirmed."""
    response = await outbound.http.post("/queue/operations?wait=30", json=operation)
    assert response.status_code in (200, 202), response.text
    found: dict[str, Any] = response.json()["operation"]
    return found


async def refused(outbound: Outbound, **operation: object) -> str:
    response = await outbound.http.post("/queue/operations", json=operation)
    assert response.status_code == 422, response.text
    return str(response.json()["detail"])


def later(**length: int) -> str:
    return (datetime(2036, 1, 1, tzinfo=UTC) - timedelta(**length)).isoformat()


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def waiting(outbound: Outbound, **more: object) -> UUID:
    """A message that was tried once and waits for half an hour."""
    id = await outbound.submit("defer-always", **more)
    await outbound.reached(id, "deferred")
    return id


async def test_messages_of_a_campaign_are_suspended_and_resumed(outbound: Outbound) -> None:
    campaign = f"c-{outbound.marker}"
    ids = [await waiting(outbound, campaign_id=campaign) for _ in range(3)]
    other = await waiting(outbound)
    done = await operate(
        outbound, operation="suspend", filter={"campaign_id": campaign}, reason="a wrong link"
    )
    result = done["result"]
    assert (result["success"], result["affected_messages"]) == (True, 3), done
    assert result["affected_queues"] == [outbound.marker]
    for id in ids:
        item = await outbound.item(id)
        assert (item.status, item.last_bounce_reason) == ("suspended", "a wrong link")
        await _follows(outbound, id, "suspended")
        [line] = [one for one in await outbound.timeline(id) if one["type"] == "message.suspended"]
        assert line["detail"]["operation"] == done["id"]
    assert (await outbound.item(other)).status == "deferred"

    done = await operate(outbound, operation="resume", filter={"campaign_id": campaign})
    assert done["result"]["affected_messages"] == 3
    for id in ids:
        item = await outbound.item(id)
        assert (item.status, item.last_bounce_reason) == ("deferred", "451 4.3.2 try later")
        await _follows(outbound, id, "deferred")


async def _follows(outbound: Outbound, id: UUID, status: str) -> None:
    async def is_there() -> bool:
        return (await outbound.progress(id)).status == status

    await eventually(is_there, 10)


async def test_cancelled_ones_end(outbound: Outbound) -> None:
    ids = [await waiting(outbound) for _ in range(2)]
    scheduled = await outbound.submit(scheduled_at=later(days=9))
    done = await operate(outbound, operation="cancel", queue_name=outbound.marker)
    assert done["result"]["affected_messages"] == 3
    for id in [*ids, scheduled]:
        await _ends(outbound, id, "cancelled")


async def _ends(outbound: Outbound, id: UUID, status: str) -> None:
    handle = outbound.house.client.get_workflow_handle(outbound_id(id))

    async def is_over() -> bool:
        return (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING

    await eventually(is_over, 10)
    assert (await outbound.item(id)).status == status


async def test_what_is_bounced_is_given_up(outbound: Outbound) -> None:
    id = await waiting(outbound)
    await operate(outbound, operation="bounce", message_ids=[str(id)], reason="no such company")
    await _ends(outbound, id, "bounced")
    item = await outbound.item(id)
    assert (item.bounce_classification, item.last_bounce_reason) == ("unknown", "no such company")


async def test_retried_ones_are_tried_now(outbound: Outbound) -> None:
    deferred = await waiting(outbound)
    scheduled = await outbound.submit(scheduled_at=later(days=30))
    done = await operate(outbound, operation="retry", queue_name=outbound.marker)
    assert done["result"]["affected_messages"] == 2
    await outbound.reached(deferred, "deferred", num_attempts=2)
    await outbound.reached(scheduled, "delivered")


async def test_a_rebind_and_a_priority_reach_the_workflow(outbound: Outbound) -> None:
    id = await waiting(outbound)
    name = f"slow-{outbound.marker}"
    await operate(
        outbound,
        operation="rebind",
        message_ids=[str(id)],
        metadata={"queue_name": name, "routing_domain": "Relay.Example.com"},
    )
    await operate(
        outbound, operation="set_priority", message_ids=[str(id)], metadata={"priority": 9}
    )
    item = await outbound.item(id)
    assert (item.queue_name, item.routing_domain, item.priority) == (name, "relay.example.com", 9)

    async def is_bound() -> bool:
        handle = outbound.house.client.get_workflow_handle(outbound_id(id))
        found = (await handle.describe()).typed_search_attributes
        shown = {pair.key.name: pair.value for pair in found}
        return (shown["MailQueue"], shown["MailPriority"]) == (name, 1)

    await eventually(is_bound, 10)


async def test_purged_ones_leave_nothing_behind(outbound: Outbound, outbound_house: House) -> None:
    deferred = await waiting(outbound)
    delivered = await outbound.submit()
    await outbound.ended(delivered)
    scheduled = await outbound.submit(scheduled_at=later(days=9))
    done = await operate(outbound, operation="purge", queue_name=outbound.marker)
    assert done["result"]["affected_messages"] == 3, done
    async with outbound_house.adapters.engines.read.connect() as connection:
        for id in (deferred, delivered, scheduled):
            about = {"id": str(id), "key": f"outbound/{id}/%"}
            assert await connection.scalar(_LEFT, about) == 0
    for id in (deferred, scheduled):
        handle = outbound.house.client.get_workflow_handle(outbound_id(id))
        assert (await handle.describe()).status is WorkflowExecutionStatus.TERMINATED


_LEFT = text("""
    SELECT (SELECT count(*) FROM message_queue WHERE id = CAST(:id AS uuid))
         + (SELECT count(*) FROM events WHERE message_id = CAST(:id AS text))
         + (SELECT count(*) FROM send_markers WHERE key LIKE :key)
""")


async def test_what_does_not_follow_is_said(outbound: Outbound) -> None:
    ended, unknown = await outbound.submit(), uuid4()
    await outbound.ended(ended)
    done = await operate(outbound, operation="suspend", message_ids=[str(ended), str(unknown)])
    assert done["result"]["success"] is False
    assert sorted(done["result"]["errors"]) == sorted([
        f"{ended}: it has ended; nothing changes that any more",
        f"{unknown}: there is no such message",
    ])  # fmt: skip


async def test_a_dry_run_changes_nothing(outbound: Outbound) -> None:
    id = await waiting(outbound)
    done = await operate(outbound, operation="cancel", queue_name=outbound.marker, dry_run=True)
    assert (done["messages"], done["affected"], done["status"]) == (1, 0, "completed")
    [shown] = done["sample"]
    assert (shown["id"], shown["recipient"]) == (str(id), outbound.to("defer-always"))
    assert (await outbound.item(id)).status == "deferred"


async def test_many_messages_wait_for_somebody_who_means_them(
    outbound: Outbound, outbound_house: House
) -> None:
    await _rows(outbound_house, outbound.marker, 1_001)
    asked = await operate(outbound, operation="cancel", queue_name=outbound.marker)
    assert (asked["status"], asked["messages"], asked["affected"]) == (
        "awaiting_confirmation", 1_001, 0,
    )  # fmt: skip
    response = await outbound.http.post(f"/queue/operations/{asked['id']}/confirm?wait=30")
    done = response.json()
    assert (done["status"], done["result"]["affected_messages"]) == ("completed", 1_001)
    again = await outbound.http.post(f"/queue/operations/{asked['id']}/confirm")
    assert again.status_code == 409


async def test_the_same_key_with_confirm_confirms(
    outbound: Outbound, outbound_house: House
) -> None:
    await _rows(outbound_house, outbound.marker, 1_001)
    asked = {"operation": "cancel", "queue_name": outbound.marker}
    key = {"Idempotency-Key": f"confirm-{outbound.marker}"}
    for more, status in (({}, "awaiting_confirmation"), ({"confirm": True}, "completed")):
        begun = await outbound.http.post(
            "/queue/operations?wait=30", json=asked | more, headers=key
        )
        assert begun.json()["operation"]["status"] == status, begun.text


async def test_what_nobody_confirms_is_abandoned(outbound: Outbound, outbound_house: House) -> None:
    await _rows(outbound_house, outbound.marker, 1_001)
    asked = await operate(outbound, operation="cancel", queue_name=outbound.marker)
    response = await outbound.http.post(f"/queue/operations/{asked['id']}/abandon?wait=30")
    done = response.json()
    assert done["status"] == "abandoned"
    assert done["result"]["errors"] == ["abandoned by an operator; no message was changed"]


async def _rows(house: House, queue_name: str, number: int) -> None:
    """Messages as an import leaves them, without workflows."""
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(_ROWS, {"queue": queue_name, "number": number})


_ROWS = text("""
    INSERT INTO message_queue (id, message_id, queue_name, recipient, sender, domain, status,
                               size_bytes)
    SELECT gen_random_uuid(), '<' || n || '@example.com>', :queue, 'a' || n || '@example.com',
           'news@company.com', 'example.com', 'suspended', 1000
    FROM generate_series(1, :number) AS n
""")


async def test_a_message_whose_workflow_was_lost_goes_on(outbound: Outbound) -> None:
    id = await waiting(outbound)
    await outbound.house.client.get_workflow_handle(outbound_id(id)).terminate()
    await operate(outbound, operation="retry", message_ids=[str(id)])
    await outbound.reached(id, "deferred", num_attempts=2)

    async def a_workflow_has_it() -> bool:
        return (await outbound.progress(id)).num_attempts == 2

    await eventually(a_workflow_has_it)
    assert (await outbound.progress(id)).status == "deferred"


async def test_the_audit_trail_is_read_and_never_edited(
    outbound: Outbound, outbound_house: House
) -> None:
    done = await operate(
        outbound, operation="cancel", queue_name=outbound.marker, reason="not any more"
    )
    page = (await outbound.http.get("/queue/operations?limit=1")).json()
    assert page["items"][0]["id"] == done["id"]
    assert (page["items"][0]["reason"], page["items"][0]["requested_by"]) == (
        "not any more", "operator",
    )  # fmt: skip
    older = (await outbound.http.get(f"/queue/operations?cursor={page['next_cursor']}")).json()
    assert done["id"] not in [one["id"] for one in older["items"]]
    async with outbound_house.adapters.engines.write.connect() as connection:
        for edit in (
            "UPDATE queue_operations SET reason = 'fine' WHERE id = :id",
            "DELETE FROM queue_operations WHERE id = :id",
            "TRUNCATE queue_operations",
        ):
            with pytest.raises(Exception, match="the audit trail of queue operations can not be"):
                await connection.execute(text(edit), {"id": done["id"]} if ":id" in edit else {})


async def test_what_is_done_in_one_word_is_in_the_audit_trail(outbound: Outbound) -> None:
    id, queue = await waiting(outbound), f"/queue/queues/{outbound.marker}"
    await outbound.tell(id, "suspend", reason="a look")
    await outbound.http.put(queue, json={"state": "draining", "reason": "it closes"})
    what = f"/queue/suspensions/tenant/{outbound.marker}"
    await outbound.http.put(what, json={"reason": "unpaid"})
    await outbound.http.delete(what)
    page = (await outbound.http.get("/queue/operations?limit=4")).json()["items"]
    shown = [(one["operation"], one.get("reason"), one["status"]) for one in page]
    assert shown == [
        ("resume", None, "completed"),
        ("suspend", "unpaid", "completed"),
        ("suspend", "it closes", "completed"),
        ("suspend", "a look", "completed"),
    ]
    assert page[3]["message_ids"] == [str(id)]
    assert page[2]["metadata"] == {"state": "draining"}
    assert page[1]["filter"] == {"tenant_id": outbound.marker}


async def test_temporal_was_away_for_a_moment(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await waiting(outbound) for _ in range(4)]
    adopt, calls = OperatedFlows.adopt, 0

    async def stumbling(self: OperatedFlows, *args: Any, **more: Any) -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise TemporalUnavailable("Temporal is away.")
        return await adopt(self, *args, **more)

    monkeypatch.setattr(OperatedFlows, "adopt", stumbling)
    done = await operate(outbound, operation="cancel", queue_name=outbound.marker)
    assert (done["messages"], done["affected"], done["failed"]) == (4, 4, 0)
    for id in ids:
        await _ends(outbound, id, "cancelled")
        assert (await outbound.events(id)).count("cancelled") == 1


async def test_the_same_key_is_the_same_operation(outbound: Outbound) -> None:
    key = {"Idempotency-Key": outbound.marker}
    asked = {"operation": "cancel", "queue_name": outbound.marker}
    first = await outbound.http.post("/queue/operations", json=asked, headers=key)
    again = await outbound.http.post("/queue/operations", json=asked, headers=key)
    assert first.json() == again.json()
    for more in ({"operation": "bounce"}, {"operation": "rebind", "metadata": {"queue_name": "q"}}):
        other = await outbound.http.post("/queue/operations", json=asked | more, headers=key)
        assert other.status_code == 409


async def test_the_same_key_with_other_words_is_another_operation(outbound: Outbound) -> None:
    async def said(key: str, operation: str, **words: object) -> int:
        response = await outbound.http.post(
            "/queue/operations",
            json={"operation": operation, "queue_name": outbound.marker, "metadata": words},
            headers={"Idempotency-Key": f"{key}-{outbound.marker}"},
        )
        return response.status_code

    assert await said("raise", "set_priority", priority=1) == 202
    assert await said("raise", "set_priority", priority=1) == 202
    assert await said("raise", "set_priority", priority=9) == 409
    hour = {"for": "1h"}
    assert await said("hold", "suspend", **hour) == 202
    assert await said("hold", "suspend", **hour) == 202
    assert await said("hold", "suspend", until=in_an_hour()) == 409


async def test_a_domain_may_be_spelled_in_any_way(outbound: Outbound) -> None:
    domain = f"bücher-{outbound.marker}.example.com"
    await outbound.submit(recipient=f"defer-always@{domain}", scheduled_at=in_an_hour())
    for spelled in (domain, f"{domain.upper()}.", f" {ascii_domain(domain)} "):
        done = await operate(outbound, operation="cancel", dry_run=True, filter={"domain": spelled})
        assert done["messages"] == 1, spelled


async def test_one_that_temporal_never_heard_of_can_be_abandoned(
    outbound: Outbound, outbound_house: House
) -> None:
    id, operation = await waiting(outbound), uuid4()
    asked = OperationRequest.model_validate({"operation": "cancel", "message_ids": [id]})
    assert await outbound_house.context.operations.add(operation, asked, "operator")
    abandoned = await outbound.http.post(f"/queue/operations/{operation}/abandon?wait=20")
    assert abandoned.json()["status"] == "abandoned", abandoned.text
    assert abandoned.json()["result"]["errors"] == [
        "abandoned by an operator; no message was changed"
    ]
    assert (await outbound.item(id)).status == "deferred"
    again = await outbound.http.post(f"/queue/operations/{operation}/abandon")
    assert again.status_code == 409


class _Told:
    """A store and the flows of messages that are all being delivered."""

    def __init__(self, *, hears: bool) -> None:
        self.hears = hears
        self.errors: dict[UUID, str] = {}

    async def words(self, id: UUID) -> list[str]:
        return ["a wrong price"]

    async def tell(self, id: UUID, operation: str, *words: str) -> bool:
        return self.hears

    async def told(
        self, id: UUID, changed: dict[UUID, str], same: list[UUID], errors: dict[UUID, str]
    ) -> OperationProgress:
        assert not changed
        self.errors = errors
        return OperationProgress()


@pytest.mark.parametrize(("hears", "said"), [(True, "was told"), (False, "try again")])
async def test_what_is_being_delivered_has_not_followed_yet(hears: bool, said: str) -> None:
    """Whether it does is for its server to say."""
    id, told = uuid4(), _Told(hears=hears)
    operations = QueueOperations(told, told, None, None)  # type: ignore[arg-type]
    ref = OperationRef(id=uuid4(), operation=QueueOperationType.CANCEL)
    await operations.settled(ref, [Reached(id=id, reach=Reach.BUSY, queue_name="q")])
    assert said in told.errors[id]


async def test_one_order_knows_its_own_words_only(outbound: Outbound) -> None:
    id = await waiting(outbound)
    for order, field in (
        ({"reason": "why", "queue_name": "q2"}, "metadata.queue_name"),
        ({"queue_name": " "}, "body.queue_name"),
    ):
        response = await outbound.http.post(f"/queue/messages/{id}/suspend", json=order)
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == field
    assert (await outbound.item(id)).status == "deferred"


async def test_an_order_to_the_whole_is_noted_though_temporal_is_away(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise TemporalUnavailable("Temporal is away.")

    monkeypatch.setattr(QueueFlows, "look_after", away)
    what = f"/queue/suspensions/campaign/{outbound.marker}"
    held = await outbound.http.put(what, json={"reason": "unpaid"})
    assert held.status_code == 503
    [noted] = (await outbound.http.get("/queue/operations?limit=1")).json()["items"]
    assert noted["filter"] == {"campaign_id": outbound.marker}
    assert (await outbound.http.get(what)).json()["reason"] == "unpaid"


async def test_pages_of_the_audit_trail_take_cursors_of_theirs(outbound: Outbound) -> None:
    for cursor in (f"2026-01-01T00:00:00/{uuid4()}", "nonsense", f"x/{uuid4()}"):
        response = await outbound.http.get("/queue/operations", params={"cursor": cursor})
        assert response.status_code == 422, cursor
        assert response.json()["errors"][0]["field"] == "cursor"


async def test_a_queue_is_suspended_as_a_whole_and_opened(outbound: Outbound) -> None:
    done = await operate(
        outbound, operation="suspend", queue_name=outbound.marker, metadata={"for": "1h"}
    )
    assert done["result"]["affected_queues"] == [outbound.marker]
    queue = (await outbound.http.get(f"/queue/queues/{outbound.marker}")).json()
    assert queue["state"] == "suspended"
    left = datetime.fromisoformat(queue["until"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    id = await outbound.submit()
    await outbound.reached(id, "ready", queue_state="suspended")
    await operate(outbound, operation="resume", queue_name=outbound.marker)
    await outbound.reached(id, "delivered")


async def test_what_comes_later_of_a_suspended_campaign_is_held(outbound: Outbound) -> None:
    campaign = {"campaign_id": f"c-{outbound.marker}"}
    await operate(outbound, operation="suspend", filter=campaign, metadata={"for": "1h"})
    id = await outbound.submit(**campaign)

    async def is_held() -> bool:
        return "held" in await outbound.events(id)

    await eventually(is_held, 10)
    assert (await outbound.item(id)).num_attempts == 0
    await operate(outbound, operation="resume", filter=campaign)
    item = await outbound.reached(id, "delivered")
    assert item.num_attempts == 1


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "nothing says which messages are meant"),
        ({"filter": {}}, "nothing says which messages are meant"),
        ({"filter": {"limit": 5}}, "an operation has no pages"),
        ({"message_ids": []}, "message_ids"),
        ({"queue_name": "q", "metadata": {"priority": 3}}, "metadata.priority"),
        ({"operation": "rebind", "queue_name": "q"}, "say whereto"),
        ({"operation": "set_priority", "queue_name": "q", "metadata": {"priority": 11}},
         "metadata.priority"),
        ({"operation": "suspend", "queue_name": "q", "metadata": {"until": "2020-01-01T00:00:00Z"}},
         "a moment to come"),
        ({"operation": "suspend", "queue_name": "q", "metadata": {"until": "2036-01-01T00:00:00"}},
         "timezone"),
        ({"operation": "suspend", "filter": {"domain": "a.test", "status": "deferred"},
          "metadata": {"for": "1h"}}, "an end is for one queue"),
        ({"operation": "suspend", "message_ids": [str(uuid4())], "metadata": {"for": "1h"}},
         "an end is for one queue"),
        ({"operation": "suspend", "filter": {"domain": "not one!"}, "metadata": {"for": "1h"}},
         "filter.domain"),
        ({"operation": "resume", "filter": {"domain": "not one!"}}, "filter.domain"),
        ({"queue_name": "q", "filter": {"queue_name": "r"}}, "body.queue_name"),
        ({"queue_name": " "}, "body.queue_name"),
        ({"filter": {"min_attempts": 0, "min_size_bytes": 0}}, "nothing says"),
        ({"operation": "rebind", "queue_name": "q", "metadata": {"queue_name": "a\nb"}},
         "metadata.queue_name"),
        ({"operation": "rebind", "queue_name": "q", "metadata": {"routing_domain": "not one!"}},
         "metadata.routing_domain"),
        ({"operation": "explode", "queue_name": "q"}, "operation"),
        ({"queue_name": "q", "reason": "\0"}, "reason"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(
    outbound: Outbound, asked: dict[str, object], sentence: str
) -> None:
    assert sentence in await refused(outbound, **({"operation": "cancel"} | asked))
