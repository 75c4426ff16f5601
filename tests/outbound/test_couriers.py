"""Outbound messages by SMTP: handed over once, whatever the server does."""

import asyncio
import ssl
import time
from itertools import chain, product, repeat
from typing import Any

import pytest
from smtp_world import (
    DROP,
    MAIL,
    SENDER,
    SILENCE,
    Marker,
    Told,
    guarded,
    nobody_there,
    parcel,
    running,
)
from tls_world import Authority, authority_for

from mailroom.adapters.smtp import connections
from mailroom.adapters.smtp.courier import SmtpCourier
from mailroom.adapters.smtp.opening import Login, Terms
from mailroom.adapters.smtp.sites import OneSite
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.parcel import Taken
from mailroom.models.outbound.routing import TlsPolicy
from mailroom.ports import SendUnknown
from mailroom.ports.outbound import Busy, Deferred, Refused

OURSELVES = "mail.sender.example"
LARGE = b"Subject: Large\r\n\r\n" + b"x" * 98 * 100 + b"\r\n" + (b"y" * 998 + b"\r\n") * 16_000


def courier(
    port: int,
    policy: TlsPolicy = TlsPolicy.NONE,
    *,
    host: str = "127.0.0.1",
    verifying: ssl.SSLContext | None = None,
    implicit: bool = False,
    login: Login | None = None,
    dot_seconds: float = 30,
    **section: Any,
) -> SmtpCourier:
    return SmtpCourier(
        OneSite(host, port, policy),
        OutboundSection(**section),
        Terms(OURSELVES, policy, implicit=implicit, login=login),
        verifying,
        dot_seconds,
    )


async def send(way: SmtpCourier, recipient: str = "john@example.com", data: bytes = MAIL) -> Taken:
    return await way.deliver(parcel(recipient), data, Marker())


# What servers answer


async def test_a_message_is_handed_over_with_its_envelope() -> None:
    marker = Marker()
    async with running(Told()) as server:
        taken = await courier(server.port).deliver(parcel(), MAIL, marker)
    response = taken.response
    assert (response.code, response.enhanced_code, response.message) == (
        250,
        "2.0.0",
        "2.0.0 taken",
    )
    assert (taken.relayed, marker.claims) == (False, 1)
    assert server.commands[:4] == [
        f"EHLO {OURSELVES}",
        f"MAIL FROM:<{SENDER}>",
        "RCPT TO:<john@example.com>",
        "DATA",
    ]
    assert server.mails == [MAIL + b".\r\n"]


async def test_a_bounce_has_no_sender() -> None:
    async with running(Told()) as server:
        await courier(server.port).deliver(parcel(sender=""), MAIL, Marker())
    assert "MAIL FROM:<>" in server.commands


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize(
    ("answer", "kind", "code", "enhanced"),
    [
        ("421 4.3.2 going down", Deferred, 421, "4.3.2"),
        ("451 try later", Deferred, 451, None),
        ("452-4.2.2 mailbox full\n452 4.2.2 really", Deferred, 452, "4.2.2"),
        ("550 5.1.1 no such person", Refused, 550, "5.1.1"),
        ("550 nobody here", Refused, 550, None),
        # RFC 3463 decides where the classes contradict each other.
        ("554 4.7.1 try later", Deferred, 554, "4.7.1"),
        # A success beside a refusal says nothing, and neither do a version or an address.
        ("550 2.1.5 fine", Refused, 550, None),
        ("550 5.1.1.1 is listed", Refused, 550, None),
        ("550 see 4.7.1 of our policy", Refused, 550, None),
    ],
)
async def test_a_refusal_is_kept_in_its_parts(
    verb: str, answer: str, kind: type[Refused | Deferred], code: int, enhanced: str | None
) -> None:
    marker = Marker()
    async with running(Told(answers={verb: answer})) as server:
        with pytest.raises(kind) as raised:
            await courier(server.port).deliver(parcel(), MAIL, marker)
    response = raised.value.response
    assert response is not None
    assert (response.code, response.enhanced_code) == (code, enhanced)
    assert answer.splitlines()[0][4:] in response.message
    assert f"answered {code}" in str(raised.value)
    assert marker.claims == (verb == "DOT")


@pytest.mark.parametrize(
    ("verb", "how"),
    [
        *product(["HELLO", "MAIL", "RCPT", "DATA"], [DROP, "what?"]),
        *product(["HELLO", "MAIL", "RCPT"], ["354 go on"]),
        *product(["HELLO", "DATA"], ["250 OK"]),
    ],
)
async def test_before_the_dot_nothing_was_sent(verb: str, how: str) -> None:
    async with running(Told(answers={verb: how})) as server:
        with pytest.raises(Deferred) as raised:
            await send(courier(server.port))
    assert raised.value.response is None
    assert server.mails == []


@pytest.mark.parametrize("how", [DROP, SILENCE, "what?", "354 go on"])
async def test_without_an_answer_to_the_dot_nobody_knows(how: str) -> None:
    """RFC 1047."""
    marker = Marker()
    seconds = 0.3 if how == SILENCE else 30
    async with running(Told(answers={"DOT": how})) as server:
        with pytest.raises(SendUnknown):
            await courier(server.port, dot_seconds=seconds).deliver(parcel(), MAIL, marker)
    assert (marker.claims, len(server.mails)) == (1, 1)


@pytest.mark.parametrize("error", [TimeoutError("the store"), OSError("the store"), SendUnknown()])
async def test_without_its_marker_nothing_is_sent(error: Exception) -> None:
    async def refuse() -> None:
        raise error

    async with running(Told()) as server:
        way = courier(server.port)
        with pytest.raises(type(error)) as raised:
            await way.deliver(parcel(), MAIL, Marker(refuse))
        await server.gone.wait()
        assert raised.value is error
        assert server.mails == []
        await send(way)
    assert (server.connections, len(server.mails)) == (2, 1)


async def test_a_server_that_is_not_there() -> None:
    with nobody_there() as port, pytest.raises(Deferred, match=r"^4\.4\.1 127\.0\.0\.1"):
        await send(courier(port))


@pytest.mark.parametrize(
    "recipient",
    [
        "john@example.com>\r\nRCPT TO:<jane@example.com",
        "john@example.com, jane@example.com",
        "john@example.com> NOTIFY=NEVER",
        "John <john@example.com>",
        "john>jane@example.com",
        "john smith@example.com",
        '"john"smith"@example.com',
        "john@exam ple.com",
        "john@example.com\0",
        "john\u2028@example.com",
        "nobody",
        "",
    ],
)
async def test_an_address_is_one_address(recipient: str) -> None:
    async with running(Told()) as server:
        with pytest.raises(Refused, match=r"5\.1\.3"):
            await send(courier(server.port), recipient)
    assert server.connections == 0


@pytest.mark.parametrize(
    "recipient",
    [
        '"john > smith"@example.com',
        r'"a\"b"@example.com',
        "o'hara+x=y@example.com",
        "a@[192.0.2.1]",
    ],
)
async def test_addresses_that_look_odd(recipient: str) -> None:
    async with running(Told()) as server:
        await send(courier(server.port), recipient)
    assert f"RCPT TO:<{recipient}>" in server.commands


async def test_addresses_beyond_ascii_need_a_server_that_takes_them() -> None:
    async with guarded() as server:
        with pytest.raises(Refused, match=r"5\.6\.7"):
            await send(courier(server.port), "jörg@example.com")
        await send(courier(server.port), "joerg@müller.example")
    assert [recipient for _, recipient, _ in server.envelopes] == ["joerg@xn--mller-kva.example"]
    async with guarded(utf8=True) as server:
        await send(courier(server.port), "jörg@müller.example")
    assert [recipient for _, recipient, _ in server.envelopes] == ["jörg@xn--mller-kva.example"]
    assert "SMTPUTF8" in server.options


async def test_eight_bits_are_announced() -> None:
    async with guarded() as server:
        await send(courier(server.port), data="Subject: Hi\r\n\r\nGrüße\r\n".encode())
        assert server.options == ["BODY=8BITMIME"]
        await send(courier(server.port))
        assert server.options == []


async def test_what_is_larger_than_the_server_takes_is_not_begun() -> None:
    async with guarded(most=1_000) as server:
        with pytest.raises(Refused, match=r"5\.3\.4 .* takes 1 KB at most"):
            await send(courier(server.port), data=b"xx\r\n" * 600)
    assert server.envelopes == []


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0", "SIZE ten", "SIZE " + "9" * 5_000])
async def test_a_size_that_is_no_limit(size: str) -> None:
    async with running(Told(answers={"EHLO": f"250-told\n250 {size}"})) as server:
        await send(courier(server.port))
    assert len(server.mails) == 1


# Connections


async def test_messages_one_after_the_other_share_a_connection() -> None:
    async with running(Told()) as server:
        way = courier(server.port)
        for _ in range(3):
            await send(way)
    assert (server.connections, len(server.mails)) == (1, 3)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
async def test_after_a_refusal_the_connection_serves_the_next_message(verb: str) -> None:
    once = chain(["550 5.7.1 no"], repeat("354 go on" if verb == "DATA" else "250 OK"))
    async with running(Told(answers={verb: once})) as server:
        way = courier(server.port)
        with pytest.raises(Refused):
            await send(way)
        await send(way)
    assert server.connections == 1
    assert server.verbs.count("RSET") == 1


@pytest.mark.parametrize(
    ("verb", "then"), [("MAIL", "421 enough"), ("RCPT", "421 enough"), ("MAIL", DROP)]
)
async def test_a_server_that_has_enough_of_a_connection_gets_another(verb: str, then: str) -> None:
    answers = chain(["250 OK", then], repeat("250 OK"))
    async with running(Told(answers={verb: answers})) as server:
        way = courier(server.port)
        for _ in range(2):
            await send(way)
    assert (server.connections, len(server.mails)) == (2, 2)


async def test_an_idle_connection_is_left_politely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.05)
    async with running(Told()) as server:
        way = courier(server.port)
        await send(way)
        await asyncio.wait_for(server.gone.wait(), 10)
    assert server.verbs[-1] == "QUIT"


async def test_a_connection_that_is_used_again_is_idle_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.05)
    async with running(Told()) as server:
        way = courier(server.port)
        await send(way)
        monkeypatch.setattr(connections, "IDLE_SECONDS", 60)
        await send(way)
        await asyncio.sleep(0.1)  # till after the end of the first idleness
        await send(way)
    assert (server.connections, len(server.mails)) == (1, 3)


async def test_an_old_connection_is_left_between_two_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "LONGEST_USE_SECONDS", 0)
    async with running(Told()) as server:
        way = courier(server.port)
        for _ in range(2):
            await send(way)
    assert server.connections == 2


async def test_no_more_connections_than_may_be_and_no_more_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 60)
    async with running(Told(go_on=asyncio.Event())) as server:
        way = courier(server.port, connections=3)
        tasks = [asyncio.create_task(send(way)) for _ in range(10)]
        done, _ = await asyncio.wait(tasks, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 4:
            more, _ = await asyncio.wait(set(tasks) - done, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert all(isinstance(task.exception(), Busy) for task in done)
        assert server.go_on is not None
        server.go_on.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(one, Taken) for one in ended) == 6
    assert sum(isinstance(one, Busy) for one in ended) == 4
    assert server.most_at_once == 3


async def test_nobody_waits_for_a_connection_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.05)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        begun.set()
        await go_on.wait()

    async with running(Told()) as server:
        way = courier(server.port, connections=1)
        first = asyncio.create_task(way.deliver(parcel(), MAIL, Marker(hold)))
        await begun.wait()
        with pytest.raises(Busy, match="for a while"):
            await send(way)
        go_on.set()
        await first
        await send(way)
    assert len(server.mails) == 2


# Slow servers


async def test_a_server_with_a_byte_a_second_is_left_in_time() -> None:
    async with running(Told(pause=0.05)) as server:
        began = time.monotonic()
        with pytest.raises(Deferred, match=r"4\.4\.2 .* did not have it in 0\.5 s"):
            await send(courier(server.port, deadline="500ms"))
        assert time.monotonic() - began < 5
    assert server.mails == []


async def test_a_server_that_does_not_read_never_gets_the_dot() -> None:
    """What still waits in this machine is not sent, so nothing is unknown."""
    marker = Marker()
    async with running(Told(reads_body=False)) as server:
        way = courier(server.port, deadline="500ms")
        with pytest.raises(Deferred, match=r"4\.4\.2"):
            await way.deliver(parcel(), LARGE, marker)
    assert (marker.claims, server.mails) == (0, [])


async def test_a_large_message_arrives_whole() -> None:
    async with running(Told()) as server:
        await send(courier(server.port), data=LARGE)
    assert server.mails == [LARGE + b".\r\n"]


async def test_the_answer_to_the_dot_may_take_longer_than_the_deadline() -> None:
    async with running(Told(go_on=asyncio.Event())) as server:

        async def overdue() -> None:
            assert server.go_on is not None
            asyncio.get_running_loop().call_later(1.2, server.go_on.set)

        way = courier(server.port, deadline="1s")
        await way.deliver(parcel(), MAIL, Marker(overdue))
    assert len(server.mails) == 1


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority_for("IP:127.0.0.1", tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority_for("DNS:mx.elsewhere.example", tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("policy", [TlsPolicy.OPPORTUNISTIC, TlsPolicy.REQUIRED])
async def test_encrypted_whoever_it_is(policy: TlsPolicy, elsewhere: Authority) -> None:
    async with guarded(starttls=elsewhere.server) as server:
        await send(courier(server.port, policy))
    assert [encrypted for *_, encrypted in server.envelopes] == [True]


async def test_never_encrypted_where_that_is_the_policy(authority: Authority) -> None:
    async with guarded(starttls=authority.server) as server:
        await send(courier(server.port, TlsPolicy.NONE))
    assert [encrypted for *_, encrypted in server.envelopes] == [False]


async def test_the_certificate_of_the_right_server(authority: Authority) -> None:
    async with guarded(starttls=authority.server) as server:
        await send(courier(server.port, TlsPolicy.VERIFIED, verifying=authority.trusting))
    assert [encrypted for *_, encrypted in server.envelopes] == [True]


async def test_another_certificate_gets_nothing(authority: Authority, elsewhere: Authority) -> None:
    for its, trusted in ((authority, None), (elsewhere, elsewhere.trusting)):
        async with guarded(starttls=its.server) as server:
            with pytest.raises(Deferred, match=r"4\.7\.5 The certificate of 127\.0\.0\.1"):
                await send(courier(server.port, TlsPolicy.VERIFIED, verifying=trusted))
        assert server.envelopes == []


@pytest.mark.parametrize("policy", [TlsPolicy.REQUIRED, TlsPolicy.VERIFIED])
async def test_nothing_in_the_clear_where_tls_is_required(policy: TlsPolicy) -> None:
    async with running(Told()) as server:
        with pytest.raises(Deferred, match=r"4\.7\.4 .* offers no STARTTLS"):
            await send(courier(server.port, policy))
    assert "MAIL" not in server.verbs


@pytest.mark.parametrize("how", ["454 4.7.0 not now", "220 go on", DROP])
async def test_tls_that_fails(how: str) -> None:
    """In the clear where the policy allows it, over a connection of its own."""
    ehlo = "250-told\n250 STARTTLS"
    async with running(Told(answers={"EHLO": ehlo, "STARTTLS": how})) as server:
        await send(courier(server.port, TlsPolicy.OPPORTUNISTIC))
        assert (server.connections, len(server.mails)) == (2, 1)
        with pytest.raises(Deferred, match=r"4\.7\.5"):
            await send(courier(server.port, TlsPolicy.REQUIRED))
    assert len(server.mails) == 1


# Logins

LOGIN = Login("mailroom", "s3cret")


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_login_over_tls(implicit: bool, authority: Authority) -> None:
    tls = {"implicit" if implicit else "starttls": authority.server}
    async with guarded(**tls) as server:
        policy, trusted = TlsPolicy.VERIFIED, authority.trusting
        way = courier(server.port, policy, implicit=implicit, login=LOGIN, verifying=trusted)
        await send(way)
    assert (server.logins, len(server.envelopes)) == ([b"s3cret"], 1)


@pytest.mark.parametrize("policy", list(TlsPolicy))
async def test_a_password_never_goes_over_an_open_line(policy: TlsPolicy) -> None:
    async with guarded() as server:
        with pytest.raises(Deferred, match=r"4\.7\.4"):
            await send(courier(server.port, policy, login=LOGIN))
    assert (server.logins, server.envelopes) == ([], [])


async def test_a_refused_login_bounces_nothing_and_shows_no_password(authority: Authority) -> None:
    async with guarded(starttls=authority.server) as server:
        wrong = Login("mailroom", "wr0ng")
        with pytest.raises(Deferred, match=r"refused our login \(535\)") as raised:
            await send(courier(server.port, TlsPolicy.REQUIRED, login=wrong))
    assert server.envelopes == []
    assert "wr0ng" not in f"{raised.value!r} {raised.value.__cause__!r} {wrong!r}"
