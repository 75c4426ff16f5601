"""The statements of operations, on rows alone: what is changed, once, and what is left alone."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import pytest
from sqlalchemy import URL, text

from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.engine import Engines
from mailroom.adapters.postgres.operation_views import PostgresOperationViews
from mailroom.adapters.postgres.queue_operations import PostgresOperations
from mailroom.models.outbound.bulk import OperationStatus, Reach, Reached
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.operation_request import OperationRequest
from mailroom.models.outbound.words import QueueOperationType as Op


@pytest.fixture
async def engines(database: URL) -> AsyncIterator[Engines]:
    found = engine.connect(database, 4)
    yield found
    await found.dispose()


class Desk:
    """An operator at a queue of their own."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self.store = PostgresOperations(engines.write, OutboundSection())
        self.views = PostgresOperationViews(engines)
        self.queue = f"q-{uuid4().hex}"

    async def row(self, status: str = "deferred", **more: object) -> UUID:
        known: dict[str, object] = {
            "id": uuid4(), "queue": self.queue, "status": status, "relayed": False,
            "blob": "0" * 64, "attempts": 1,
        }  # fmt: skip
        values = known | more
        async with self.engines.write.connect() as connection:
            await connection.execute(_ROW, values)
        return UUID(str(values["id"]))

    async def value(self, id: UUID, column: str) -> object:
        async with self.engines.read.connect() as connection:
            statement = f"SELECT {column} FROM message_queue WHERE id = :id"
            return await connection.scalar(text(statement), {"id": id})

    async def begin(self, operation: Op, **more: object) -> UUID:
        asked = {"operation": operation} | (more or {"queue_name": self.queue})
        id = uuid4()
        assert await self.views.add(id, OperationRequest.model_validate(asked), "operator")
        await self.store.plan(id)
        await self.store.enter(id, OperationStatus.RUNNING)
        return id

    async def share(self, id: UUID, limit: int = 100) -> dict[UUID, Reached]:
        found: Sequence[Reached] = await self.store.share(id, limit, at_relay=False)
        return {one.id: one for one in found}

    async def reach(self, operation: Op, id: UUID) -> Reach:
        """How one message takes it, asked for by its ID."""
        begun = await self.begin(operation, message_ids=[id])
        return (await self.share(begun))[id].reach


_ROW = text("""
    INSERT INTO message_queue (id, message_id, queue_name, recipient, sender, domain, status,
                               size_bytes, relayed, blob, num_attempts, step, next_attempt_at)
    VALUES (:id, '<1@example.com>', :queue, 'anna@example.com', 'news@company.com', 'example.com',
            :status, 1000, :relayed, :blob, :attempts, 3, now() + interval '1 hour')
""")
_MARKER = text("""
    INSERT INTO send_markers (key, blob) VALUES (:key, 'x')
""")


@pytest.fixture
def desk(engines: Engines) -> Desk:
    return Desk(engines)


async def test_a_batch_that_nobody_heard_of_comes_again_and_counts_once(desk: Desk) -> None:
    ids = {await desk.row() for _ in range(5)}
    operation = await desk.begin(Op.CANCEL)
    first = await desk.share(operation, 3)
    again = await desk.share(operation, 3)
    assert first == again
    assert {one.reach for one in again.values()} == {Reach.CHANGED}
    assert [await desk.value(id, "step") for id in first] == [5, 5, 5]
    queues = dict.fromkeys(first, desk.queue)
    for _ in range(2):  # another worker had the same batch
        progress = await desk.store.told(operation, queues, (), {})
        assert (progress.done, progress.affected) == (3, 3)
    rest = await desk.share(operation)
    assert set(first) | set(rest) == ids
    await desk.store.told(operation, dict.fromkeys(rest, desk.queue), (), {})
    result = await desk.store.finish(operation, OperationStatus.COMPLETED)
    assert (result.success, result.affected_messages) == (True, 5)
    assert result.affected_queues == [desk.queue]


async def test_what_comes_later_is_not_meant(desk: Desk) -> None:
    meant = await desk.row()
    operation = await desk.begin(Op.CANCEL)
    later = await desk.row()
    assert list(await desk.share(operation)) == [meant]
    assert await desk.value(later, "status") == "deferred"


@pytest.mark.parametrize(
    ("operation", "status", "relayed", "reach"),
    [
        (Op.SUSPEND, "ready", False, Reach.CHANGED),
        (Op.SUSPEND, "suspended", False, Reach.SAME),
        (Op.SUSPEND, "in_delivery", False, Reach.BUSY),
        (Op.SUSPEND, "in_delivery", True, Reach.RELAYED),
        (Op.SUSPEND, "delivered", False, Reach.ENDED),
        (Op.RESUME, "suspended", False, Reach.CHANGED),
        (Op.RESUME, "deferred", False, Reach.SAME),
        (Op.RETRY, "scheduled", False, Reach.CHANGED),
        (Op.RETRY, "in_delivery", True, Reach.RELAYED),
        (Op.CANCEL, "in_delivery", False, Reach.BUSY),
        (Op.CANCEL, "in_delivery", True, Reach.CHANGED),
        (Op.BOUNCE, "suspended", False, Reach.CHANGED),
        (Op.BOUNCE, "bounced", False, Reach.ENDED),
        (Op.PURGE, "in_delivery", False, Reach.BUSY),
        (Op.PURGE, "delivered", False, Reach.CHANGED),
    ],
)
async def test_how_messages_take_it(
    desk: Desk, operation: Op, status: str, relayed: bool, reach: Reach
) -> None:
    assert await desk.reach(operation, await desk.row(status, relayed=relayed)) is reach


async def test_what_may_have_been_sent_is_sent_again_by_its_id_alone(desk: Desk) -> None:
    id = await desk.row("suspended")
    async with desk.engines.write.connect() as connection:
        await connection.execute(_MARKER, {"key": f"outbound/{id}/1"})
    assert await desk.reach(Op.RESUME, id) is Reach.UNKNOWN
    many = await desk.begin(Op.RETRY)
    assert (await desk.share(many))[id].reach is Reach.UNKNOWN
    assert await desk.reach(Op.RETRY, id) is Reach.CHANGED


async def test_what_has_no_content_can_be_given_up_and_no_more(desk: Desk) -> None:
    id = await desk.row("suspended", blob=None)
    assert await desk.reach(Op.RESUME, id) is Reach.EMPTY
    assert await desk.reach(Op.RETRY, id) is Reach.EMPTY
    assert await desk.reach(Op.CANCEL, id) is Reach.CHANGED


async def test_a_change_tells_what_the_row_says(desk: Desk) -> None:
    id = await desk.row()
    [one] = (await desk.share(await desk.begin(Op.RETRY))).values()
    assert one.change is not None
    assert (one.change.status, one.change.next_attempt_at) == ("ready", None)
    assert one.change.step == await desk.value(id, "step") == 5


async def test_a_purged_body_goes_when_nobody_else_has_it(desk: Desk) -> None:
    own, shared = uuid4().hex, uuid4().hex
    for blob in (own, shared):
        await desk.row(blob=blob)
    operation = await desk.begin(Op.PURGE)
    other = Desk(desk.engines)
    await other.row(blob=shared)
    blobs = {one.blob for one in (await desk.share(operation)).values()}
    assert blobs == {own, shared}
    assert await desk.store.unused([own, shared]) == {own}
    # Killed before it was told: they come again with their bodies.
    assert {one.blob for one in (await desk.share(operation)).values()} == blobs


async def test_a_workflow_can_be_told_of_another_queue_and_not_of_another_route(
    desk: Desk,
) -> None:
    queue = await desk.begin(Op.REBIND, queue_name=desk.queue, metadata={"queue_name": "slow"})
    assert await desk.store.words(queue) == ["slow", ""]
    route = {"queue_name": "slow", "routing_domain": "relay.example.com"}
    both = await desk.begin(Op.REBIND, queue_name=desk.queue, metadata=route)
    assert await desk.store.words(both) is None
