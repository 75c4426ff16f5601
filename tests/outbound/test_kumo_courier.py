"""Messages that are handed to KumoMTA: once, undamaged, and what its answers mean."""

import asyncio
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from kumo_world import Kumo, kumo_running
from world import eventually

from mailroom.adapters.http import http_client
from mailroom.adapters.kumomta.courier import KumoCourier
from mailroom.adapters.kumomta.server import KumoServer, kumo_server_of
from mailroom.adapters.settings import Settings
from mailroom.models.outbound.bounces import classify
from mailroom.models.outbound.parcel import Parcel
from mailroom.models.outbound.words import DeliveryProtocol
from mailroom.ports import SendUnknown
from mailroom.ports.outbound import Busy, Deferred, Refused

MAIL = b"From: a@mailroom.test\r\nSubject: {{ name }}\r\n\r\nHi {% raw %} there\r\n.\r\n"


@pytest.fixture(scope="module")
async def kumo() -> AsyncIterator[Kumo]:
    async with kumo_running() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with http_client() as client:
        yield client


@pytest.fixture
def courier(http: httpx.AsyncClient, kumo: Kumo) -> KumoCourier:
    return KumoCourier(http, KumoServer(kumo.url))


class Marker:
    """What commits that the last byte may leave; `seen` is what KumoMTA had taken before."""

    def __init__(self, kumo: Kumo) -> None:
        self.kumo, self.calls = kumo, 0

    async def commit(self) -> None:
        self.calls += 1
        self.taken_before = list(self.kumo.seen)


@pytest.fixture
def marker(kumo: Kumo) -> Marker:
    return Marker(kumo)


def parcel(name: str = "ann", **more: str) -> Parcel:
    to = f"{name}.{uuid4().hex[:8]}@example.com"
    known = {"message_id": "<1@mailroom.test>", "sender": "b-1@bounces.mailroom.test"}
    return Parcel(id=uuid4(), recipient=to, domain="example.com", **known, **more)


async def test_a_message_goes_over_as_it_is(
    kumo: Kumo, courier: KumoCourier, marker: Marker
) -> None:
    one = parcel(campaign_id="spring", tenant_id="t1", pool_name="warm", routing_domain="mx.test")
    taken = await courier.deliver(one, MAIL, marker.commit)
    assert (taken.relayed, taken.protocol) == (True, DeliveryProtocol.HTTP)
    assert (taken.response.code, marker.calls) == (250, 1)
    [injected] = kumo.to(one.recipient)
    assert injected.envelope_sender == one.sender
    assert injected.content.encode() == MAIL
    assert injected.template_dialect == "Static"
    assert not injected.trace_headers.supplemental_header
    assert injected.recipients[0].metadata == {
        "mailroom_id": str(one.id),
        "campaign": "spring",
        "tenant": "t1",
        "pool": "warm",
        "routing_domain": "mx.test",
    }


async def test_nothing_is_injected_before_the_marker_is_committed(
    kumo: Kumo, courier: KumoCourier, marker: Marker
) -> None:
    one = parcel()
    await courier.deliver(one, MAIL, marker.commit)
    assert one.recipient not in marker.taken_before
    assert one.recipient in kumo.seen


async def test_a_marker_that_is_not_committed_sends_nothing(
    kumo: Kumo, courier: KumoCourier
) -> None:
    async def away() -> None:
        raise RuntimeError("PostgreSQL is away")

    one = parcel()
    with pytest.raises(RuntimeError, match="away"):
        await courier.deliver(one, MAIL, away)
    # The next one is answered, and nothing came before it.
    after = parcel()
    await courier.deliver(after, MAIL, Marker(kumo).commit)
    assert one.recipient not in kumo.seen
    assert kumo.to(after.recipient)


async def test_eight_bits_that_are_utf_8_come_out_as_they_went_in(
    kumo: Kumo, courier: KumoCourier, marker: Marker
) -> None:
    one = parcel()
    data = 'Subject: Grüße\r\n\r\n\U0001f4ee „ja“ \\ " \x00 \u2028 \x7f\r\n'.encode()
    await courier.deliver(one, data, marker.commit)
    assert kumo.to(one.recipient)[0].content.encode() == data


async def test_other_eight_bits_are_refused_before_they_leave(
    kumo: Kumo, courier: KumoCourier, marker: Marker
) -> None:
    one = parcel()
    data = b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe\r\n"
    with pytest.raises(Refused, match="quoted-printable"):
        await courier.deliver(one, data, marker.commit)
    assert marker.calls == 0
    assert one.recipient not in kumo.seen


async def test_what_is_too_large_is_refused_before_it_leaves(
    kumo: Kumo, courier: KumoCourier, marker: Marker
) -> None:
    one = parcel()
    with pytest.raises(Refused, match="request_body_limit"):
        await courier.deliver(one, MAIL + b"x" * (2 * 1024 * 1024), marker.commit)
    assert marker.calls == 0
    just = 2 * 1024 * 1024 - 2_000
    await courier.deliver(one, b"x" * just, marker.commit)
    assert len(kumo.to(one.recipient)[0].content) == just


async def test_a_limit_that_is_higher_here_than_there_is_named(
    http: httpx.AsyncClient, kumo: Kumo, marker: Marker
) -> None:
    courier = KumoCourier(http, KumoServer(kumo.url, body_limit=10_000_000))
    with pytest.raises(Refused, match="KUMOMTA_BODY_LIMIT"):
        await courier.deliver(parcel(), b"x" * (2 * 1024 * 1024), marker.commit)


REFUSED = {
    "kumo-550": "550 5.7.1 we don't send that",
    "kumo-bad-address": "expected an @",
    "kumo-http-400": "400",
    "kumo-http-422": "422",
}
DEFERRED = {
    "kumo-451": "451 4.7.1 not now$",
    "kumo-broken": "No space left",
    "kumo-too-old": "2026.05.12 or newer",
    "kumo-http-401": "KUMOMTA_USER",
    "kumo-http-403": "trusted_hosts",
    "kumo-http-404": "KUMOMTA_URL",
    "kumo-http-302": "Redirects are not followed",
    "kumo-http-429": "429",
    "kumo-http-500": "500",
    "kumo-http-503": "503",
}
UNKNOWN = {
    "kumo-http-502": "proxy",
    "kumo-http-504": "proxy",
    "kumo-http-204": "documents",
    "kumo-die": "did not confirm",
}


@pytest.mark.parametrize(
    ("asked", "kind", "sentence"),
    [
        *((asked, Refused, said) for asked, said in REFUSED.items()),
        *((asked, Deferred, said) for asked, said in DEFERRED.items()),
        *((asked, SendUnknown, said) for asked, said in UNKNOWN.items()),
    ],
)
async def test_what_an_answer_means(
    courier: KumoCourier, marker: Marker, asked: str, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence) as raised:
        await courier.deliver(parcel(asked), MAIL, marker.commit)
    assert type(raised.value) is kind
    assert marker.calls == 1
    if isinstance(raised.value, Refused | Deferred):
        # Nobody is suppressed for what KumoMTA, or the way to it, has to say.
        assert not classify(raised.value.response, str(raised.value)).suppresses


async def test_the_words_of_a_policy_are_a_response(courier: KumoCourier, marker: Marker) -> None:
    with pytest.raises(Refused) as refused:
        await courier.deliver(parcel("kumo-550"), MAIL, marker.commit)
    assert refused.value.response is not None
    assert (refused.value.response.code, refused.value.response.enhanced_code) == (550, "5.7.1")


async def test_an_answer_that_does_not_come_is_unknown_and_the_message_there_once(
    http: httpx.AsyncClient, kumo: Kumo, marker: Marker
) -> None:
    one = parcel("kumo-slow")
    courier = KumoCourier(http, KumoServer(kumo.url), seconds=0.3)
    with pytest.raises(SendUnknown, match="ReadTimeout"):
        await courier.deliver(one, MAIL, marker.commit)
    assert kumo.seen.count(one.recipient) == 1


async def test_nobody_there_is_no_attempt_that_may_have_been_one(
    http: httpx.AsyncClient, marker: Marker
) -> None:
    with socket.socket() as taken:
        # Bound and not listening: connections are refused.
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Deferred, match="can't be reached") as deferred:
            await KumoCourier(http, KumoServer(url)).deliver(parcel(), MAIL, marker.commit)
    assert marker.calls == 0
    assert url not in str(deferred.value)


async def test_a_connection_that_is_cut_in_the_middle_is_no_attempt_that_may_have_been_one(
    http: httpx.AsyncClient, marker: Marker
) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100_000)
        writer.transport.abort()

    # More than fits into the buffers of both sides: the end is not written yet.
    data, limit = b"x" * 30_000_000, 40_000_000
    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        courier = KumoCourier(http, KumoServer(url, body_limit=limit))
        with pytest.raises(Deferred, match="can't be reached"):
            await courier.deliver(parcel(), data, marker.commit)
    assert marker.calls == 0


async def test_its_login_is_sent_and_shown_nowhere(
    http: httpx.AsyncClient, kumo: Kumo, marker: Marker
) -> None:
    kumo.login = f"Basic {b64encode(b'mailroom:of-kumo').decode()}"
    try:
        settings = Settings.model_validate(
            {"kumomta_url": kumo.url, "kumomta_user": "mailroom", "kumomta_password": "of-kumo"}
        )
        server = kumo_server_of(settings)
        assert server is not None
        assert "of-kumo" not in repr(server)
        await KumoCourier(http, server).deliver(parcel(), MAIL, marker.commit)
        with pytest.raises(Deferred, match="KUMOMTA_PASSWORD"):
            await KumoCourier(http, KumoServer(kumo.url)).deliver(parcel(), MAIL, marker.commit)
    finally:
        kumo.login = None


async def test_no_more_requests_at_once_than_allowed(
    http: httpx.AsyncClient, kumo: Kumo, marker: Marker
) -> None:
    kumo.hurry.clear()
    courier = KumoCourier(http, KumoServer(kumo.url), connections=2, busy_seconds=0.2)
    slow = [parcel("kumo-slow") for _ in range(2)]
    under_way = [asyncio.create_task(courier.deliver(p, MAIL, marker.commit)) for p in slow]
    try:

        async def both_there() -> bool:
            return {p.recipient for p in slow} <= set(kumo.seen)

        await eventually(both_there)
        with pytest.raises(Busy):
            await courier.deliver(parcel(), MAIL, marker.commit)
        assert marker.calls == 2
    finally:
        kumo.hurry.set()
        await asyncio.gather(*under_way)
    await courier.deliver(parcel(), MAIL, marker.commit)
