"""Queues that are suspended, drained and released; circuits that open, try one and close."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from house import another_database
from queue_world import Office, office_running
from sqlalchemy import URL
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from world import eventually

from activities import queue_release
from activities.queue_release import QueueRelease
from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.circuits import PostgresCircuits
from mailroom.models.names import queue_release_id
from mailroom.models.outbound.health import HealthSection
from mailroom.models.outbound.queues import CircuitState, Place, QueueStanding, Release, SetBy
from mailroom.models.outbound.words import QueueState
from mailroom.ports import Transient
from workflows.queue_release import QueueReleaseWorkflow

S = QueueState
TERMS = HealthSection()


@pytest.fixture(scope="module")
async def office(
    own_env: WorkflowEnvironment, database: URL, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    engines = engine.connect(await another_database(database, "queue-states"), 10)
    folder: Path = tmp_path_factory.mktemp("queue-states")
    async with office_running(own_env, engines.write, folder, TERMS) as running:
        yield running
    await engines.dispose()


@pytest.fixture
def domain(marker: str) -> str:
    return f"{marker}.test"


async def standing(office: Office, queue: str) -> QueueStanding:
    return await office.states.standing(queue)


async def released(office: Office, queue: str) -> QueueStanding:
    """How the story of the queue's suspension ended."""
    handle = office.client.get_workflow_handle_for(
        QueueReleaseWorkflow.run, queue_release_id(queue)
    )
    with office.env.auto_time_skipping_disabled():
        return await handle.result()


async def waits(office: Office, queue: str, circuit: CircuitState | None) -> None:
    """Returns once the queue's workflow has seen that state."""
    handle = office.client.get_workflow_handle(queue_release_id(queue))

    async def seen() -> bool:
        found = await handle.query(QueueReleaseWorkflow.status)
        return found.circuit is circuit and found.state is S.SUSPENDED

    await eventually(seen)


# --- what operators say


async def test_a_suspended_queue_keeps_its_messages_until_its_end(
    office: Office, domain: str
) -> None:
    await office.say(domain, S.SUSPENDED, timedelta(hours=2))
    messages = await office.submit(domain, count=3)
    await office.held(messages)
    await office.skip(hours=1)
    assert office.postman.tries[domain] == 0
    await office.skip(hours=1, minutes=1)
    await office.arrived(messages)
    assert (await standing(office, domain)).state is S.ACTIVE
    assert (await released(office, domain)).state is S.ACTIVE


async def test_an_earlier_end_releases_at_once_and_a_later_one_holds(
    office: Office, domain: str
) -> None:
    await office.say(domain, S.SUSPENDED, timedelta(hours=1))
    messages = await office.submit(domain, count=2)
    await office.held(messages)
    await office.say(domain, S.SUSPENDED, timedelta(hours=9))
    await office.skip(hours=2)
    assert office.postman.tries[domain] == 0
    await office.say(domain, S.ACTIVE)
    await office.arrived(messages)


async def test_without_an_end_a_queue_is_suspended_until_somebody_says_otherwise(
    office: Office, domain: str
) -> None:
    await office.say(domain, S.SUSPENDED)
    messages = await office.submit(domain)
    await office.held(messages)
    assert (await released(office, domain)).state is S.SUSPENDED  # nothing runs meanwhile
    await office.skip(days=2)
    assert office.postman.tries[domain] == 0
    await office.say(domain, S.ACTIVE)
    await office.arrived(messages)


async def test_a_queue_that_drains_delivers_what_it_has(office: Office, domain: str) -> None:
    await office.say(domain, S.DISABLED)
    messages = await office.submit(domain, count=2)
    await office.held(messages)
    await office.say(domain, S.DRAINING)
    await office.arrived(messages)
    assert (await standing(office, domain)).state is S.DRAINING


async def test_one_queue_is_suspended_and_others_to_the_same_domain_go_on(
    office: Office, domain: str
) -> None:
    await office.say("newsletter", S.SUSPENDED)
    [held] = await office.submit(domain, queue="newsletter")
    others = await office.submit(domain, count=2)
    await office.arrived(others)
    await office.held([held])
    assert office.postman.delivered[domain] == 2
    await office.say("newsletter", S.ACTIVE)
    await office.arrived([held])
    assert office.postman.delivered[domain] == 3


# --- circuits


async def test_a_circuit_opens_tries_one_message_opens_for_longer_and_closes(
    office: Office, domain: str
) -> None:
    office.postman.away.add(domain)
    await office.results(domain, "bounced", 100)
    assert (await office.look()).opened == 1
    queue = await standing(office, domain)
    assert (queue.state, queue.set_by) == (S.SUSPENDED, SetBy.HEALTH)
    assert (queue.reason or "").endswith("100 % of 100 bounced")
    messages = await office.submit(domain, count=3)
    messages += await office.submit(domain, count=2, queue="newsletter-to-all")
    await office.held(messages)

    # Half open: one passes, and is put off.
    await waits(office, domain, CircuitState.OPEN)
    await office.skip(minutes=6)
    await waits(office, domain, CircuitState.HALF_OPEN)
    await eventually(lambda: tried(office, domain, 1))
    assert (await office.look()).judged == 1
    queue = await standing(office, domain)
    assert (queue.circuit, queue.openings) == (CircuitState.OPEN, 2)
    assert office.postman.tries[domain] == 1

    # Open for longer, then half open again: the next one passes, and arrives.
    office.postman.away.clear()
    await waits(office, domain, CircuitState.OPEN)
    await office.skip(minutes=11)
    await waits(office, domain, CircuitState.HALF_OPEN)
    await eventually(lambda: tried(office, domain, 2))
    assert office.postman.delivered[domain] == 1
    await eventually(lambda: judged(office, domain))
    assert (await released(office, domain)).state is S.ACTIVE
    await eventually(lambda: tried(office, domain, 5))
    await office.skip(hours=1)  # the first probe's own pause
    await office.arrived(messages)


async def tried(office: Office, domain: str, count: int) -> bool:
    return office.postman.tries[domain] >= count


async def judged(office: Office, domain: str) -> bool:
    await office.look()
    return (await standing(office, domain)).state is S.ACTIVE


async def test_a_probe_that_is_lost_is_followed_by_another(office: Office, domain: str) -> None:
    await office.results(domain, "blocked", 100)
    await office.look()
    messages = await office.submit(domain, count=2)
    await office.held(messages)
    await waits(office, domain, CircuitState.OPEN)
    await office.skip(minutes=6)
    await eventually(lambda: tried(office, domain, 1))
    # What became of it is never counted.
    await office.execute("DELETE FROM delivery_outcomes WHERE domain = :name", name=domain)
    await office.look()
    assert (await standing(office, domain)).circuit is CircuitState.HALF_OPEN
    await office.skip(minutes=16)
    await eventually(lambda: tried(office, domain, 2))
    await eventually(lambda: judged(office, domain))


async def test_the_first_message_that_comes_is_the_probe_where_none_waited(
    office: Office, domain: str
) -> None:
    await office.results(domain, "blocked", 100)
    await office.look()
    await waits(office, domain, CircuitState.OPEN)
    await office.skip(minutes=6)
    await waits(office, domain, CircuitState.HALF_OPEN)

    async def offered() -> bool:
        found = await office.value(
            "SELECT probing_since IS NOT NULL FROM queues WHERE queue_name = :name", name=domain
        )
        return found is True

    await eventually(offered)
    messages = await office.submit(domain, count=4)
    await eventually(lambda: tried(office, domain, 1))
    assert office.postman.tries[domain] == 1
    await eventually(lambda: judged(office, domain))
    await office.arrived(messages)


async def test_active_by_an_operator_closes_a_circuit_and_releases_other_queues_too(
    office: Office, domain: str
) -> None:
    await office.results(domain, "blocked", 100)
    await office.look()
    messages = await office.submit(domain, count=2)
    messages += await office.submit(domain, queue=f"weekly-{domain}")
    await office.held(messages)
    await office.say(domain, S.ACTIVE)
    await office.arrived(messages)
    assert (await office.look()).opened == 0


# --- what goes wrong


async def test_a_message_that_was_held_at_the_moment_of_a_release_is_found(
    office: Office, domain: str
) -> None:
    await office.say(domain, S.SUSPENDED)
    messages = await office.submit(domain)
    await office.held(messages)
    # Released by somebody who saw no message that waits.
    await office.execute("DELETE FROM queues WHERE queue_name = :name", name=domain)
    await office.execute(
        "UPDATE message_queue SET updated_at = now() - interval '1 minute' WHERE domain = :name",
        name=domain,
    )
    assert (await office.look()).woken == 1
    await office.arrived(messages)


async def test_a_suspension_whose_workflow_never_began_ends_all_the_same(
    office: Office, domain: str
) -> None:
    await office.execute(
        "INSERT INTO queues (queue_name, state, until, set_by) "
        "VALUES (:name, 'suspended', now() - interval '1 hour', 'operator')",
        name=domain,
    )
    await office.look()
    assert (await released(office, domain)).state is S.ACTIVE


async def test_a_release_that_fails_half_way_is_finished(office: Office, domain: str) -> None:
    await office.say(domain, S.SUSPENDED)
    messages = await office.submit(domain, count=4)
    await office.held(messages)
    office.wakes.lost = 2
    await office.say(domain, S.ACTIVE)
    await office.arrived(messages)
    assert office.wakes.lost == 0
    assert (await released(office, domain)).state is S.ACTIVE
    assert office.postman.delivered[domain] == 4


@dataclass
class Bell:
    """Wakes messages; the `broken`th time it fails, once."""

    woken: list[UUID] = field(default_factory=list)
    broken: int = 0

    async def wake(self, id: UUID) -> None:
        if len(self.woken) == self.broken:
            self.broken = -1
            raise Transient("Temporal is away.")
        self.woken.append(id)


async def test_a_release_goes_on_where_it_broke_off(
    office: Office, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_release, "SHARE", 150)
    await office.execute(
        "INSERT INTO message_queue (id, message_id, queue_name, recipient, sender, domain, status,"
        " size_bytes, held) SELECT gen_random_uuid(), '', CASE WHEN n % 10 = 0 THEN 'other-queue'"
        " ELSE :name END, '', '', :name, 'ready', 1, true FROM generate_series(1, 400) AS n",
        name=domain,
    )
    bell = Bell(broken=230)
    circuits = PostgresCircuits(office.engine, TERMS)
    steps = QueueRelease(office.states, circuits, bell, TERMS)
    places: list[Place] = []
    release = Release(queue_name=domain)
    while not release.done:
        try:
            release = await ActivityEnvironment().run(steps.release_queue, release)
        except Transient:
            continue
        places.append(release.place)
    assert len(set(bell.woken)) == 400
    # The others of the page in which it broke off are woken twice, those before are not.
    assert len(bell.woken) == 400 + 99
    assert [place.others for place in places] == [False, False, True]
