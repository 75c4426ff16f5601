"""MAILROOM_OUTBOUND_ROUTE: which way messages go, and who says so when none is good."""

import traceback
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from smtp_world import MAIL, Marker, Told, Zone, guarded, name_server, nobody_there, parcel, running

from mailroom.adapters.couriers import courier_of, own_name
from mailroom.adapters.kumomta.courier import KumoCourier
from mailroom.adapters.settings import BadConfiguration, Settings, load_config_file
from mailroom.adapters.smtp.opening import Login
from mailroom.adapters.smtp.smarthost import Smarthost, smarthost_of
from mailroom.cli.findings import Level
from mailroom.cli.route_check import outbound_route
from mailroom.local.dev import local
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.routing import TlsPolicy, TlsSection
from mailroom.ports.outbound import Courier, Deferred, Refused

PASSWORD = "p4ss w@rd"


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, mailroom_config=Path("no-such.toml"), **given)


def way(route: str | None, section: OutboundSection | None = None, **more: Any) -> Courier:
    chosen = settings(mailroom_outbound_route=route, **more)
    return courier_of(chosen, section or OutboundSection(), httpx.AsyncClient())


# The words and the URLs


@pytest.mark.parametrize("route", [None, "catcher", "Catcher"])
async def test_without_a_route_messages_wait(route: str | None) -> None:
    marker = Marker()
    with pytest.raises(Deferred, match="MAILROOM_OUTBOUND_ROUTE is not set"):
        await way(route).deliver(parcel(), MAIL, marker)
    assert marker.claims == 0


async def test_a_smarthost_gets_everything() -> None:
    async with running(Told()) as server:
        courier = way(f"smtp://127.0.0.1:{server.port}", OutboundSection(hostname="us.example"))
        for recipient in ("john@example.com", "jane@example.org"):
            await courier.deliver(parcel(recipient), MAIL, Marker())
    assert (server.connections, len(server.mails)) == (1, 2)
    assert server.commands[0] == "EHLO us.example"


async def test_without_a_name_of_its_own_it_says_the_machines() -> None:
    async with running(Told()) as server:
        await way(f"smtp://127.0.0.1:{server.port}").deliver(parcel(), MAIL, Marker())
    assert server.commands[0] == f"EHLO {await own_name()}"


async def test_mx_asks_the_name_servers_of_mailroom_toml() -> None:
    server = Told(host="127.0.0.1")
    async with name_server(Zone()) as zone, running(server):
        zone.mx("example.com", "10 mx.example.com.")
        zone.host("mx.example.com", server.host)
        section = {"nameservers": [f"127.0.0.1:{zone.port}"], "port": server.port}
        with pytest.raises(Refused, match="allow_private"):
            await way("mx", OutboundSection(**section)).deliver(parcel(), MAIL, Marker())
        inside = OutboundSection(**section, allow_private=True)
        await way("mx", inside).deliver(parcel(), MAIL, Marker())
    assert len(server.mails) == 1


def test_kumomta() -> None:
    assert isinstance(way("kumomta", kumomta_url="http://127.0.0.1:8000"), KumoCourier)
    with pytest.raises(BadConfiguration, match="KUMOMTA_URL"):
        way("kumomta")


@pytest.mark.parametrize(
    ("route", "password", "host"),
    [
        ("smtp://relay.example", None, Smarthost("relay.example", 25, implicit=False)),
        ("smtps://Relay.Example/", None, Smarthost("relay.example", 465, implicit=True)),
        ("smtp://[::1]:2525", None, Smarthost("::1", 2525, implicit=False)),
        (
            "smtp://ada%40example.org:p4ss%20w%40rd@relay.example:587",
            None,
            Smarthost(
                "relay.example", 587, implicit=False, login=Login("ada@example.org", PASSWORD)
            ),
        ),
        (
            "smtp://ada:older@relay.example",
            PASSWORD,
            Smarthost("relay.example", 25, implicit=False, login=Login("ada", PASSWORD)),
        ),
    ],
)
def test_smarthosts(route: str, password: str | None, host: Smarthost) -> None:
    chosen = settings(mailroom_outbound_password=password)
    assert smarthost_of(route, chosen.mailroom_outbound_password) == host


@pytest.mark.parametrize(
    "route",
    [
        f"smtp://ada:{PASSWORD}@",
        f"smtp://ada:{PASSWORD}@relay.example:no-port",
        f"smtp://ada:{PASSWORD}@relay.example:99999",
        f"smtp://ada:{PASSWORD}@-relay-",
        f"smtp://ada:{PASSWORD}@[::1",
        f"smtp://ada:{PASSWORD}@relay.example/folder",
        f"smtp://:{PASSWORD}@relay.example",
        f"http://ada:{PASSWORD}@relay.example",
        f"ada:{PASSWORD}@relay.example",
        "smtp://ada@relay.example",
    ],
)
def test_a_route_that_is_none_is_named_without_its_password(route: str) -> None:
    with pytest.raises(BadConfiguration, match="MAILROOM_OUTBOUND_ROUTE") as raised:
        way(route)
    shown = "".join(traceback.format_exception(raised.value))
    assert "p4ss" not in shown


def test_secrets_are_not_shown() -> None:
    route = "smtp://ada:s3cret@relay.example"
    chosen = settings(mailroom_outbound_route=route, mailroom_outbound_password="s3cret")
    assert "s3cret" not in f"{chosen!r} {chosen.model_dump_json()} {smarthost_of(route, None)!r}"


# TLS


@pytest.mark.parametrize(
    ("route", "asked", "policy"),
    [
        ("smtp://relay.example", None, TlsPolicy.OPPORTUNISTIC),
        ("smtp://relay.example", TlsPolicy.NONE, TlsPolicy.NONE),
        ("smtp://relay.example", TlsPolicy.VERIFIED, TlsPolicy.VERIFIED),
        ("smtp://127.0.0.1", TlsPolicy.REQUIRED, TlsPolicy.NONE),
        ("smtps://relay.example", None, TlsPolicy.VERIFIED),
        ("smtps://relay.example", TlsPolicy.REQUIRED, TlsPolicy.REQUIRED),
        ("smtp://a:b@relay.example", None, TlsPolicy.VERIFIED),
        ("smtp://a:b@relay.example", TlsPolicy.NONE, TlsPolicy.VERIFIED),
        ("smtp://a:b@relay.example", TlsPolicy.REQUIRED, TlsPolicy.REQUIRED),
        ("smtp://a:b@127.0.0.1", None, TlsPolicy.VERIFIED),
    ],
)
def test_how_a_smarthost_is_spoken_to(
    route: str, asked: TlsPolicy | None, policy: TlsPolicy
) -> None:
    assert smarthost_of(route, None).policy(asked) is policy


def test_the_first_policy_that_fits(tmp_path: Path) -> None:
    file = tmp_path / "mailroom.toml"
    file.write_text(
        '[outbound]\nhostname = "mail.example.org"\nnameservers = ["[::1]:5353", "192.0.2.53"]\n'
        '[[outbound.tls]]\ndomain = "*.Example.com"\npolicy = "verified"\n'
        '[[outbound.tls]]\ndomain = "*"\npolicy = "required"\n'
    )
    section = load_config_file(file).outbound
    assert section.tls_of("a.example.com") is TlsPolicy.VERIFIED
    assert section.tls_of("example.com") is TlsPolicy.REQUIRED
    assert OutboundSection().tls_of("example.com") is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nameservers": ["dns.example"]}, "'dns.example' is no name server"),
        ({"nameservers": ["127.0.0.1:0"]}, "0 is no port"),
        ({"nameservers": ["127.0.0.1:99999"]}, "99999 is no port"),
        ({"hostname": "a b"}, "'a b' is no host name"),
        (
            {"tls": [TlsSection(domain="*", policy="none"), {"domain": "*", "policy": "some"}]},
            "tls",
        ),
        ({"port": 0}, "port"),
        ({"deadline": "11m"}, "more than 0 and 10m at most"),
    ],
)
def test_what_cannot_be_meant_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OutboundSection(**given)


# The local stack, and doctor


@pytest.mark.parametrize("route", [None, "catcher"])
async def test_the_local_stack_keeps_messages_in_its_outbox(
    route: str | None, tmp_path: Path
) -> None:
    async with running(Told()) as outbox:
        chosen = settings(mailroom_outbound_route=route, mailroom_outbound_password=PASSWORD)
        here = local(chosen, tmp_path, 8003, outbox.port)
        strict = OutboundSection(tls=[TlsSection(domain="*", policy="verified")])
        await courier_of(here, strict, httpx.AsyncClient()).deliver(parcel(), MAIL, Marker())
    assert len(outbox.mails) == 1


def test_the_local_stack_leaves_a_route_alone(tmp_path: Path) -> None:
    here = local(settings(mailroom_outbound_route="mx"), tmp_path, 8003, 1)
    assert here.mailroom_outbound_route
    assert here.mailroom_outbound_route.get_secret_value() == "mx"


async def test_doctor_says_that_messages_wait() -> None:
    assert (await outbound_route(settings())).level is Level.OK
    found = await outbound_route(settings(db_host="db.example"))
    assert (found.level, "messages wait" in found.finding) == (Level.WARNING, True)


async def test_doctor_asks_the_smarthost() -> None:
    async with running(Told()) as server:
        route = f"smtp://127.0.0.1:{server.port}"
        found = await outbound_route(settings(mailroom_outbound_route=route))
        assert (found.level, found.finding) == (
            Level.OK,
            f"127.0.0.1:{server.port} answers",
        )
        await server.gone.wait()
    assert server.verbs == ["EHLO"]
    with nobody_there() as port:
        route = f"smtp://127.0.0.1:{port}"
        found = await outbound_route(settings(mailroom_outbound_route=route))
    assert found.level is Level.FAILED
    async with guarded() as open_line:
        route = f"smtp://ada@127.0.0.1:{open_line.port}"
        chosen = settings(mailroom_outbound_route=route, mailroom_outbound_password=PASSWORD)
        found = await outbound_route(chosen)
    assert (found.level, open_line.logins) == (Level.FAILED, [])
    assert "4.7.4" in found.finding


async def test_doctor_reads_the_route() -> None:
    found = await outbound_route(settings(mailroom_outbound_route="smtp://u:s3cret@h:x"))
    assert (found.level, "s3cret" in f"{found!r}") == (Level.FAILED, False)
    found = await outbound_route(settings(mailroom_outbound_route="kumomta"))
    assert (found.level, "KUMOMTA_URL" in found.finding) == (Level.FAILED, True)
