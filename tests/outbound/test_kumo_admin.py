"""What operators ask of KumoMTA."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from kumo_seed_world import seed_kumo_running
from kumo_world import Injection, Kumo, kumo_running
from pydantic import TypeAdapter, ValidationError

from mailroom.adapters.http import http_client
from mailroom.adapters.kumomta.admin import KumoAdmin
from mailroom.adapters.kumomta.server import KumoServer
from mailroom.adapters.kumomta.shapes import Length, QueueCounts
from mailroom.adapters.settings import Settings
from mailroom.cli.findings import Level
from mailroom.cli.route_check import outbound_route
from mailroom.models.outbound.kumo_queues import Which
from mailroom.ports import Permanent, Transient

FIVE = timedelta(minutes=5)


@pytest.fixture(scope="module")
async def one_kumo() -> AsyncIterator[Kumo]:
    async with kumo_running() as running:
        yield running


@pytest.fixture
def kumo(one_kumo: Kumo) -> Kumo:
    """Nothing was asked of it yet."""
    one_kumo.login, one_kumo.version = None, Kumo.version
    for kept in (one_kumo.asked, one_kumo.injected):
        kept.clear()
    for entries in (one_kumo.suspensions, one_kumo.ready, one_kumo.bounces):
        entries.clear()
    return one_kumo


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with http_client() as client:
        yield client


@pytest.fixture
def admin(http: httpx.AsyncClient, kumo: Kumo) -> KumoAdmin:
    return KumoAdmin(http, KumoServer(kumo.url))


async def test_a_suspension_is_made_listed_and_lifted(admin: KumoAdmin, kumo: Kumo) -> None:
    which = Which(domain="example.com", tenant="t1")
    id = await admin.suspend(which, "blocked there", timedelta(hours=1))
    [(_, asked)] = kumo.asked
    assert asked == {
        "domain": "example.com",
        "tenant": "t1",
        "reason": "blocked there",
        "duration": "3600s",
    }
    [found] = await admin.suspensions()
    assert (found.id, found.domain, found.campaign) == (id, "example.com", None)
    assert timedelta(minutes=59) < found.duration < timedelta(hours=1)
    again = await admin.suspend(which, "still blocked", timedelta(hours=2))
    [found] = await admin.suspensions()
    assert (found.id, found.reason) == (again, "still blocked")
    assert not await admin.lift(id)
    assert await admin.lift(again)
    assert await admin.suspensions() == []


async def test_a_ready_queue_is_suspended_by_its_name(admin: KumoAdmin, kumo: Kumo) -> None:
    name = "source2->(alt1|alt2)?.mx.example.com@smtp_client"
    id = await admin.suspend_ready_queue(name, "blocked there", FIVE)
    [found] = await admin.ready_queue_suspensions()
    assert (found.id, found.name, found.reason) == (id, name, "blocked there")
    assert found.expires > datetime.now(UTC)
    assert await admin.lift_ready_queue(id)
    assert kumo.ready == {}


async def test_a_bounce_is_made_followed_and_ended(admin: KumoAdmin, kumo: Kumo) -> None:
    bounced = await admin.bounce(Which(campaign="spring"), "a bad send", timedelta(minutes=20))
    assert bounced.total_bounced == 0
    [(path, asked)] = kumo.asked
    assert path == "/api/admin/bounce/v1"
    assert asked == {
        "campaign": "spring",
        "reason": "a bad send",
        "duration": "1200s",
        "suppress_logging": False,
    }
    [entry] = await admin.bounces()
    assert (entry.id, entry.total_bounced, entry.bounced) == (bounced.id, 2, {"a.test": 2})
    assert await admin.end_bounce(bounced.id)
    assert not await admin.end_bounce(bounced.id)


async def test_messages_are_rebound(admin: KumoAdmin, kumo: Kumo) -> None:
    await admin.rebind(Which(domain="example.com"), {"routing_domain": "b.test"}, "moved")
    [(path, asked)] = kumo.asked
    assert path == "/api/admin/rebind/v1"
    assert asked == {
        "domain": "example.com",
        "data": {"routing_domain": "b.test"},
        "reason": "moved",
        "always_flush": False,
    }


@pytest.mark.parametrize("which", [Which(), Which(domain=""), Which(campaign="", tenant="")])
async def test_without_a_criterion_nothing_leaves(
    admin: KumoAdmin, kumo: Kumo, which: Which
) -> None:
    with pytest.raises(Permanent, match="every queue"):
        await admin.bounce(which, "oops")
    with pytest.raises(Permanent, match="every queue"):
        await admin.rebind(which, {"tenant": "t2"}, "oops")
    assert kumo.asked == []


async def test_a_rebind_by_name_would_be_one_of_all(admin: KumoAdmin, kumo: Kumo) -> None:
    """KumoMTA knows no `queue_names` there, and ignores them."""
    with pytest.raises(Permanent, match="names of queues"):
        await admin.rebind(Which(queue_names=("example.com",)), {"tenant": "t2"}, "oops")
    with pytest.raises(Permanent, match="routing domain"):
        await admin.suspend(Which(routing_domain="b.test"), "oops", FIVE)
    assert kumo.asked == []


async def test_a_message_and_its_queue_are_looked_into(admin: KumoAdmin, kumo: Kumo) -> None:
    asked = {
        "envelope_sender": "a@mailroom.test",
        "recipients": [{"email": "ann@example.com", "metadata": {"mailroom_id": "1"}}],
        "content": "Subject: Hi\r\n\r\nHi\r\n",
    }
    kumo.injected += [Injection.model_validate(asked)] * 2
    found = (await admin.message("0", want_body=True)).message
    assert (found.recipient, found.data) == (["ann@example.com"], asked["content"])
    assert found.meta["extra"] == {"mailroom_id": "1"}
    queue = await admin.scheduled_queue("example.com", limit=1)
    assert (queue.num_scheduled, len(queue.messages)) == (2, 1)
    assert queue.messages[0].message.data is None
    with pytest.raises(Transient, match="no such message"):
        await admin.message("7")


async def test_queues_are_counted_among_figures_of_other_shapes(admin: KumoAdmin) -> None:
    counts = await admin.queue_counts()
    assert counts.scheduled == {"example.com": 3.0}
    assert counts.ready == {"source2->mx.example.com@smtp_client": 2.0}


def test_no_queue_has_infinitely_many_messages() -> None:
    with pytest.raises(ValidationError, match="finite"):
        QueueCounts.model_validate_json('{"scheduled_count": {"value": {"queue": {"a": 1e999}}}}')


async def test_somebody_else_is_told_apart(http: httpx.AsyncClient, kumo: Kumo) -> None:
    with pytest.raises(Permanent, match="404"):
        await KumoAdmin(http, KumoServer(f"{kumo.url}/else")).suspensions()
    nobody = KumoAdmin(http, KumoServer("http://127.0.0.1:1"))
    with pytest.raises(Transient, match="can't be reached"):
        await nobody.bounce(Which(domain="example.com"), "a bad send")
    with pytest.raises(Transient, match="can't be reached"):
        await nobody.lift(uuid4())


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("4m 59s 500ms", 299.5),
        ("1day 2h 3m 4s", 93_784),
        ("2days", 172_800),
        ("0s", 0),
        ("30us", 0.00003),
        (300, 300),
    ],
)
def test_lengths_of_time(written: object, seconds: float) -> None:
    length = TypeAdapter(Length).validate_python(written)
    assert length == timedelta(seconds=seconds)


@pytest.mark.parametrize("written", ["", "soon", "5 minutes or so", "5x", "m"])
def test_what_is_no_length_of_time_is_refused(written: str) -> None:
    with pytest.raises(ValidationError, match="no length of time"):
        TypeAdapter(Length).validate_python(written)


# --- mailroom doctor


def doctored(kumo: Kumo, **more: str) -> Settings:
    known = {"kumomta_url": kumo.url, "mailroom_outbound_route": "kumomta"}
    return Settings.model_validate(known | more)


async def test_doctor_says_which_kumomta_answers(kumo: Kumo) -> None:
    found = await outbound_route(doctored(kumo))
    assert found.finding == (
        "KumoMTA 2026.05.12-a6845223 at mta1.example.com answers, with the current admin interface"
    )
    assert found.mend is None


async def test_doctor_says_which_paths_an_older_one_speaks() -> None:
    async with seed_kumo_running() as older:
        url = {"kumomta_url": older.url, "mailroom_outbound_route": "kumomta"}
        found = await outbound_route(Settings.model_validate(url))
    assert found.level is Level.WARNING
    assert found.finding.endswith("answers, with the admin interface of list-scheduled-queues")


async def test_doctor_finds_what_keeps_messages_from_kumomta(kumo: Kumo) -> None:
    kumo.version = "2025.12.02-67ee9e96"
    older = await outbound_route(doctored(kumo))
    assert older.mend == "Install 2026.05.12 or newer."
    kumo.login = "Basic of-somebody-else"
    stranger = await outbound_route(doctored(kumo, kumomta_user="me", kumomta_password="pw-of-me"))
    assert "trusted_hosts" in stranger.finding
    assert "pw-of-me" not in f"{stranger}"
    nobody = await outbound_route(doctored(kumo, kumomta_url="http://127.0.0.1:1"))
    assert "can't be reached" in nobody.finding
    assert {older.level, stranger.level, nobody.level} == {Level.FAILED}
