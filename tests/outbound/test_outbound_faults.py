"""What people, workers and the store may do to an outbound message at the worst moment; on
Temporal's real server."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from desk_world import Desk, Hand, Shelf, soon
from house import EVENTS_BEFORE_CONTINUE_AS_NEW, House
from temporalio.client import WorkflowFailureError
from temporalio.testing import ActivityEnvironment
from world import eventually

from activities import heartbeats
from activities.deliver_message import DeliverMessage
from mailroom.adapters.postgres.markers import PostgresMarkers
from mailroom.models.names import outbound_id
from mailroom.models.outbound import endings
from mailroom.models.outbound.message import DeliverInput, Order, OutboundProgress, Outcome, Word
from mailroom.models.outbound.orders import step_of
from mailroom.models.outbound.report import Report, ReportKind, ReportSource
from mailroom.models.outbound.words import BounceType, MessageQueueStatus

S = MessageQueueStatus


@pytest.fixture
def desk(dev_house: House, marker: str) -> Desk:
    return Desk(dev_house, Hand(), Shelf(dev_house), marker)


# What is said


async def test_what_is_said_before_its_first_task_comes_first(desk: Desk) -> None:
    id = await desk.submit()
    await desk.tell(id, "suspend", "a\0look\r\nfirst" + "!" * 1_000)
    async with desk.at_work():
        item = await desk.reached(id, "suspended")
        await desk.tell(id, "cancel")
        await desk.reached(id, "cancelled")
    assert (item.last_bounce_reason or "").startswith("alook first!!!")
    assert len(item.last_bounce_reason or "") == 500
    assert desk.hand.tries == 0


async def test_what_is_taken_back_while_a_courier_has_it_is_taken_back(desk: Desk) -> None:
    desk.hand.ends = ["defer"]
    id = await desk.submit()
    async with desk.at_work():
        await desk.hand.has()
        await desk.tell(id, "suspend", "a look first")
        await desk.tell(id, "resume", "no need")
        await desk.tell(id, "set_priority", 9)
        await desk.heard(id, 2)
        desk.hand.holds.set()
        item = await desk.reached(id, "deferred", priority=9, num_attempts=1)
        assert item.next_attempt_at is not None
        await desk.tell(id, "cancel")
        await desk.reached(id, "cancelled")
    told = await desk.events(id)
    assert told == ["submitted", "deferred", "suspended", "resumed", "priority", "cancelled"]


async def test_a_retry_that_was_said_too_early_sends_nothing_twice(desk: Desk) -> None:
    """Whoever said it did not know that the attempt would end without an answer."""
    desk.hand.ends = ["unknown"]
    id = await desk.submit()
    async with desk.at_work():
        await desk.hand.has()
        await desk.tell(id, "retry", "now")
        await desk.tell(id, "set_priority", 8)
        await desk.heard(id, 2)
        desk.hand.holds.set()
        await desk.reached(id, "suspended", priority=8, num_attempts=1)
        await desk.tell(id, "resume")
        await desk.tell(id, "set_priority", 7)
        await desk.reached(id, "suspended", priority=7)
        assert desk.hand.sent == 1
        await desk.tell(id, "retry", "it did not arrive")
        await desk.reached(id, "delivered", num_attempts=2)
    assert desk.hand.sent == 2


async def test_no_word_is_followed_on_a_row_that_the_workflow_has_not_read(desk: Desk) -> None:
    """An attempt has ended without an answer, and its workflow is told after it has asked to
    suspend the message: as a plain suspension it would be resumed, and sent again."""
    id = await desk.submit()
    await desk.shelf.claim(DeliverInput(id=id, step=1, attempt=1))
    await desk.shelf.attempted(
        endings.unknown(DeliverInput(id=id, step=1, attempt=1), "The connection was lost.")
    )
    known = OutboundProgress(step=1)
    step = step_of(id, Word(order=Order.SUSPEND), known, datetime.now(UTC))
    assert not (await desk.shelf.settle(step)).followed
    assert await desk.events(id) == ["submitted", "unknown"]


async def test_another_queue_replaces_the_attempt_that_waits_for_a_worker(desk: Desk) -> None:
    id = await desk.submit()
    async with desk.at_work(delivers=False):
        await desk.tell(id, "rebind", f"other-{desk.queue}")
        await desk.tell(id, "rebind", "\0\n")
        await desk.tell(id, "set_priority", 10)
        await desk.reached(id, "ready", priority=10, queue_name=f"other-{desk.queue}")

        async def waits_once() -> bool:
            return len(await pending_attempts(desk, id)) == 1

        await eventually(waits_once)
    desk.hand.holds.set()
    async with desk.at_work():
        item = await desk.reached(id, "delivered")
    assert (desk.hand.tries, item.num_attempts) == (1, 1)


async def pending_attempts(desk: Desk, id: UUID) -> list[str]:
    found = await desk.house.client.get_workflow_handle(outbound_id(id)).describe()
    pending = found.raw_description.pending_activities
    return [
        one.activity_type.name for one in pending if one.activity_type.name == "deliver_message"
    ]


async def test_it_expires_while_it_waits_for_a_worker(desk: Desk) -> None:
    id = await desk.submit(expires_at=soon(1.5))
    async with desk.at_work(delivers=False):
        item = await desk.reached(id, "expired")
    assert item.last_bounce_reason == "Its time was over before it could be delivered."


async def test_what_waits_for_a_connection_can_be_stopped_and_moved(desk: Desk) -> None:
    desk.hand.busy = True
    desk.hand.holds.set()
    stopped, moved = await desk.submit(), await desk.submit()
    async with desk.at_work():
        await desk.hand.has(4)
        await desk.tell(stopped, "cancel", "the campaign is over")
        await desk.tell(moved, "rebind", f"other-{desk.queue}")
        await desk.reached(stopped, "cancelled", num_attempts=0)
        await desk.reached(moved, "ready", queue_name=f"other-{desk.queue}")
        desk.hand.busy = False
        await desk.reached(moved, "delivered", num_attempts=1)
    assert desk.hand.sent == 1


async def test_a_relay_that_has_it_is_not_ours_to_command(desk: Desk) -> None:
    desk.hand.ends = ["relay"]
    desk.hand.holds.set()
    id = await desk.submit()
    async with desk.at_work():
        await desk.reached(id, "in_delivery", num_attempts=1)
        for order in ("suspend", "retry", "resume"):
            await desk.tell(id, order)
        await desk.tell(id, "set_priority", 9)
        await desk.reached(id, "in_delivery", priority=9)
        await desk.tell(id, "cancel", "too late")
        await desk.reached(id, "cancelled")
    assert desk.hand.tries == 1
    report = Report(
        key=f"late/{id}",
        kind=ReportKind.DELIVERED,
        source=ReportSource.KUMOMTA,
        id=id,
        at=datetime.now(UTC),
    )
    assert await desk.house.context.returns.reports.take(report)
    assert (await desk.item(id)).status is S.DELIVERED


async def test_a_report_may_come_while_the_courier_still_has_it(desk: Desk) -> None:
    id = await desk.submit()
    report = Report(
        key=f"early/{id}",
        kind=ReportKind.BOUNCED,
        source=ReportSource.DSN,
        id=id,
        at=datetime.now(UTC),
        reason="550 5.1.1 nobody",
    )
    async with desk.at_work():
        await desk.hand.has()
        assert await desk.house.context.returns.reports.take(report)
        await desk.reached(id, "bounced")
        desk.hand.holds.set()
    assert (await desk.item(id)).status is S.BOUNCED


async def test_of_very_many_words_none_is_lost(desk: Desk) -> None:
    desk.hand.ends = ["defer"]
    desk.hand.holds.set()
    id = await desk.submit()
    async with desk.at_work():
        await desk.reached(id, "deferred")
    await asyncio.gather(*(desk.tell(id, "resume") for _ in range(1_001)))
    await desk.tell(id, "rebind", f"other-{desk.queue}")
    async with desk.at_work():
        await desk.reached(id, "deferred", queue_name=f"other-{desk.queue}", num_attempts=1)
        assert (await desk.progress(id)).num_attempts == 1
        flow = desk.house.client.get_workflow_handle(outbound_id(id))

        async def is_short() -> bool:
            return (await flow.describe()).history_length < EVENTS_BEFORE_CONTINUE_AS_NEW

        await eventually(is_short)
        await desk.tell(id, "retry")
        item = await desk.reached(id, "delivered", num_attempts=2)
    assert item.queue_name == f"other-{desk.queue}"
    assert desk.hand.sent == 1


# Who dies, and what is away


async def test_it_leaves_once_while_the_store_is_away_and_its_queue_is_closed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How the attempt ended is known by heart, through tries that only find the store away."""
    monkeypatch.setattr(heartbeats, "SECONDS_BETWEEN_BEATS", 0.05)
    desk.hand.holds.set()
    desk.shelf.away, desk.shelf.seconds = 2, 0.5
    id = await desk.submit()
    async with desk.at_work():
        await eventually(desk.shelf.was_asked)
        await desk.close()
        item = await desk.reached(id, "delivered")
    assert (desk.hand.sent, item.num_attempts) == (1, 1)
    assert await desk.events(id) == ["submitted", "delivered"]


async def tried_again(desk: Desk, id: UUID, *details: object) -> Outcome:
    """The second try of a step, whose first one ended with its worker."""
    house = desk.house
    markers = PostgresMarkers(house.adapters.engines.write)
    deliver = DeliverMessage(
        desk.shelf, markers, house.adapters.blobs, desk.hand, house.adapters.outbound
    )
    env = ActivityEnvironment()
    env.info = ActivityEnvironment.default_info()
    env.info = type(env.info)(**{**vars(env.info), "attempt": 2, "heartbeat_details": details})
    outcome: Outcome = await env.run(
        deliver.deliver_message, DeliverInput(id=id, step=1, attempt=1)
    )
    return outcome


async def killed_after_the_dot(desk: Desk, id: UUID) -> None:
    request = DeliverInput(id=id, step=1, attempt=1)
    claim = await desk.shelf.claim(request)
    assert claim.blob
    assert await PostgresMarkers(desk.house.adapters.engines.write).claim(
        request.marker, claim.blob
    )


@pytest.mark.parametrize("meanwhile", ["nothing", "closed", "suppressed"])
async def test_what_a_worker_died_with_after_the_dot_may_have_been_sent(
    desk: Desk, meanwhile: str
) -> None:
    """Whatever has happened to its queue or its recipient since then."""
    desk.hand.holds.set()
    id = await desk.submit()
    await killed_after_the_dot(desk, id)
    if meanwhile == "closed":
        await desk.close()
    elif meanwhile == "suppressed":
        await desk.run(
            "INSERT INTO suppressions (tenant_id, address, reason) VALUES ('', :a, 'complaint')",
            a=f"ann@{desk.queue}.test",
        )
    outcome = await tried_again(desk, id)
    item = await desk.item(id)
    assert (outcome.status, outcome.unknown, desk.hand.tries) == (S.SUSPENDED, True, 0)
    assert (item.status, item.bounce_classification) == (S.SUSPENDED, BounceType.UNKNOWN)


async def test_what_died_before_its_marker_is_sent(desk: Desk) -> None:
    desk.hand.holds.set()
    id = await desk.submit()
    await desk.shelf.claim(DeliverInput(id=id, step=1, attempt=1))
    assert (await tried_again(desk, id)).status is S.DELIVERED
    assert desk.hand.sent == 1


async def test_two_tries_at_once_hand_it_over_once(desk: Desk) -> None:
    """A worker that was cut off from Temporal goes on while another has begun."""
    id = await desk.submit()
    both = asyncio.gather(tried_again(desk, id), tried_again(desk, id))
    await desk.hand.has(2)
    desk.hand.holds.set()
    outcomes = await both
    assert desk.hand.sent == 1
    assert (await desk.item(id)).num_attempts == 1
    assert {one.status for one in outcomes} <= {S.DELIVERED, S.SUSPENDED}


async def test_what_may_have_been_sent_expires_with_that_word(desk: Desk) -> None:
    id = await desk.submit()
    await killed_after_the_dot(desk, id)
    word = Word(order=Order.EXPIRE)
    step = step_of(id, word, OutboundProgress(step=1), datetime.now(UTC))
    settled = await desk.shelf.settle(step.model_copy(update={"idle": True}))
    assert (settled.followed, settled.status) == (True, S.EXPIRED)
    assert (await desk.item(id)).last_bounce_reason == endings.MAYBE_SENT


async def test_content_that_is_gone_is_a_bounce_and_a_row_that_is_gone_ends_it(desk: Desk) -> None:
    id, removed = await desk.submit(), await desk.submit()
    await desk.run("UPDATE message_queue SET blob = :blob WHERE id = :id", id=id, blob="0" * 64)
    await desk.run("DELETE FROM message_queue WHERE id = :id", id=removed)
    async with desk.at_work():
        item = await desk.reached(id, "bounced")
        handle = desk.house.client.get_workflow_handle(outbound_id(removed))
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert "is gone from the blob store" in (item.last_bounce_reason or "")
    assert desk.hand.tries == 0


async def test_a_row_that_is_ahead_of_its_history_is_caught_up_with(desk: Desk) -> None:
    """After a reset of the workflow, or a restore of Temporal's database."""
    id = await desk.submit(expires_at=soon(1))
    await desk.run("UPDATE message_queue SET step = 40 WHERE id = :id", id=id)
    async with desk.at_work(delivers=False):
        await desk.reached(id, "expired")
    assert await desk.events(id) == ["submitted", "expired"]
