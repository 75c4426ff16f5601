"""Outbound messages on Temporal's real server, with workers that come and go and a courier that
does what a test tells it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from house import House, address_of
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Worker
from world import eventually

from activities.deliver_message import DeliverMessage
from activities.heartbeats import Heartbeats
from activities.settle_message import SettleMessage
from mailroom.adapters import temporal
from mailroom.adapters.postgres.markers import PostgresMarkers
from mailroom.adapters.postgres.message_queue import PostgresMessages
from mailroom.adapters.postgres.outage import StoreOutages
from mailroom.bridge.submissions import Submitted
from mailroom.models.names import DELIVERY_TASK_QUEUE, MAIL_TASK_QUEUE, outbound_id
from mailroom.models.outbound.claim import Attempted
from mailroom.models.outbound.item import MessageQueueItem, SmtpResponse
from mailroom.models.outbound.message import OutboundProgress
from mailroom.models.outbound.parcel import Parcel, Taken
from mailroom.models.outbound.submission import NewMessage
from mailroom.models.outbound.words import MessageQueueStatus
from mailroom.ports import SendUnknown
from mailroom.ports.outbound import Busy, Deferred
from workflows.outbound_message import OutboundMessageWorkflow
from workflows.sandbox import sandbox

STEP_ENDED = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED


@dataclass
class Hand:
    """A courier. `holds`: what it waits for with a message in its hands; `ends`: how its next
    attempts end (defer, unknown, relay), the others are delivered. While it is `busy` it has no
    connection for anybody."""

    holds: asyncio.Event = field(default_factory=asyncio.Event)
    ends: list[str] = field(default_factory=list)
    busy: bool = False
    tries: int = 0
    sent: int = 0

    async def deliver(
        self, parcel: Parcel, data: bytes, before_dot: Callable[[], Awaitable[None]]
    ) -> Taken:
        self.tries += 1
        await self.holds.wait()
        if self.busy:
            raise Busy("4 connections are in use for a while.")
        end = self.ends.pop(0) if self.ends else "take"
        if end == "defer":
            raise Deferred("451 4.3.2 try later")
        await before_dot()
        self.sent += 1
        if end == "unknown":
            raise SendUnknown("The connection was lost.")
        said = SmtpResponse(code=250, message="2.0.0 taken", timestamp=datetime.now(UTC))
        return Taken(response=said, relayed=end == "relay")

    async def has(self, tries: int = 1) -> None:
        """Returns once it has a message in its hands."""

        async def tried() -> bool:
            return self.tries >= tries

        await eventually(tried)


@dataclass
class Shelf(PostgresMessages):
    """The store. It is away for the next writings, each of which takes `seconds` to fail."""

    def __init__(self, house: House) -> None:
        super().__init__(house.adapters.engines.write, house.adapters.outbound)
        self.away, self.seconds = 0, 0.0
        self.asked = 0

    async def was_asked(self) -> bool:
        return self.asked > 0

    async def attempted(self, attempted: Attempted) -> MessageQueueStatus:
        self.asked += 1
        if self.away:
            self.away -= 1
            await asyncio.sleep(self.seconds)
            raise OperationalError("UPDATE", None, ConnectionError("the server is gone"))
        return await super().attempted(attempted)


@dataclass
class Desk:
    house: House
    hand: Hand
    shelf: Shelf
    queue: str

    async def submit(self, **more: object) -> UUID:
        new = NewMessage.model_validate({
            "sender": "news@company.com",
            "recipient": f"ann@{self.queue}.test",
            "text": "Hello",
            "queue_name": self.queue,
            **more,
        })  # fmt: skip
        one = Submitted(uuid4(), new, datetime.now(UTC))
        assert await self.house.context.submissions.take([one]) == []
        return one.id

    @asynccontextmanager
    async def at_work(self, *, delivers: bool = True) -> AsyncIterator[None]:
        """Workers, connected by themselves. They leave as if they were killed: what they have in
        hand is tried again."""
        client = await temporal.connect(address_of(self.house.env), self.house.client.namespace)
        write = self.house.adapters.engines.write
        terms = self.house.adapters.outbound
        deliver = DeliverMessage(
            self.shelf, PostgresMarkers(write), self.house.adapters.blobs, self.hand, terms
        )
        flows = Worker(
            client,
            task_queue=MAIL_TASK_QUEUE,
            workflows=[OutboundMessageWorkflow],
            activities=[SettleMessage(self.shelf).settle_message],
            workflow_runner=sandbox(),
        )
        deliveries = Worker(
            client,
            task_queue=DELIVERY_TASK_QUEUE,
            activities=[deliver.deliver_message],
            interceptors=[Heartbeats(), StoreOutages()],
        )
        async with flows:
            if not delivers:
                yield
                return
            async with deliveries:
                try:
                    yield
                finally:
                    self.hand.holds.set()

    async def tell(self, id: UUID, order: str, *args: str | int) -> None:
        handle = self.house.client.get_workflow_handle(outbound_id(id))
        await handle.signal(order, args=list(args))

    async def heard(self, id: UUID, words: int) -> None:
        """Returns once so many words have been to the store, while a courier has the message."""
        handle = self.house.client.get_workflow_handle(outbound_id(id))

        async def were() -> bool:
            events = [one async for one in handle.fetch_history_events()]
            return len([one for one in events if one.event_type == STEP_ENDED]) >= words

        await eventually(were, 10)

    async def item(self, id: UUID) -> MessageQueueItem:
        found = await self.house.context.message_views.one(id)
        assert found is not None
        return found

    async def progress(self, id: UUID) -> OutboundProgress:
        handle = self.house.client.get_workflow_handle_for(
            OutboundMessageWorkflow.run, outbound_id(id)
        )
        return await handle.query(OutboundMessageWorkflow.status)

    async def reached(self, id: UUID, status: str, **fields: object) -> MessageQueueItem:
        """The message, once its row and its workflow are there."""

        async def are() -> bool:
            item, progress = await self.item(id), await self.progress(id)
            shown = item.model_dump()
            there = all(shown[name] == value for name, value in fields.items())
            return there and (item.status, progress.status) == (status, status)

        try:
            await eventually(are, 10)
        except TimeoutError:
            found = await self.item(id), await self.progress(id)
            raise AssertionError(f"it is {found!r}, and not {status} {fields}") from None
        return await self.item(id)

    async def events(self, id: UUID) -> list[str]:
        lines = await self.house.context.message_views.timeline(id)
        return [line.type.removeprefix("message.") for line in lines]

    async def run(self, statement: str, **values: object) -> None:
        async with self.house.adapters.engines.write.connect() as connection:
            await connection.execute(text(statement), values)

    async def close(self) -> None:
        """Its queue holds everything."""
        await self.run(
            "INSERT INTO queues (queue_name, state, set_by)"
            " VALUES (:name, 'suspended', 'operator')",
            name=self.queue,
        )


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
