"""Our suspensions in KumoMTA, which forgets; its queues and messages, in whichever shapes."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from kumo_seed_world import DETAILS, SeedKumo, seed_kumo_running
from kumo_world import Injection, Kumo, kumo_running
from web import web_server

from activities.mirror_suspensions import MirrorSuspensions
from mailroom.adapters.http import http_client
from mailroom.adapters.kumomta import relay as relays
from mailroom.adapters.kumomta.relay import KumoRelay
from mailroom.adapters.kumomta.server import KumoServer
from mailroom.adapters.kumomta.shapes import Shape
from mailroom.adapters.kumomta.wire import KumoWire
from mailroom.adapters.settings import Settings
from mailroom.models.outbound.kumo_queues import KumoQueueName, Which
from mailroom.models.outbound.relay import Interface
from mailroom.models.outbound.scopes import SuspensionScope as S
from mailroom.models.outbound.suspensions import Held, HeldQueue, Suspension
from mailroom.ports import Permanent
from mailroom.ports.relay import NotThere, RelayAway

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
async def one_kumo() -> AsyncIterator[Kumo]:
    async with kumo_running() as running:
        yield running


@pytest.fixture
def kumo(one_kumo: Kumo) -> Kumo:
    one_kumo.restart()
    one_kumo.asked.clear()
    one_kumo.injected.clear()
    one_kumo.scheduled, one_kumo.ready_queues = {}, {}
    return one_kumo


@pytest.fixture
async def seed_kumo() -> AsyncIterator[SeedKumo]:
    async with seed_kumo_running() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with http_client() as client:
        yield client


@pytest.fixture
def relay(http: httpx.AsyncClient, kumo: Kumo) -> KumoRelay:
    return KumoRelay(http, KumoServer(kumo.url))


def suspension(
    scope: S, name: str, within: timedelta | None = HOUR, reason: str = "a wrong price"
) -> Suspension:
    now = datetime.now(UTC)
    until = now + within if within else None
    return Suspension(scope=scope, name=name, reason=reason, until=until, created_at=now)


class Ours:
    """What we hold."""

    def __init__(self, *held: Held) -> None:
        self.held = list(held)

    async def current(self) -> Sequence[Held]:
        return self.held


class Here:
    """As the store tells it."""

    async def current(self) -> Sequence[Suspension]:
        return [suspension(S.DOMAIN, "example.com", None)]

    async def suspended(self) -> Sequence[HeldQueue]:
        return [HeldQueue(name=READY, reason="they block us")]


def held_there(kumo: Kumo) -> dict[str, str]:
    """Whatever is suspended there, by its criterion."""
    criteria = ("campaign", "tenant", "domain")
    return {
        " ".join(f"{name}={one[name]}" for name in criteria if one.get(name)): one["reason"]
        for one in kumo.suspensions.values()
    }


# --- suspensions


async def test_what_we_hold_is_held_there_until_its_end(relay: KumoRelay, kumo: Kumo) -> None:
    for scope in (S.DOMAIN, S.CAMPAIGN, S.TENANT):
        await relay.hold(suspension(scope, f"a-{scope}"))
    await relay.hold(suspension(S.POOL, "marketing"))
    assert held_there(kumo) == {
        "domain=a-domain": "Mailroom: a wrong price",
        "campaign=a-campaign": "Mailroom: a wrong price",
        "tenant=a-tenant": "Mailroom: a wrong price",
    }
    (_, asked), *_ = kumo.asked
    assert 3_590 <= int(asked["duration"][:-1]) <= 3_600
    await relay.lift(S.CAMPAIGN, "a-campaign")
    await relay.lift(S.POOL, "marketing")
    assert set(held_there(kumo)) == {"domain=a-domain", "tenant=a-tenant"}


async def test_what_a_restart_has_forgotten_is_said_again(relay: KumoRelay, kumo: Kumo) -> None:
    ours = Ours(suspension(S.DOMAIN, "example.com"), suspension(S.CAMPAIGN, "autumn", None))
    assert await relay.align(ours.current) == 2
    before = held_there(kumo)
    assert await relay.align(ours.current) == 0
    kumo.restart()
    assert held_there(kumo) == {}
    assert await relay.align(ours.current) == 2
    assert held_there(kumo) == before


async def test_what_has_ended_here_ends_there(relay: KumoRelay, kumo: Kumo) -> None:
    """Also where nobody could tell it at that moment; an end that has passed holds nothing."""
    ours = Ours(suspension(S.DOMAIN, "a.test"), suspension(S.DOMAIN, "b.test"))
    await relay.align(ours.current)
    ours.held = [ours.held[0], suspension(S.TENANT, "late", -HOUR)]
    assert await relay.align(ours.current) == 1
    assert set(held_there(kumo)) == {"domain=a.test"}


async def test_another_end_or_reason_takes_the_place_of_the_one_before(
    relay: KumoRelay, kumo: Kumo
) -> None:
    ours = Ours(suspension(S.DOMAIN, "example.com"))
    await relay.align(ours.current)
    ours.held = [suspension(S.DOMAIN, "example.com", 9 * HOUR)]
    assert await relay.align(ours.current) == 1
    ours.held = [suspension(S.DOMAIN, "example.com", 9 * HOUR, "they move")]
    assert await relay.align(ours.current) == 1
    ours.held = [suspension(S.DOMAIN, "example.com", None, "they move")]
    assert await relay.align(ours.current) == 1
    assert held_there(kumo) == {"domain=example.com": "Mailroom: they move"}
    assert len(kumo.asked) == 4


async def test_what_somebody_else_holds_there_is_left_alone(relay: KumoRelay, kumo: Kumo) -> None:
    kumo.suspensions["theirs"] = {
        "id": "a2a52e6e-9f2c-4a6f-8f0a-3a1f4f9f0001",
        "domain": "example.com",
        "reason": "blocked there",
        "expires": (datetime.now(UTC) + HOUR).isoformat(),
    }
    ours = Ours(suspension(S.DOMAIN, "example.com"))
    assert await relay.align(ours.current) == 0
    await relay.hold(ours.held[0])
    await relay.lift(S.DOMAIN, "example.com")
    ours.held = []
    assert await relay.align(ours.current) == 0
    assert held_there(kumo) == {"domain=example.com": "blocked there"}
    assert kumo.asked == []


async def test_what_is_held_since_the_look_is_no_mistake(relay: KumoRelay, kumo: Kumo) -> None:
    """An operator holds it here and there while both are compared."""
    now_held = suspension(S.CAMPAIGN, "autumn")

    async def ours() -> Sequence[Held]:
        await relay.hold(now_held)
        return [now_held]

    await relay.align(ours)
    assert set(held_there(kumo)) == {"campaign=autumn"}


async def test_a_kumomta_that_is_away_keeps_nothing_else_from_being_done(
    http: httpx.AsyncClient,
) -> None:
    nobody = KumoRelay(http, KumoServer("http://127.0.0.1:1"))
    with pytest.raises(RelayAway, match="can't be reached"):
        await nobody.hold(suspension(S.DOMAIN, "example.com"))
    assert await MirrorSuspensions(nobody, Here(), Here()).align() == 0


async def test_the_look_says_how_much_was_different(relay: KumoRelay) -> None:
    here = Here()
    mirror = MirrorSuspensions(relay, here, here)
    assert [await mirror.align(), await mirror.align()] == [2, 0]


# --- states of queues

READY = "source2->(alt1|alt2)?.mx.example.com@smtp_client"
SCHEDULED = "autumn:acme@example.com!b.test"


async def test_a_queue_that_is_suspended_here_is_held_there_by_its_name(
    relay: KumoRelay, kumo: Kumo
) -> None:
    held = [
        HeldQueue(name=READY, reason="they block us", until=datetime.now(UTC) + HOUR),
        HeldQueue(name=SCHEDULED, reason="a wrong price: 5"),
        HeldQueue(name="no queue there", reason="x"),
    ]
    ours = Ours(*held)
    assert [await relay.align(ours.current), await relay.align(ours.current)] == [2, 0]
    kumo.restart()
    assert await relay.align(ours.current) == 2
    (path, ready), (_, scheduled) = kumo.asked[-2:]
    assert (path, ready["name"]) == ("/api/admin/suspend-ready-q/v1", READY)
    assert ready["reason"] == f"Mailroom: queue {READY}: they block us"
    assert scheduled["queue_names"] == [SCHEDULED]
    assert not {"campaign", "tenant", "domain"} & set(scheduled)
    kumo.scheduled = {SCHEDULED: 1.0, "autumn:acme@example.com": 1.0}
    states = {one.name: one.state.value for one in (await relay.queues(10)).queues}
    assert states == {SCHEDULED: "suspended", "autumn:acme@example.com": "active"}
    await relay.lift(None, SCHEDULED)
    assert (kumo.suspensions, len(kumo.ready)) == ({}, 1)
    ours.held = []
    assert await relay.align(ours.current) == 1
    assert kumo.ready == {}


async def test_names_are_not_said_to_one_that_would_suspend_all(
    http: httpx.AsyncClient, kumo: Kumo
) -> None:
    known, kumo.version = kumo.version, "2025.10.06-5ec871ab"
    try:
        relay = KumoRelay(http, KumoServer(kumo.url))
        held = HeldQueue(name=SCHEDULED, reason="a wrong price")
        await relay.hold(held)
        assert await relay.align(Ours(held).current) == 0
    finally:
        kumo.version = known
    assert kumo.asked == []


# --- bounces and rebinds


async def test_bounces_and_rebinds_name_what_they_mean(relay: KumoRelay, kumo: Kumo) -> None:
    await relay.bounce(Which(campaign="autumn", routing_domain="b.test"), "a bad send")
    await relay.rebind(Which(tenant="acme"), {"routing_domain": "b.test"}, "they move")
    [(bounced, bounce), (rebound, rebind)] = kumo.asked
    assert (bounced, rebound) == ("/api/admin/bounce/v1", "/api/admin/rebind/v1")
    assert (bounce["campaign"], bounce["routing_domain"]) == ("autumn", "b.test")
    assert bounce["duration"] == "10s"  # and not the five minutes that KumoMTA would take
    assert (rebind["tenant"], rebind["data"]) == ("acme", {"routing_domain": "b.test"})
    for nothing in (Which(), Which(domain="")):
        with pytest.raises(Permanent, match="every queue"):
            await relay.bounce(nothing, "oops")
        with pytest.raises(Permanent, match="every queue"):
            await relay.rebind(nothing, {"tenant": "b"}, "oops")
    assert len(kumo.asked) == 2


# --- its queues and messages


async def test_queues_are_listed_with_their_state(relay: KumoRelay, kumo: Kumo) -> None:
    kumo.scheduled = {"autumn:acme@a.test": 7.0, "a.test!b.test": 2.0, "c.test": 9.0, "idle": 0.0}
    source = "source2->mx.a.test@smtp_client"
    kumo.ready_queues = {"smtp_client": 4.0, f"smtp_client:{source}": 4.0}
    await relay.hold(suspension(S.DOMAIN, "a.test"))
    await http_suspends_ready(kumo, source)
    found = (await relay.queues(10)).queues
    assert [(one.name, one.message_count, one.state.value) for one in found] == [
        ("c.test", 9, "active"),
        ("autumn:acme@a.test", 7, "suspended"),
        (source, 4, "suspended"),
        ("a.test!b.test", 2, "suspended"),
        ("idle", 0, "active"),
    ]
    assert [one.name for one in (await relay.queues(1)).queues] == ["c.test"]


async def http_suspends_ready(kumo: Kumo, name: str) -> None:
    """By an operator of theirs."""
    asked = {"name": name, "reason": "blocked", "duration": "300s"}
    async with http_client() as http:
        await http.post(f"{kumo.url}/api/admin/suspend-ready-q/v1", json=asked)


async def test_one_queue_counts_what_its_metrics_leave_out(relay: KumoRelay, kumo: Kumo) -> None:
    kumo.injected += [injected()] * 3
    [found] = (await relay.queues(10, "autumn:acme@example.com")).queues
    assert (found.message_count, found.state) == (3, "active")
    await relay.hold(suspension(S.TENANT, "acme"))
    [found] = (await relay.queues(10, "autumn:acme@example.com")).queues
    assert found.state == "suspended"


def injected() -> Injection:
    metadata = {"mailroom_id": "3f0e6d0c-9a52-4a35-8a5e-0a4a53a1f0c5", "campaign": "autumn"}
    return Injection.model_validate(
        {
            "envelope_sender": "a@mailroom.test",
            "recipients": [{"email": "ann@example.com", "metadata": metadata}],
            "content": "Subject: Grüße\r\n\r\nHi\r\n",
        }
    )


async def test_a_message_in_the_seeds_words(relay: KumoRelay, kumo: Kumo) -> None:
    kumo.injected.append(injected())
    found = await relay.message("0")
    assert found.model_dump(exclude={"next_attempt"}) == {
        "id": "0",
        "queue": "example.com",
        "recipient": "ann@example.com",
        "sender": "a@mailroom.test",
        "size": len("Subject: Grüße\r\n\r\nHi\r\n".encode()),
        "attempts": 0,
        "last_response": None,
        "message_id": "3f0e6d0c-9a52-4a35-8a5e-0a4a53a1f0c5",
    }
    assert datetime.now(UTC) - timedelta(minutes=1) < found.next_attempt <= datetime.now(UTC)


# --- which shapes it speaks


async def test_the_current_shapes_are_found_out_once(relay: KumoRelay, kumo: Kumo) -> None:
    found = await relay.detect()
    assert (found.interface, found.version) == (Interface.CURRENT, kumo.version)
    kumo.version, before = "another", kumo.version
    assert await relay.detect() == found
    kumo.version = before


async def test_older_shapes_do_as_well(http: httpx.AsyncClient, seed_kumo: SeedKumo) -> None:
    relay = KumoRelay(http, KumoServer(seed_kumo.url))
    assert (await relay.detect()).interface is Interface.SEED
    seed_kumo.queue("example.com")["message_count"] = 12
    [found] = (await relay.queues(10)).queues
    assert (found.name, found.message_count, found.state) == ("example.com", 12, "active")
    with pytest.raises(NotThere, match="no queue"):
        await relay.queues(10, "else.test")
    for planned in (False, True):
        seed_kumo.planned = planned
        found_message = await relay.message("m1")
        shown = found_message.model_dump(mode="json", exclude={"message_id"})
        assert shown == DETAILS
    with pytest.raises(NotThere):
        await relay.message("m2")


async def test_domains_are_held_by_the_older_paths(
    http: httpx.AsyncClient, seed_kumo: SeedKumo
) -> None:
    relay = KumoRelay(http, KumoServer(seed_kumo.url))
    ours = Ours(suspension(S.DOMAIN, "a.test"), suspension(S.CAMPAIGN, "autumn"))
    assert [await relay.align(ours.current), await relay.align(ours.current)] == [1, 0]
    [(domain, asked)] = seed_kumo.asked
    assert (domain, asked["reason"]) == ("a.test", "Mailroom: a wrong price")
    await relay.lift(S.DOMAIN, "a.test")
    await relay.lift(S.CAMPAIGN, "autumn")
    assert seed_kumo.queue("a.test")["state"] == "active"
    await relay.hold(suspension(S.DOMAIN, "a.test"))
    assert seed_kumo.queue("a.test")["state"] == "suspended"


async def test_another_server_is_no_kumomta(http: httpx.AsyncClient) -> None:
    async with web_server(FastAPI()) as url:
        with pytest.raises(Permanent, match="no admin interface"):
            await KumoRelay(http, KumoServer(url)).queues(10)


async def test_an_answer_is_bounded_in_size_and_time(http: httpx.AsyncClient) -> None:
    app = FastAPI()

    @app.get("/metrics.json")
    async def endless() -> dict[str, str]:
        return {"help": "x" * 100_000}

    async with web_server(app) as url:
        wire = KumoWire(http, KumoServer(url), most_bytes=10_000)
        with pytest.raises(Permanent, match="longer than"):
            await wire.read("GET", "/metrics.json", Shape)
        hurried = KumoWire(http, KumoServer(url), seconds=0.0)
        with pytest.raises(RelayAway, match="TimeoutError"):
            await hurried.read("GET", "/metrics.json", Shape)


def test_another_route_has_no_relay() -> None:
    url = {"kumomta_url": "http://127.0.0.1:8000"}
    for route, there in (("kumomta", True), ("mx", False), ("smtp://relay.test", False)):
        settings = Settings.model_validate(url | {"mailroom_outbound_route": route})
        found = relays.relay_of(settings, http_client())
        assert (found is not None) is there, route


# --- names of queues

part = st.text(st.characters(exclude_characters=":@!", codec="utf-8"), min_size=1, max_size=20)


@given(part, st.none() | part, st.none() | part, st.none() | part)
def test_a_name_is_read_as_it_is_written(
    domain: str, campaign: str | None, tenant: str | None, routing_domain: str | None
) -> None:
    name = KumoQueueName(
        domain=domain, campaign=campaign, tenant=tenant, routing_domain=routing_domain
    )
    assert KumoQueueName.of(str(name)) == name


@given(st.text(max_size=60))
def test_any_name_is_read_and_stays_what_it_was_read_as(name: str) -> None:
    read = KumoQueueName.of(name)
    assert KumoQueueName.of(str(read)) == read


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("campaign:tenant@domain!routed", ("campaign", "tenant", "domain", "routed")),
        ("campaign:tenant@domain", ("campaign", "tenant", "domain", None)),
        ("tenant@domain", (None, "tenant", "domain", None)),
        ("campaign:@domain", ("campaign", None, "domain", None)),
        ("domain!routed", (None, None, "domain", "routed")),
        ("domain", (None, None, "domain", None)),
    ],
)
def test_names_as_the_reference_has_them(name: str, parts: tuple[str | None, ...]) -> None:
    read = KumoQueueName.of(name)
    assert (read.campaign, read.tenant, read.domain, read.routing_domain) == parts
    assert str(read) == name
