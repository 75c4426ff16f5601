"""The life of one outbound message, from its submission to its end."""

from datetime import UTC, datetime, timedelta

import pytest
from house import House
from outbound_world import Outbound
from world import eventually

from mailroom.models.names import outbound_id
from mailroom.models.outbound.words import BounceType, MessageQueueStatus

S = MessageQueueStatus


async def test_a_message_is_delivered(outbound: Outbound, outbound_house: House) -> None:
    id = await outbound.submit(tags=["autumn"], metadata={"n": 1}, campaign_id=None)
    item = await outbound.ended(id)
    assert (item.status, item.num_attempts) == (S.DELIVERED, 1)
    assert item.smtp_response is not None
    assert (item.smtp_response.code, item.smtp_response.enhanced_code) == (250, "2.0.0")
    assert item.delivered_at is not None
    assert item.next_attempt_at is None
    assert (item.tags, item.metadata) == (["autumn"], {"n": 1})
    assert await outbound.events(id) == ["submitted", "delivered"]
    [mail] = outbound_house.sink.mails[outbound.to("take")]
    assert mail["Message-ID"] == item.message_id


async def test_a_refusal_is_a_bounce_and_the_address_gets_no_more(outbound: Outbound) -> None:
    item = await outbound.ended(await outbound.submit("refuse"))
    assert (item.status, item.bounce_classification) == (S.BOUNCED, BounceType.HARD)
    assert item.smtp_response is not None
    assert item.smtp_response.enhanced_code == "5.1.1"
    again = await outbound.ended(await outbound.submit("refuse"))
    assert (again.status, again.num_attempts) == (S.BOUNCED, 0)
    assert again.last_bounce_reason == "The recipient is on the suppression list: hard bounce."


async def test_a_deferral_waits_half_an_hour_and_then_longer(outbound: Outbound) -> None:
    id = await outbound.submit("defer-twice")
    first = await outbound.reached(id, "deferred", num_attempts=1)

    async def its_workflow_knows() -> bool:
        return (await outbound.progress(id)).next_attempt_at == first.next_attempt_at

    await eventually(its_workflow_knows)
    assert first.bounce_classification is BounceType.SOFT
    item = await outbound.ended(id)
    assert (item.status, item.num_attempts) == (S.DELIVERED, 3)
    lines = [one for one in await outbound.timeline(id) if one["type"] == "message.deferred"]
    pauses = [
        datetime.fromisoformat(line["detail"]["next_attempt_at"])
        - datetime.fromisoformat(line["at"])
        for line in lines
    ]
    assert len(pauses) == 2
    assert timedelta(minutes=29) < pauses[0] < timedelta(minutes=34)


async def test_after_twenty_attempts_it_is_a_soft_bounce(outbound: Outbound) -> None:
    item = await outbound.ended(await outbound.submit("defer-always"))
    assert (item.status, item.bounce_classification) == (S.BOUNCED, BounceType.SOFT)
    assert item.num_attempts == 20
    assert (item.last_bounce_reason or "").startswith("Attempts exhausted (20).")


async def test_a_message_expires_while_it_is_deferred(
    outbound: Outbound, outbound_house: House
) -> None:
    now = await outbound_house.env.get_current_time()
    id = await outbound.submit("defer-always", expires_at=(now + timedelta(hours=1)).isoformat())
    item = await outbound.ended(id)
    assert (item.status, item.num_attempts) == (S.EXPIRED, 2)
    assert "451" in (item.last_bounce_reason or "")


async def test_a_scheduled_message_leaves_when_it_is_due(
    outbound: Outbound, outbound_house: House
) -> None:
    at = datetime.now(UTC) + timedelta(hours=2)
    id = await outbound.submit(scheduled_at=at.isoformat())
    item = await outbound.item(id)
    assert (item.status, item.next_attempt_at) == (S.SCHEDULED, at)
    assert not outbound_house.sink.mails[outbound.to("take")]
    await outbound_house.skip(hours=1, minutes=50)
    assert (await outbound.item(id)).status is S.SCHEDULED
    await outbound_house.skip(minutes=11)
    assert (await outbound.reached(id, "delivered")).num_attempts == 1


async def test_a_scheduled_message_can_be_cancelled(outbound: Outbound) -> None:
    at = datetime.now(UTC) + timedelta(days=300)
    id = await outbound.submit(scheduled_at=at.isoformat())
    await outbound.tell(id, "cancel", reason="the campaign is over")
    item = await outbound.ended(id)
    assert (item.status, item.next_attempt_at) == (S.CANCELLED, None)
    assert item.last_bounce_reason == "the campaign is over"
    assert await outbound.events(id) == ["submitted", "cancelled"]


async def test_what_is_suspended_waits_and_goes_on_where_it_was(outbound: Outbound) -> None:
    id = await outbound.submit("defer-twice")
    before = await outbound.reached(id, "deferred")
    await outbound.tell(id, "suspend", reason="a look first")
    held = await outbound.reached(id, "suspended")
    assert held.last_bounce_reason == "a look first"
    await outbound.tell(id, "resume")
    again = await outbound.reached(id, "deferred")
    assert again.next_attempt_at == before.next_attempt_at
    assert (await outbound.ended(id)).status is S.DELIVERED


async def test_a_retry_does_not_wait(outbound: Outbound) -> None:
    id = await outbound.submit("defer-twice")
    await outbound.reached(id, "deferred", num_attempts=1)
    await outbound.tell(id, "retry", reason="they say it works now")
    await outbound.reached(id, "deferred", num_attempts=2)
    await outbound.tell(id, "retry")
    await outbound.reached(id, "delivered", num_attempts=3)
    retried, again = [
        line["detail"] for line in await outbound.timeline(id) if line["type"] == "message.retried"
    ]
    assert (retried, again) == ({"reason": "they say it works now"}, {})


async def test_an_operator_gives_a_message_up(outbound: Outbound) -> None:
    id = await outbound.submit("defer-always")
    await outbound.reached(id, "deferred")
    await outbound.tell(id, "bounce", reason="nobody is there")
    item = await outbound.ended(id)
    assert (item.status, item.last_bounce_reason) == (S.BOUNCED, "nobody is there")


async def test_another_queue_and_another_priority(outbound: Outbound) -> None:
    id = await outbound.submit("defer-always")
    await outbound.reached(id, "deferred")
    await outbound.tell(id, "rebind", queue_name=f"other-{outbound.marker}")
    await outbound.tell(id, "set_priority", priority=9)
    item = await outbound.reached(id, "deferred", queue_name=f"other-{outbound.marker}", priority=9)
    assert item.num_attempts == 1
    assert item.next_attempt_at is not None
    await outbound.tell(id, "cancel")
    await outbound.ended(id)


async def test_what_may_have_been_sent_is_never_sent_again_by_itself(
    outbound: Outbound, outbound_house: House
) -> None:
    id = await outbound.submit("drop-after-dot")
    item = await outbound.reached(id, "suspended")
    assert item.bounce_classification is BounceType.UNKNOWN
    assert "may have been sent" in (item.last_bounce_reason or "")
    await outbound.tell(id, "resume")
    await outbound_house.skip(hours=7)
    assert len(outbound_house.sink.mails[outbound.to("drop-after-dot")]) == 1
    await outbound.tell(id, "retry", reason="it has not arrived")
    assert (await outbound.ended(id)).status is S.DELIVERED
    assert len(outbound_house.sink.mails[outbound.to("drop-after-dot")]) == 2


@pytest.mark.parametrize("what", ["drop-before-dot", "drop-at-data"])
async def test_a_connection_that_breaks_before_the_dot_is_a_deferral(
    outbound: Outbound, outbound_house: House, what: str
) -> None:
    item = await outbound.ended(await outbound.submit(what))
    assert item.status is S.DELIVERED
    assert item.num_attempts > 1
    assert len(outbound_house.sink.mails[outbound.to(what)]) == 1


async def test_nothing_is_said_to_a_message_that_has_ended(
    outbound: Outbound,
) -> None:
    id = await outbound.submit()
    await outbound.ended(id)
    response = await outbound.http.post(f"/queue/messages/{id}/retry")
    assert response.status_code == 409
    assert response.json()["detail"] == "The message is delivered; nothing changes that any more."


async def test_history_of_a_delivery_is_short(outbound: Outbound, outbound_house: House) -> None:
    id = await outbound.submit()
    await outbound.ended(id)
    handle = outbound_house.client.get_workflow_handle(outbound_id(id))
    assert len([one async for one in handle.fetch_history_events()]) <= 12
