"""To the mail servers that the DNS names (RFC 5321 §5.1), whatever it says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from itertools import count
from typing import Any

import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smtp_world import MAIL, Marker, Told, Zone, name_server, network, parcel, running

from mailroom.adapters.smtp.courier import SmtpCourier
from mailroom.adapters.smtp.opening import Terms
from mailroom.adapters.smtp.resolver import LONGEST_NO, LONGEST_YES, Dns
from mailroom.adapters.smtp.sites import MOST_HOSTS, MOST_SERVERS, MxSites
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.hosts import (
    Exchange,
    address_of,
    host_name,
    in_order,
    literal,
    may_be_sent_to,
)
from mailroom.models.outbound.parcel import Taken
from mailroom.models.outbound.routing import TlsPolicy
from mailroom.ports.outbound import Deferred, Refused

OURSELVES = "mail.sender.example"


class World:
    """A network of its own, its name server, and a courier that asks that one."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.net = network()
        self.lookup_seconds = 10.0

    def server(self, number: int, **how: Any) -> Told:
        """It is also mx{number}.example.com."""
        told = Told(host=f"{self.net}.{number}", **how)
        self.zone.host(f"mx{number}.example.com", told.host)
        return told

    def sites(self, port: int = 25, **more: Any) -> MxSites:
        section = OutboundSection(**{"allow_private": True, "port": port, **more})
        dns = Dns([f"127.0.0.1:{self.zone.port}"], self.lookup_seconds)
        return MxSites(dns, section, OURSELVES)

    def courier(self, port: int, **more: Any) -> SmtpCourier:
        section = OutboundSection(**{"allow_private": True, "port": port, **more})
        terms = Terms(OURSELVES, TlsPolicy.OPPORTUNISTIC, stranger=True)
        return SmtpCourier(self.sites(port, **more), section, terms)

    async def deliver(self, recipient: str, port: int, **more: Any) -> Taken:
        return await self.courier(port, **more).deliver(parcel(recipient), MAIL, Marker())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with name_server(Zone()) as zone:
        yield World(zone)


# Which server


async def test_the_best_server_gets_it(world: World) -> None:
    best, backup = world.server(1), world.server(2)
    world.zone.mx("example.com", "20 mx2.example.com.", "10 mx1.example.com.")
    async with running(best, backup):
        taken = await world.deliver("john@example.com", best.port)
    assert (taken.response.code, taken.response.enhanced_code) == (250, "2.0.0")
    assert (len(best.mails), len(backup.mails)) == (1, 0)


@pytest.mark.parametrize("chances", [(0.1, 0.9), (0.9, 0.1)])
def test_equals_come_in_an_order_of_chance(chances: tuple[float, float]) -> None:
    exchanges = [Exchange(preference=10, name=f"{name}.example.") for name in "ab"]
    first = "a.example" if chances[0] < chances[1] else "b.example"
    assert in_order(exchanges, OURSELVES, iter(chances).__next__)[0] == first


@pytest.mark.parametrize(
    "greeting", ["554 no mail from you", "421 later", "521 never any mail", "drop"]
)
async def test_the_next_server_where_one_greets_with_a_refusal(world: World, greeting: str) -> None:
    first, second = world.server(1, answers={"HELLO": greeting}), world.server(2)
    world.zone.mx("example.com", "10 mx1.example.com.", "20 mx2.example.com.")
    async with running(first, second):
        await world.deliver("john@example.com", first.port)
    assert (first.connections, len(second.mails)) == (1, 1)


async def test_the_next_server_where_one_is_down(world: World) -> None:
    world.server(1)
    second = world.server(2)
    world.zone.mx("example.com", "10 mx1.example.com.", "20 mx2.example.com.")
    async with running(second):
        await world.deliver("john@example.com", second.port)
    assert len(second.mails) == 1


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
async def test_two_servers_are_asked_whether_they_want_it_now(world: World, verb: str) -> None:
    servers = [world.server(n, answers={verb: "451 4.7.1 greylisted"}) for n in (1, 2, 3)]
    world.zone.mx("example.com", *(f"{n}0 mx{n}.example.com." for n in (1, 2, 3)))
    async with running(*servers):
        with pytest.raises(Deferred, match="greylisted") as raised:
            await world.deliver("john@example.com", servers[0].port)
    assert raised.value.response is not None
    assert [server.connections for server in servers] == [1, 1, 0]


async def test_after_the_dot_no_other_server_is_asked(world: World) -> None:
    first, second = world.server(1, answers={"DOT": "451 4.3.0 later"}), world.server(2)
    world.zone.mx("example.com", "10 mx1.example.com.", "20 mx2.example.com.")
    async with running(first, second):
        with pytest.raises(Deferred, match=r"4\.3\.0"):
            await world.deliver("john@example.com", first.port)
    assert second.connections == 0


async def test_a_refusal_ends_it(world: World) -> None:
    first, second = world.server(1, answers={"RCPT": "550 5.1.1 nobody"}), world.server(2)
    world.zone.mx("example.com", "10 mx1.example.com.", "20 mx2.example.com.")
    async with running(first, second):
        with pytest.raises(Refused, match=r"5\.1\.1"):
            await world.deliver("john@example.com", first.port)
    assert second.connections == 0


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [("554 5.7.1 your address is listed", Deferred), ("521 5.3.2 no mail here", Refused)],
)
async def test_a_refusal_instead_of_a_greeting_is_about_us(
    world: World, greeting: str, kind: type[Exception]
) -> None:
    """Only 521 (RFC 7504) says that there will never be mail."""
    server = world.server(1, answers={"HELLO": greeting})
    world.zone.mx("example.com", "10 mx1.example.com.")
    async with running(server):
        with pytest.raises(kind) as raised:
            await world.deliver("john@example.com", server.port)
    assert greeting[:3] in str(raised.value)


async def test_a_domain_without_mx_is_its_own_server(world: World) -> None:
    server = Told(host=f"{world.net}.7")
    world.zone.host("example.org", server.host)
    async with running(server):
        await world.deliver("john@example.org", server.port)
    assert len(server.mails) == 1


async def test_ipv4_where_ipv6_leads_nowhere(world: World) -> None:
    server = world.server(1)
    world.zone.host("mx1.example.com", "::1")
    world.zone.mx("example.com", "10 mx1.example.com.")
    async with running(server):
        await world.deliver("john@example.com", server.port)
    assert len(server.mails) == 1


async def test_an_alias_is_followed(world: World) -> None:
    server = world.server(1)
    world.zone.records["www.example.com", "CNAME"] = ["example.com."]
    world.zone.mx("example.com", "10 mx1.example.com.")
    async with running(server):
        await world.deliver("john@www.example.com", server.port)
    assert len(server.mails) == 1


async def test_a_domain_beyond_ascii(world: World) -> None:
    server = world.server(1)
    world.zone.mx("xn--mller-kva.example", "10 mx1.example.com.")
    async with running(server):
        await world.deliver("john@MÜLLER.example", server.port)
    assert "RCPT TO:<john@xn--mller-kva.example>" in server.commands


async def test_a_literal_address(world: World) -> None:
    server = Told(host=f"{world.net}.9")
    async with running(server):
        await world.deliver(f"john@[{server.host}]", server.port)
    assert (len(server.mails), world.zone.asked) == (1, {})


async def test_a_routing_domain_outweighs_the_recipients(world: World) -> None:
    server = world.server(1)
    world.zone.mx("relay.example", "10 mx1.example.com.")
    async with running(server):
        courier = world.courier(server.port)
        letter = parcel("john@nowhere.example", routing_domain="relay.example")
        await courier.deliver(letter, MAIL, Marker())
    assert "RCPT TO:<john@nowhere.example>" in server.commands


# What the DNS may say


async def test_a_null_mx_takes_no_mail(world: World) -> None:
    world.zone.mx("example.com", "0 .")
    with pytest.raises(Refused, match=r"5\.1\.10"):
        await world.deliver("john@example.com", 25)


async def test_a_domain_that_does_not_exist(world: World) -> None:
    with pytest.raises(Refused, match=r"5\.1\.2"):
        await world.deliver("john@nowhere.example", 25)


@pytest.mark.parametrize("failure", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, None])
async def test_a_dns_that_does_not_know_defers(
    world: World, failure: dns.rcode.Rcode | None
) -> None:
    world.zone.failures["example.com"] = failure
    if failure is None:
        world.lookup_seconds = 0.3
    with pytest.raises(Deferred, match=r"4\.4\.3"):
        await world.deliver("john@example.com", 25)
    world.zone.mx("example.org", "10 example.com.")
    with pytest.raises(Deferred, match=r"4\.4\.3"):
        await world.deliver("john@example.org", 25)


async def test_a_host_that_the_dns_does_not_know_stops_no_other(world: World) -> None:
    server = world.server(2)
    world.zone.failures["mx1.example.com"] = dns.rcode.SERVFAIL
    world.zone.mx("example.com", "10 mx1.example.com.", "20 mx2.example.com.")
    async with running(server):
        await world.deliver("john@example.com", server.port)
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    "exchange", ["10 nowhere.example.", "10 192.0.2.1.", r"10 a\032b.example.", "10 _a.example."]
)
async def test_servers_that_are_none(world: World, exchange: str) -> None:
    world.zone.mx("example.com", exchange)
    with pytest.raises(Refused, match=r"5\.4\.4"):
        await world.deliver("john@example.com", 25)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.5", "169.254.169.254", "::1", "0.0.0.0"])
async def test_nobody_elses_dns_chooses_a_server_of_ours(world: World, address: str) -> None:
    world.zone.host("mx.example.com", address)
    world.zone.mx("example.com", "10 mx.example.com.")
    server = Told()
    async with running(server):
        with pytest.raises(Refused, match="allow_private"):
            await world.deliver("john@example.com", server.port, allow_private=False)
        with pytest.raises(Refused, match="allow_private"):
            await world.deliver("john@[127.0.0.1]", server.port, allow_private=False)
    assert server.connections == 0


async def test_a_domain_with_a_thousand_servers_gets_a_few(world: World) -> None:
    world.zone.mx("example.com", *(f"10 h{n}.example.com." for n in range(1_000)))
    for n in range(1_000):
        world.zone.host(f"h{n}.example.com", f"127.8.{n // 250}.{n % 250 + 1}")
    sites = world.sites()
    servers = await sites.servers(await sites.site_of("example.com"))
    assert 0 < len(servers) <= MOST_SERVERS
    assert world.zone.asked.total() == 1 + 2 * MOST_HOSTS


async def test_mail_does_not_come_back_to_us(world: World) -> None:
    """RFC 5321 §5.1: we are the second one, so the third is no better."""
    first = world.server(1, answers={"HELLO": "421 later"})
    third = world.server(3)
    world.zone.host(OURSELVES, f"{world.net}.2")
    world.zone.mx("example.com", "10 mx1.example.com.", f"20 {OURSELVES}.", "30 mx3.example.com.")
    async with running(first, third):
        with pytest.raises(Deferred, match="421"):
            await world.deliver("john@example.com", first.port)
        world.zone.mx("example.org", f"10 {OURSELVES}.", "30 mx3.example.com.")
        with pytest.raises(Refused, match=r"5\.4\.6"):
            await world.deliver("john@example.org", first.port)
    assert third.connections == 0


async def test_a_server_that_calls_itself_as_we_do_is_ourselves(world: World) -> None:
    server = world.server(1, answers={"EHLO": f"250 {OURSELVES.upper()} hello"})
    world.zone.mx("example.com", "10 mx1.example.com.")
    async with running(server):
        with pytest.raises(Refused, match=r"5\.4\.6"):
            await world.deliver("john@example.com", server.port)
    assert server.verbs == ["EHLO"]


async def test_answers_are_kept_as_long_as_they_say(world: World) -> None:
    server = world.server(1)
    world.zone.mx("example.com", "10 mx1.example.com.")
    async with running(server):
        courier = world.courier(server.port)
        for _ in range(3):
            await courier.deliver(parcel(), MAIL, Marker())
        assert world.zone.asked["example.com", "MX"] == 1
        world.zone.ttl = 0
        courier = world.courier(server.port)
        for _ in range(3):
            await courier.deliver(parcel(), MAIL, Marker())
    assert world.zone.asked["example.com", "MX"] == 4


async def test_no_answer_is_kept_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A yes and a no for 68 years."""
    world.zone.ttl = (1 << 31) - 1
    world.zone.mx("example.com", "10 mx1.example.com.")
    world.zone.host("alone.example", "192.0.2.1")
    clock = count(1_000_000.0)
    now = [next(clock)]
    monkeypatch.setattr("time.time", lambda: now[0])
    sites = world.sites()
    for domain, longest in (("example.com", LONGEST_YES), ("alone.example", LONGEST_NO)):
        for passed, asked in ((0, 1), (longest - 10, 1), (20, 2)):
            now[0] += passed
            await sites.site_of(domain)
            assert world.zone.asked[domain, "MX"] == asked


# Connections


async def test_domains_with_the_same_servers_share_connections(world: World) -> None:
    server = world.server(1)
    for domain in ("a.example", "b.example"):
        world.zone.mx(domain, "10 mx1.example.com.")
    async with running(server):
        courier = world.courier(server.port)
        for domain in ("a.example", "b.example", "a.example"):
            await courier.deliver(parcel(f"john@{domain}"), MAIL, Marker())
    assert (server.connections, len(server.mails)) == (1, 3)


async def test_a_slow_destination_does_not_hold_up_others(world: World) -> None:
    slow, quick = world.server(1, answers={"RCPT": "silence"}), world.server(2)
    world.zone.mx("slow.example", "10 mx1.example.com.")
    world.zone.mx("quick.example", "10 mx2.example.com.")
    async with running(slow, quick):
        courier = world.courier(slow.port, connections=2)

        def deliver(recipient: str) -> Awaitable[Taken]:
            return courier.deliver(parcel(recipient), MAIL, Marker())

        waiting = [asyncio.ensure_future(deliver("john@slow.example")) for _ in range(2)]
        for _ in range(5):
            await asyncio.wait_for(deliver("john@quick.example"), 5)
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert len(quick.mails) == 5


# Rules


@given(st.text(max_size=80))
def test_a_host_name_is_one_for_the_dns(given_name: str) -> None:
    name = host_name(given_name)
    if name is not None:
        assert name.isascii()
        assert not set(name) & set(" \t\r\n\\/@[]:%_")
        assert not name.rpartition(".")[2].isdecimal()


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("MX1.Example.COM.", "mx1.example.com"),
        ("mx", "mx"),
        ("1.2.3.4", None),
        (".", None),
        ("", None),
        ("-a.example", None),
        ("a..example", None),
        ("a" * 64 + ".example", None),
        (".".join(["a" * 60] * 5), None),
        ("ａ.example", None),
    ],
)
def test_host_names(given_name: str, name: str | None) -> None:
    assert host_name(given_name) == name


@pytest.mark.parametrize(
    ("domain", "address"),
    [
        ("[192.0.2.1]", "192.0.2.1"),
        ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]", None),
        ("[192.0.2]", None),
        ("192.0.2.1", None),
        ("[]", None),
    ],
)
def test_literals(domain: str, address: str | None) -> None:
    found = literal(domain)
    assert (str(found) if found else None) == address


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("fe80::1", False),
        ("::ffff:127.0.0.1", False),
        ("224.0.0.1", False),
        ("ff02::1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert may_be_sent_to(address_of(address), allow_private=False) is public
