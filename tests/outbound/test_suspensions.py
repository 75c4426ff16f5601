"""Domains, campaigns, tenants and pools that are suspended: what is there, what comes, the end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from house import another_database
from hypothesis import given
from hypothesis import strategies as st
from queue_world import Office, office_running
from sqlalchemy import URL, text
from temporalio.testing import WorkflowEnvironment
from world import eventually

from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.message_queue import PostgresMessages
from mailroom.models.names import queue_release_id
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.health import HealthSection
from mailroom.models.outbound.listing import MessageEvent
from mailroom.models.outbound.message import DeliverInput, Event
from mailroom.models.outbound.queues import CircuitState, QueueStanding
from mailroom.models.outbound.scopes import SuspensionScope, compared
from mailroom.models.outbound.timeline_words import told
from mailroom.models.outbound.words import QueueState
from workflows.queue_release import QueueReleaseWorkflow

S = SuspensionScope
FIELDS = {S.CAMPAIGN: "campaign_id", S.TENANT: "tenant_id", S.POOL: "pool_name"}
MANY = 3_000


@pytest.fixture(scope="module")
async def office(
    own_env: WorkflowEnvironment, database: URL, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    engines = engine.connect(await another_database(database, "suspensions"), 10)
    folder: Path = tmp_path_factory.mktemp("suspensions")
    async with office_running(own_env, engines.write, folder, HealthSection()) as running:
        yield running
    await engines.dispose()


@pytest.fixture
def domain(marker: str) -> str:
    return f"{marker}.test"


async def hold(
    office: Office, scope: S, name: str, within: timedelta | None = None, why: str = "a wrong price"
) -> None:
    until = datetime.now(UTC) + within if within else None
    await office.suspending.hold(scope, name, why, until)


async def release(office: Office, scope: S, name: str) -> None:
    assert await office.suspending.release(scope, name)


async def released(office: Office, scope: S, name: str) -> QueueStanding:
    """How the story of a suspension ended."""
    handle = office.client.get_workflow_handle_for(
        QueueReleaseWorkflow.run, queue_release_id(name, scope)
    )
    with office.env.auto_time_skipping_disabled():
        return await handle.result()


async def why_held(office: Office, id: UUID) -> object:
    """What the timeline says last about it."""
    return await office.value(
        "SELECT detail FROM events WHERE message_id = :id AND type = 'message.held' "
        "ORDER BY step DESC LIMIT 1",
        id=str(id),
    )


# --- what is there, and what comes


@pytest.mark.parametrize("scope", S)
async def test_what_is_suspended_waits_and_others_go(office: Office, domain: str, scope: S) -> None:
    """Also in another queue; what comes later waits, too."""
    name = domain if scope is S.DOMAIN else f"{scope}-{domain}"
    its = {FIELDS[scope]: name} if scope in FIELDS else {}
    elsewhere = f"else.{domain}"
    await hold(office, scope, name)
    held = await office.submit(domain, count=2, **its)
    held += await office.submit(domain, queue=f"weekly-{domain}", **its)
    others = await office.submit(elsewhere, count=2, **dict.fromkeys(its, "other"))
    await office.arrived(others)
    await office.held(held)
    assert office.postman.tries[domain] == 0
    assert await why_held(office, held[0]) == {
        "reason": "a wrong price", "scope": scope, "name": name
    }  # fmt: skip
    held += await office.submit(domain, **its)
    await office.held(held)
    await release(office, scope, name)
    await office.arrived(held)
    assert office.postman.delivered[domain] == 4
    later = await office.submit(domain, **its)
    await office.arrived(later)


def test_a_timeline_says_which_suspension_it_was() -> None:
    detail = {"reason": "a wrong price", "scope": "campaign", "name": "autumn"}
    at = datetime(2026, 11, 22, tzinfo=UTC)
    line = MessageEvent(id=1, type=Event.HELD, at=at, detail=detail)
    assert told(line).text == "The suspension of the campaign autumn holds it."
    assert told(line).detail == "a wrong price"


async def test_a_suspension_ends_by_itself(office: Office, domain: str) -> None:
    await hold(office, S.CAMPAIGN, domain, timedelta(hours=2))
    messages = await office.submit(domain, count=3, campaign_id=domain)
    await office.held(messages)
    await office.skip(hours=1)
    assert office.postman.tries[domain] == 0
    await office.skip(hours=1, minutes=1)
    await office.arrived(messages)
    assert (await released(office, S.CAMPAIGN, domain)).state is QueueState.ACTIVE
    assert await office.suspending.store.one(S.CAMPAIGN, domain) is None
    assert not await office.suspending.release(S.CAMPAIGN, domain)


async def test_another_end_takes_the_place_of_the_first(office: Office, domain: str) -> None:
    await hold(office, S.TENANT, domain, timedelta(hours=1))
    messages = await office.submit(domain, count=2, tenant_id=domain)
    await office.held(messages)
    await hold(office, S.TENANT, domain, timedelta(hours=9), "they still pay nothing")
    await office.skip(hours=2)
    assert office.postman.tries[domain] == 0
    kept = await office.suspending.store.one(S.TENANT, domain)
    assert kept is not None
    assert kept.reason == "they still pay nothing"
    await office.skip(hours=8)
    await office.arrived(messages)


async def test_a_domain_is_compared_as_messages_have_it(office: Office, marker: str) -> None:
    spelled, domain = f"BÜCHER-{marker}.Test.", f"xn--bcher-{marker}-3ob.test"
    domain = (await office.suspending.hold(S.DOMAIN, spelled, "they move")).name
    assert domain.startswith("xn--")
    [message] = await office.submit(domain)
    await office.held([message])
    await release(office, S.DOMAIN, spelled.lower())
    await office.arrived([message])
    for no_domain in ("two words.test", "a@b.test", "", "-"):
        with pytest.raises(ValueError, match="is no domain"):
            await hold(office, S.DOMAIN, f"{no_domain}!")


@given(st.text(max_size=80))
def test_any_text_is_a_domain_or_none(typed: str) -> None:
    try:
        name = compared(S.DOMAIN, typed)
    except ValueError:
        return
    assert compared(S.DOMAIN, name) == name
    assert name.isascii()


# --- several at once


async def test_what_two_suspensions_hold_goes_when_both_have_ended(
    office: Office, domain: str
) -> None:
    await hold(office, S.DOMAIN, domain, timedelta(hours=1), "their server moves")
    await hold(office, S.CAMPAIGN, domain, None, "a wrong price")
    both = await office.submit(domain, count=2, campaign_id=domain)
    one = await office.submit(domain, count=2)
    await office.held([*both, *one])
    await office.skip(hours=1, minutes=1)
    await office.arrived(one)
    await office.held(both)
    assert office.postman.delivered[domain] == 2

    # Asked again, and held again, by the other one.
    async def held_by_the_campaign() -> bool:
        return all([_scope(await why_held(office, id)) == "campaign" for id in both])

    await eventually(held_by_the_campaign)
    await release(office, S.CAMPAIGN, domain)
    await office.arrived(both)


def _scope(detail: object) -> object:
    assert isinstance(detail, dict)
    return detail["scope"]


async def test_a_suspended_queue_of_the_same_name_is_another_matter(
    office: Office, domain: str
) -> None:
    await office.say(domain, QueueState.SUSPENDED)
    await hold(office, S.DOMAIN, domain)
    queued = await office.submit(domain)
    elsewhere = await office.submit(domain, queue=f"weekly-{domain}")
    await office.held([*queued, *elsewhere])
    await release(office, S.DOMAIN, domain)
    await office.arrived(elsewhere)
    assert [(await office.progress(id)).num_attempts for id in queued] == [0] * len(queued)
    await office.held(queued)
    await office.say(domain, QueueState.ACTIVE)
    await office.arrived(queued)
    assert [(await office.progress(id)).num_attempts for id in queued] == [1] * len(queued)


async def test_a_probe_is_not_spent_on_what_is_suspended(office: Office, domain: str) -> None:
    """The circuit of the domain is half open: the one that may pass is one that can."""
    await hold(office, S.CAMPAIGN, domain)
    await office.execute(
        "INSERT INTO queues (queue_name, state, set_by, probing_since) "
        "VALUES (:name, 'suspended', 'health', now())",
        name=domain,
    )
    held = await office.submit(domain, campaign_id=domain)
    await office.held(held)
    assert (await office.states.standing(domain)).circuit is CircuitState.HALF_OPEN
    free = await office.submit(domain)
    await office.arrived(free)
    assert office.postman.tries[domain] == 1
    await office.say(domain, QueueState.ACTIVE)
    await office.held(held)
    await release(office, S.CAMPAIGN, domain)
    await office.arrived(held)


# --- what goes wrong


async def test_a_message_that_a_release_has_missed_is_found(office: Office, domain: str) -> None:
    await hold(office, S.POOL, domain)
    messages = await office.submit(domain, pool_name=domain)
    await office.held(messages)
    await office.execute("DELETE FROM suspensions WHERE name = :name", name=domain)
    await office.execute(
        "UPDATE message_queue SET updated_at = now() - interval '1 minute' WHERE domain = :name",
        name=domain,
    )
    assert (await office.look()).woken == 1
    await office.arrived(messages)


async def test_a_release_that_nobody_was_told_of_happens_all_the_same(
    office: Office, domain: str
) -> None:
    """Temporal was away when the operator released it."""
    await hold(office, S.CAMPAIGN, domain)
    messages = await office.submit(domain, count=2, campaign_id=domain)
    await office.held(messages)
    assert await office.suspending.store.over(S.CAMPAIGN, domain)
    assert await office.suspending.store.one(S.CAMPAIGN, domain) is None
    await office.look()
    await office.arrived(messages)


async def test_a_suspension_whose_workflow_never_began_ends_all_the_same(
    office: Office, domain: str
) -> None:
    await office.execute(
        "INSERT INTO suspensions (scope, name, reason, until, set_by) "
        "VALUES ('tenant', :name, 'late', now() - interval '1 hour', 'operator')",
        name=domain,
    )
    messages = await office.submit(domain, tenant_id=domain)
    await office.arrived(messages)  # the claim knows that it is over
    await office.look()
    assert (await released(office, S.TENANT, domain)).state is QueueState.ACTIVE


async def test_a_release_that_fails_half_way_is_finished(office: Office, domain: str) -> None:
    await hold(office, S.CAMPAIGN, domain)
    messages = await office.submit(domain, count=4, campaign_id=domain)
    await office.held(messages)
    office.wakes.lost = 2
    await release(office, S.CAMPAIGN, domain)
    await office.arrived(messages)
    assert office.wakes.lost == 0
    assert office.postman.delivered[domain] == 4


# --- claims that race with the end, and many of them


async def rows(office: Office, domain: str, count: int) -> list[UUID]:
    """Messages that no workflow looks after."""
    statement = text(
        "INSERT INTO message_queue (id, message_id, queue_name, recipient, sender, domain,"
        " campaign_id, status, size_bytes) SELECT gen_random_uuid(), '', :name, '', '', :name,"
        " :name, 'ready', 1 FROM generate_series(1, :count) RETURNING id"
    )
    async with office.engine.connect() as connection:
        return list(await connection.scalars(statement, {"name": domain, "count": count}))


async def is_held(messages: PostgresMessages, id: UUID, step: int = 1) -> bool:
    claim = await messages.claim(DeliverInput(id=id, step=step, attempt=1))
    assert (claim.held is None) is (claim.parcel is not None)
    return claim.held is not None


async def test_whoever_ends_a_suspension_sees_all_that_it_held(office: Office, domain: str) -> None:
    """A claim that holds its message has committed before the end has, or it holds nothing."""
    messages = PostgresMessages(office.engine, OutboundSection())
    ids = await rows(office, domain, 40)
    store = office.suspending.store
    await hold(office, S.CAMPAIGN, domain)
    claims = [asyncio.create_task(is_held(messages, id)) for id in ids]
    await asyncio.wait(claims, return_when=asyncio.FIRST_COMPLETED)
    assert await store.over(S.CAMPAIGN, domain)
    seen = await office.value(
        "SELECT count(*) FROM message_queue WHERE held AND campaign_id = :name", name=domain
    )
    held = [await claim for claim in claims]
    assert seen == sum(held)
    assert any(held)


async def test_a_claim_waits_for_an_end_that_is_under_way(office: Office, domain: str) -> None:
    messages = PostgresMessages(office.engine, OutboundSection())
    [id] = await rows(office, domain, 1)
    await hold(office, S.CAMPAIGN, domain)
    async with office.engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        async with connection.begin():
            await connection.execute(
                text("UPDATE suspensions SET until = created_at - interval '1 day' "
                     "WHERE name = :name"),
                {"name": domain},
            )  # fmt: skip
            claim = asyncio.create_task(is_held(messages, id))
            waits = text(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid())"
            )

            async def is_waiting() -> bool:
                return bool(await connection.scalar(waits))

            await eventually(is_waiting)
    assert not await claim


async def test_thousands_are_held_from_one_moment_on(office: Office, domain: str) -> None:
    """However many there are: the suspension is one row, and none of theirs is touched."""
    messages = PostgresMessages(office.engine, OutboundSection())
    ids = await rows(office, domain, MANY)
    async with asyncio.timeout(1):
        await hold(office, S.CAMPAIGN, domain)
        assert await is_held(messages, ids[0])
    assert all([await is_held(messages, id) for id in ids[1:50]])
    touched = await office.value(
        "SELECT count(*) FROM message_queue WHERE domain = :name AND held", name=domain
    )
    assert touched == 50
