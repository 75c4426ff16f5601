"""Many attempts at the same time are claimed, marked and written down together, each as it would be
by itself; on PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from desk_world import Desk, Hand, Shelf
from house import House
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from mailroom.adapters.postgres import engine, message_batches
from mailroom.adapters.postgres.markers import PostgresMarkers
from mailroom.adapters.postgres.message_intake import PostgresMessageIntake
from mailroom.models.outbound import endings
from mailroom.models.outbound.claim import Attempted, Claim
from mailroom.models.outbound.item import MessageQueueItem, SmtpResponse
from mailroom.models.outbound.message import DeliverInput
from mailroom.models.outbound.parcel import Taken
from mailroom.models.outbound.words import MessageQueueStatus
from mailroom.ports import Permanent

S = MessageQueueStatus


@pytest.fixture
def desk(dev_house: House, marker: str) -> Desk:
    return Desk(dev_house, Hand(), Shelf(dev_house), marker)


async def row(desk: Desk, **fields: object) -> UUID:
    """A message that is ready, without a workflow: other tests' workers find nothing to do."""
    now = datetime.now(UTC)
    known: dict[str, object] = {
        "id": uuid4(),
        "message_id": "<news@mailroom.test>",
        "queue_name": desk.queue,
        "recipient": f"ann@{desk.queue}.test",
        "sender": "news@company.com",
        "domain": f"{desk.queue}.test",
        "status": S.READY,
        "size_bytes": 5,
        "created_at": now,
        "expires_at": now + timedelta(hours=1),
        **fields,
    }
    item = MessageQueueItem.model_validate(known)
    intake = PostgresMessageIntake(desk.house.adapters.engines.write)
    await intake.insert([(item, "0" * 64)])
    return item.id


def first(id: UUID) -> DeliverInput:
    return DeliverInput(id=id, step=1, attempt=1)


def delivered(id: UUID, said: str = "2.0.0 taken") -> Attempted:
    response = SmtpResponse(code=250, message=said, timestamp=datetime.now(UTC))
    return endings.taken(first(id), Taken(response=response))


async def claimed(desk: Desk, *ids: UUID) -> list[Claim | BaseException]:
    return await asyncio.gather(
        *(desk.shelf.claim(first(id)) for id in ids), return_exceptions=True
    )


async def test_of_many_that_are_claimed_at_once_each_gets_what_it_would_alone(desk: Desk) -> None:
    plain = [await row(desk) for _ in range(3)]
    suppressed = await row(desk, recipient=f"gone@{desk.queue}.test")
    await desk.run(
        "INSERT INTO suppressions (address, reason) VALUES (:address, 'hard_bounce')",
        address=f"gone@{desk.queue}.test",
    )
    late = await row(desk, expires_at=datetime.now(UTC))
    held = await row(desk, queue_name=f"closed-{desk.queue}")
    await desk.run(
        "INSERT INTO queues (queue_name, state, reason, set_by) "
        "VALUES (:name, 'suspended', 'a look', 'operator')",
        name=f"closed-{desk.queue}",
    )
    done = await row(desk, status=S.CANCELLED)

    found = await claimed(desk, *plain, suppressed, late, held, done, uuid4())
    assert isinstance(found.pop(), Permanent)
    claims = [each for each in found if isinstance(each, Claim)]
    assert [each.parcel and each.parcel.id for each in claims[:4]] == [*plain, None]
    assert [each.status for each in claims[:3]] == [S.IN_DELIVERY] * 3
    assert claims[3].suppressed == "hard_bounce"
    assert claims[4].expired
    assert claims[5].held == "a look"
    assert (claims[6].status, claims[6].parcel) == (S.CANCELLED, None)


async def test_claims_together_say_what_a_claim_alone_says(desk: Desk) -> None:
    together, alone = await row(desk), await row(desk)
    first_claim = await message_batches.claims(desk.house.adapters.engines.write).ask(
        together, first(together)
    )
    assert first_claim is not None
    assert first_claim.parcel is not None
    other = await desk.shelf._claim(first(alone))
    same = {"id", "message_id", "created_at", "expires_at"}
    assert first_claim.model_dump(exclude={"parcel", "blob", *same}) == other.model_dump(
        exclude={"parcel", "blob", *same}
    )
    assert other.parcel is not None
    assert first_claim.parcel.model_dump(exclude=same) == other.parcel.model_dump(exclude=same)


async def test_what_another_has_locked_holds_up_nobody_else(desk: Desk) -> None:
    locked, free = await row(desk), await row(desk)
    write = desk.house.adapters.engines.write
    async with write.execution_options(isolation_level="READ COMMITTED").begin() as other:
        await other.execute(
            text("SELECT FROM message_queue WHERE id = :id FOR UPDATE"), {"id": locked}
        )
        waits = asyncio.create_task(desk.shelf.claim(first(locked)))
        claim = await asyncio.wait_for(desk.shelf.claim(first(free)), 10)
        assert claim.parcel is not None
        assert not waits.done()
    assert (await waits).parcel is not None


async def test_results_are_written_together_and_one_that_can_not_be_fails_alone(
    desk: Desk,
) -> None:
    ids = [await row(desk) for _ in range(4)]
    await claimed(desk, *ids)
    # What PostgreSQL has no text for fails the whole statement.
    results = [delivered(id) for id in ids[:3]] + [delivered(ids[3], "nul \0 here")]
    written = await asyncio.gather(*map(desk.shelf.attempted, results), return_exceptions=True)
    assert written[:3] == [S.DELIVERED] * 3
    assert isinstance(written[3], Exception)
    for id in ids[:3]:
        assert await desk.events(id) == ["submitted", "delivered"]
    assert await desk.events(ids[3]) == ["submitted"]


async def test_a_marker_is_claimed_by_one_of_those_that_ask_together(desk: Desk) -> None:
    markers = PostgresMarkers(desk.house.adapters.engines.write)
    keys = [f"outbound/{uuid4()}/1" for _ in range(5)]
    claims = await asyncio.gather(*(markers.claim(key, "blob") for key in [*keys, *keys]))
    assert claims == [True] * 5 + [False] * 5


async def test_where_the_server_is_away_all_are_told_at_once() -> None:
    nowhere = engine.connect("postgresql://nobody@127.0.0.1:1/none", 2)
    markers = PostgresMarkers(nowhere.write)
    claims = await asyncio.gather(
        *(markers.claim(f"{n}", "blob") for n in range(20)), return_exceptions=True
    )
    assert all(isinstance(each, OperationalError) for each in claims)
    await nowhere.dispose()


async def test_a_connection_that_was_lost_is_not_used_again(desk: Desk) -> None:
    engines = engine.connect(desk.house.adapters.engines.write.url, 1)
    markers = PostgresMarkers(engines.write)
    assert await markers.claim(f"{desk.queue}/1", "blob")
    async with engines.write.connect() as connection:
        backend = await connection.scalar(text("SELECT pg_backend_pid()"))
    await desk.run("SELECT pg_terminate_backend(:backend, 5000)", backend=backend)
    with pytest.raises(OperationalError):
        await markers.claim(f"{desk.queue}/2", "blob")
    assert await markers.claim(f"{desk.queue}/3", "blob")
    await engines.dispose()
