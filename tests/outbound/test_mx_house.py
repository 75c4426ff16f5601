"""From a submission to the mail server that the DNS names, through the whole house."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from dns.rcode import SERVFAIL
from house import TOKEN, House, address_of, bridge_on, house_on, settings_for
from outbound_world import Outbound
from smtp_world import Told, Zone, name_server, network, running
from sqlalchemy import URL
from temporalio.testing import WorkflowEnvironment
from world import Gateway, Sink

from mailroom.models.outbound.words import BounceType, MessageQueueStatus

S = MessageQueueStatus


@dataclass
class Internet:
    """A network with a name server, and two mail servers of which the first is not at home."""

    zone: Zone
    backup: Told

    @property
    def domain(self) -> str:
        return "there.example"


@pytest.fixture(scope="module")
async def internet() -> AsyncIterator[Internet]:
    net = network()
    backup = Told(host=f"{net}.2")
    async with name_server(Zone()) as zone, running(backup):
        zone.host("mx1.there.example", f"{net}.1")
        zone.host("mx2.there.example", backup.host)
        zone.mx("there.example", "10 mx1.there.example.", "20 mx2.there.example.")
        zone.mx("closed.example", "0 .")
        yield Internet(zone, backup)


@pytest.fixture(scope="module")
async def mx_house(
    own_env: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    internet: Internet,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("mx")
    (folder / "mailroom.toml").write_text(f"""
[outbound]
hostname = "mailroom.test"
port = {internet.backup.port}
nameservers = ["127.0.0.1:{internet.zone.port}"]
allow_private = true
""")
    settings = settings_for(
        folder,
        gateway,
        sink,
        temporal_address=address_of(own_env),
        mailroom_outbound_route="mx",
    )
    async with house_on(own_env, settings, database, gateway, sink) as running_house:
        yield running_house


@pytest.fixture
async def outbound(mx_house: House, marker: str) -> AsyncIterator[Outbound]:
    async with bridge_on(mx_house.context) as http:
        http.headers = httpx.Headers({"Authorization": f"Bearer {TOKEN}"})
        yield Outbound(mx_house, http, marker)


async def test_the_server_that_is_at_home_gets_the_mail(
    outbound: Outbound, internet: Internet
) -> None:
    id = await outbound.submit(recipient=f"john+{outbound.marker}@{internet.domain}")
    item = await outbound.ended(id)
    assert (item.status, item.num_attempts) == (S.DELIVERED, 1)
    [mail] = internet.backup.mails
    assert f"Subject: Hello {outbound.marker}".encode() in mail
    assert internet.backup.commands[0] == "EHLO mailroom.test"


@pytest.mark.parametrize(
    ("domain", "why"), [("closed.example", "5.1.10"), ("nowhere.example", "5.1.2")]
)
async def test_a_domain_that_takes_no_mail_is_a_bounce(
    outbound: Outbound, domain: str, why: str
) -> None:
    item = await outbound.ended(await outbound.submit(recipient=f"john@{domain}"))
    assert (item.status, item.bounce_classification) == (S.BOUNCED, BounceType.HARD)
    assert why in (item.last_bounce_reason or "")


async def test_a_dns_that_does_not_answer_is_no_bounce(
    outbound: Outbound, internet: Internet
) -> None:
    internet.zone.failures["later.example"] = SERVFAIL
    internet.zone.mx("later.example", "10 mx2.there.example.")
    id = await outbound.submit(recipient="john@later.example")
    item = await outbound.reached(id, "deferred", num_attempts=1)
    assert "4.4.3" in (item.last_bounce_reason or "")
    del internet.zone.failures["later.example"]
    await outbound.tell(id, "retry")
    assert (await outbound.ended(id)).status is S.DELIVERED
