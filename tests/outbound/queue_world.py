"""Messages in queues on a real database and a Temporal that skips time, with a courier that asks
nobody."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from world import eventually

from activities.add_up import AddUp
from activities.deliver_message import DeliverMessage
from activities.queue_release import QueueRelease
from activities.score_domains import ScoreDomains
from activities.settle_message import SettleMessage
from mailroom.adapters import temporal
from mailroom.adapters.blobs import ObstoreBlobs
from mailroom.adapters.postgres.circuits import PostgresCircuits
from mailroom.adapters.postgres.domain_health import PostgresDomainHealth
from mailroom.adapters.postgres.markers import PostgresMarkers
from mailroom.adapters.postgres.message_queue import PostgresMessages
from mailroom.adapters.postgres.queue_counts import PostgresQueueCounts
from mailroom.adapters.postgres.queue_states import PostgresQueueStates
from mailroom.adapters.postgres.suspensions import PostgresSuspensions
from mailroom.bridge.message_flows import MessageFlows
from mailroom.bridge.queue_flows import QueueFlows
from mailroom.bridge.suspending import Suspending
from mailroom.models.names import (
    DELIVERY_TASK_QUEUE,
    MAIL_TASK_QUEUE,
    QUEUE_HEALTH,
    outbound_id,
)
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.health import HealthSection
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.message import OutboundInput, OutboundMessage, OutboundProgress
from mailroom.models.outbound.parcel import Parcel, Taken
from mailroom.models.outbound.queues import HealthRun, SetState
from mailroom.models.outbound.words import MessageQueueStatus, QueueState
from mailroom.ports import Transient
from mailroom.ports.outbound import Deferred
from workflows.outbound_message import OutboundMessageWorkflow
from workflows.queue_health import QueueHealthWorkflow
from workflows.queue_release import QueueReleaseWorkflow
from workflows.sandbox import sandbox
from workflows.search_attributes import ALL


@dataclass
class Postman:
    """A courier; the domains in `away` put everything off."""

    away: set[str] = field(default_factory=set)
    tries: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)

    async def deliver(
        self, parcel: Parcel, data: bytes, before_dot: Callable[[], Awaitable[None]]
    ) -> Taken:
        self.tries[parcel.domain] += 1
        if parcel.domain in self.away:
            raise Deferred("The server is busy; it is asked again later.")
        await before_dot()
        self.delivered[parcel.domain] += 1
        at = datetime.now(UTC)
        return Taken(response=SmtpResponse(code=250, message="2.0.0 taken", timestamp=at))


@dataclass
class Wakes:
    """Signals; the next ones in `lost` fail."""

    flows: MessageFlows
    lost: int = 0

    async def wake(self, id: UUID) -> None:
        if self.lost:
            self.lost -= 1
            raise Transient("Temporal is away.")
        await self.flows.wake(id)


@dataclass
class Office:
    env: WorkflowEnvironment
    engine: AsyncEngine
    postman: Postman
    terms: HealthSection
    wakes: Wakes

    @property
    def client(self) -> Client:
        return self.env.client

    @property
    def states(self) -> PostgresQueueStates:
        return PostgresQueueStates(self.engine)

    @property
    def flows(self) -> QueueFlows:
        return QueueFlows(self.client)

    @property
    def suspending(self) -> Suspending:
        return Suspending(PostgresSuspensions(self.engine), self.flows)

    async def submit(
        self, domain: str, *, count: int = 1, queue: str | None = None, **more: str
    ) -> list[UUID]:
        """`more` are `campaign_id`, `tenant_id` and `pool_name`."""
        ids = [uuid4() for _ in range(count)]
        expires = datetime.now(UTC) + timedelta(days=3650)
        known = dict.fromkeys(("campaign_id", "tenant_id", "pool_name")) | more
        about = {"queue": queue or domain, "to": f"ann@{domain}", "domain": domain, **known}
        rows = [{"id": id, **about} for id in ids]
        async with self.engine.connect() as connection:
            await connection.execute(_MESSAGE, rows)
        for id in ids:
            message = OutboundMessage(
                id=id, queue_name=queue or domain, priority=5, expires_at=expires
            )
            await self.client.start_workflow(
                OutboundMessageWorkflow.run,
                OutboundInput(message=message),
                id=outbound_id(id),
                task_queue=MAIL_TASK_QUEUE,
            )
        return ids

    async def say(
        self, queue: str, state: QueueState, within: timedelta | None = None, reason: str = "moves"
    ) -> None:
        until = datetime.now(UTC) + within if within else None
        await self.states.set(queue, SetState(state=state, reason=reason, until=until))
        await self.flows.look_after(queue)

    async def look(self) -> HealthRun:
        """What the Schedule does every minute."""
        with self.env.auto_time_skipping_disabled():
            return await self.client.execute_workflow(
                QueueHealthWorkflow.run, id=f"{QUEUE_HEALTH}/{uuid4()}", task_queue=MAIL_TASK_QUEUE
            )

    async def results(self, domain: str, kind: str, count: int) -> None:
        values = {"domain": domain, "kind": kind, "count": count}
        async with self.engine.connect() as connection:
            await connection.execute(_RESULTS, values)

    async def held(self, ids: Collection[UUID]) -> None:
        """Returns once all of them wait for their queue, and know it."""

        async def all_wait() -> bool:
            return all([(await self.progress(id)).held for id in ids])

        await eventually(all_wait)

    async def arrived(self, ids: Collection[UUID]) -> None:
        """Returns once all of them are delivered."""

        async def are() -> bool:
            found = [(await self.progress(id)).status for id in ids]
            return all(status is MessageQueueStatus.DELIVERED for status in found)

        await eventually(are)

    async def progress(self, id: UUID) -> OutboundProgress:
        handle = self.client.get_workflow_handle(outbound_id(id))
        return await handle.query(OutboundMessageWorkflow.status)

    async def execute(self, statement: str, **values: object) -> None:
        async with self.engine.connect() as connection:
            await connection.execute(text(statement), values)

    async def value(self, statement: str, **values: object) -> object:
        async with self.engine.connect() as connection:
            return await connection.scalar(text(statement), values)

    async def skip(self, **duration: float) -> None:
        await self.env.sleep(timedelta(**duration))


# Bytes that are the same for all.
_MESSAGE = text("""
    INSERT INTO message_queue
        (id, message_id, queue_name, recipient, sender, domain, campaign_id, tenant_id, pool_name,
         status, size_bytes, blob)
    VALUES (:id, CAST(:id AS text) || '@ours.test', :queue, :to, 'us@ours.test', :domain,
            :campaign_id, :tenant_id, :pool_name, 'ready', 2, (SELECT blob FROM test_blob))
""")
_RESULTS = text("""
    INSERT INTO delivery_outcomes (domain, kind, seconds)
    SELECT :domain, :kind, 1 FROM generate_series(1, :count)
""")


@asynccontextmanager
async def office_running(
    env: WorkflowEnvironment, engine: AsyncEngine, folder: Path, terms: HealthSection
) -> AsyncIterator[Office]:
    await temporal.add_search_attributes(env.client, ALL)
    blobs = ObstoreBlobs.at(folder, None)
    kept = await blobs.put(b"Hi")
    async with engine.connect() as connection:
        await connection.execute(text("CREATE TABLE test_blob (blob text)"))
        await connection.execute(text("INSERT INTO test_blob VALUES (:blob)"), {"blob": kept})
    wakes = Wakes(MessageFlows(env.client))
    office = Office(env, engine, Postman(), terms, wakes)
    outbound = OutboundSection(health=terms)
    messages = PostgresMessages(engine, outbound)
    states, circuits, flows = office.states, PostgresCircuits(engine, terms), office.flows
    release = QueueRelease(states, circuits, wakes, terms)
    health, counts = PostgresDomainHealth(engine), AddUp(PostgresQueueCounts(engine))
    deliver = DeliverMessage(messages, PostgresMarkers(engine), blobs, office.postman, outbound)
    async with (
        Worker(
            env.client,
            task_queue=MAIL_TASK_QUEUE,
            workflows=[OutboundMessageWorkflow, QueueHealthWorkflow, QueueReleaseWorkflow],
            activities=[
                release.queue_standing,
                release.end_suspension,
                release.offer_probe,
                release.release_queue,
                ScoreDomains(health, circuits, states, flows, wakes, terms, counts).score_domains,
                SettleMessage(messages).settle_message,
            ],
            workflow_runner=sandbox(),
        ),
        Worker(env.client, task_queue=DELIVERY_TASK_QUEUE, activities=[deliver.deliver_message]),
    ):
        yield office
