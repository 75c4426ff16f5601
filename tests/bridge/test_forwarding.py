"""What the spool keeps goes on in its order, each once; what can't says why."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import httpx
import pytest
from house import OWNER, TOKEN, WEBHOOK_SECRET, House, address_of, bridge_on
from world import PHONE, Handset, mail, new_text_id, wire_to

from mailroom.adapters import temporal
from mailroom.adapters.postgres.views import Answerable, PostgresViews
from mailroom.adapters.spool.files import SpoolFull
from mailroom.adapters.spool.spool import Spool
from mailroom.bridge import delivery, draining
from mailroom.bridge.app import create_app
from mailroom.bridge.context import Context
from mailroom.bridge.draining import MOST_ATTEMPTS
from mailroom.bridge.flows import ReplyFlows
from mailroom.bridge.forwarder import Drained, Forwarder
from mailroom.bridge.handover import Handover
from mailroom.bridge.intake import Intake
from mailroom.models.arrival import Accepted, Arrival
from mailroom.models.names import owner_notice_id
from mailroom.models.owner import Owner
from mailroom.models.spool import (
    NORMAL,
    URGENT,
    VIP,
    Entry,
    Message,
    Queue,
    SpooledMail,
    SpooledText,
)
from mailroom.models.states import MailState
from mailroom.ports import Transient

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def the(house: House, spool: Spool) -> Context:
    return replace(house.context, handover=Handover(spool))


def keep(spool: Spool, message: Message, priority: int = NORMAL, **known: object) -> Entry:
    entry = Entry(queue=Queue.INBOUND, priority=priority, message=message, **known)  # type: ignore[arg-type]
    spool.append(entry)
    return entry


def kept_mail(marker: str, number: int = 1) -> SpooledMail:
    raw = mail(sender=f"{number}-{marker}@example.com", subject=f"Kept {number} {marker}")
    return SpooledMail.of(Arrival(raw, "john@example.com", (OWNER,)))


def kept_text(body: str) -> SpooledText:
    return SpooledText(owner="owner", number=PHONE, body=body, provider_id=new_text_id())


@dataclass
class Waiting:
    """Drafts that wait, without those of other tests."""

    drafts: list[Answerable]

    async def waiting(self, owner: str) -> list[Answerable]:
        return self.drafts


async def drafted(house: House, marker: str) -> Accepted:
    raw = mail(sender=f"{marker}@example.com", subject=f"Meeting {marker}")
    accepted = await house.receive(raw)
    await house.gateway.wait_for(marker)
    await house.reached(accepted, MailState.AWAITING_USER)
    return accepted


async def test_mail_goes_on_once_although_it_is_kept_twice(
    house: House, the: Context, spool: Spool, marker: str
) -> None:
    keep(spool, kept_mail(marker))
    keep(spool, kept_mail(marker))
    assert await Forwarder(the).drain() == Drained(forwarded=2)
    assert len(await house.gateway.wait_for(f"Kept 1 {marker}")) == 1
    assert spool.files(Queue.INBOUND) == []


async def test_a_bare_word_means_no_draft_that_was_made_after_it(
    house: House, the: Context, spool: Spool, marker: str
) -> None:
    accepted = await drafted(house, marker)
    row = await house.row(accepted)
    [draft] = [one for one in await the.views.waiting("owner", 500) if one.code == row.code]
    alone = replace(the, views=cast(PostgresViews, Waiting([draft])))
    before = draft.created_at - timedelta(seconds=1)
    text = kept_text("3")
    keep(spool, text, URGENT, queued_at=before)
    assert await Forwarder(alone).drain() == Drained(forwarded=1)
    answer = house.gateway.text_under(owner_notice_id(PHONE, text.provider_id))
    assert await answer == "No draft is waiting for an answer."
    keep(spool, kept_text("3"), URGENT)
    assert await Forwarder(alone).drain() == Drained(forwarded=1)
    assert await house.ended(accepted) is MailState.USER_IGNORED


async def test_the_outcome_of_a_text_that_was_kept_is_texted(
    house: House, the: Context, spool: Spool, marker: str
) -> None:
    accepted = await drafted(house, marker)
    code = (await house.row(accepted)).code
    text = kept_text(f"3 {code}")
    keep(spool, text, URGENT)
    assert await Forwarder(the).drain() == Drained(forwarded=1)
    assert await house.ended(accepted) is MailState.USER_IGNORED
    await house.gateway.wait_for("The mail is left unanswered.")


async def test_mail_for_nobody_is_a_dead_letter_with_the_reason(
    house: House, the: Context, spool: Spool, marker: str
) -> None:
    two = Intake(
        house.adapters.blobs,
        house.context.intake._store,
        the.flows,
        {name: Owner(id=name, addresses=(f"{name}@x.test",)) for name in ("ada", "bob")},
        reminder_after=timedelta(days=1),
        attempts=3,
    )
    entry = keep(spool, kept_mail(marker))
    assert await Forwarder(replace(the, intake=two)).drain() == Drained(dead=1)
    dead = spool.read(Queue.DEAD_LETTER, entry.name.file)
    assert dead.error == "None of the mail's recipients is an owner of this Mailroom."
    assert (dead.attempts, dead.queue) == (1, Queue.INBOUND)
    assert spool.files(Queue.INBOUND) == []


async def test_damage_stays_and_holds_up_nobody(
    house: House, the: Context, spool: Spool, marker: str
) -> None:
    damaged = keep(spool, kept_mail(marker, 2), VIP)
    file = spool.path(Queue.INBOUND, damaged.name.file)
    file.write_bytes(file.read_bytes()[:-10])
    keep(spool, kept_mail(marker, 1))
    assert await Forwarder(the).drain() == Drained(forwarded=1, left=1)
    assert spool.files(Queue.INBOUND) == [damaged.name.file]
    await house.gateway.wait_for(f"Kept 1 {marker}")


async def test_what_fails_again_and_again_is_given_up_and_can_be_replayed(
    house: House, the: Context, spool: Spool, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumble(the: Context, message: Message, queued_at: datetime) -> None:
        raise RuntimeError("a fault of ours")

    entry = keep(spool, kept_mail(marker))
    monkeypatch.setattr(draining, "deliver", stumble)
    for _ in range(MOST_ATTEMPTS - 1):
        assert await Forwarder(the).drain() == Drained(left=1)
    assert await Forwarder(the).drain() == Drained(dead=1)
    dead = spool.read(Queue.DEAD_LETTER, entry.name.file)
    assert dead.error == f"Given up after {MOST_ATTEMPTS} attempts. RuntimeError: a fault of ours"
    monkeypatch.undo()
    spool.move(dead.again(), Queue.DEAD_LETTER, Queue.INBOUND)
    assert await Forwarder(the).drain() == Drained(forwarded=1)
    await house.gateway.wait_for(f"Kept 1 {marker}")


def failing(marker: str) -> Callable[[Context, Message, datetime], Awaitable[None]]:
    """Delivery that finds the blob store away at mails with this in them."""

    async def deliver(the: Context, message: Message, queued_at: datetime) -> None:
        if isinstance(message, SpooledMail) and marker.encode() in message.raw:
            raise Transient("The blob store can't be written.")
        await delivery.deliver(the, message, queued_at)

    return deliver


async def test_nothing_is_given_up_in_an_outage(
    the: Context, spool: Spool, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporal and PostgreSQL are there, and something else isn't."""
    monkeypatch.setattr(draining, "deliver", failing(marker))
    for number in range(12):
        keep(spool, kept_mail(marker, number))
    for _ in range(MOST_ATTEMPTS + 1):
        assert await Forwarder(the).drain() == Drained(left=12)
    assert the.handover.way.why == "The blob store can't be written."
    assert {spool.read(Queue.INBOUND, file).attempts for file in spool.files(Queue.INBOUND)} == {0}
    monkeypatch.undo()
    assert await Forwarder(the).drain() == Drained(forwarded=12)
    assert the.handover.way.is_open


async def test_one_that_fails_while_others_pass_is_given_up_at_last(
    the: Context, spool: Spool, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "deliver", failing(f"Kept 1 {marker}"))
    entry = keep(spool, kept_mail(marker, 1), VIP)
    for number in range(2, MOST_ATTEMPTS + 2):
        assert spool.files(Queue.INBOUND) == [entry.name.file]
        keep(spool, kept_mail(marker, number))
        assert (await Forwarder(the).drain()).forwarded == 1
    assert spool.files(Queue.DEAD_LETTER) == [entry.name.file]


async def test_two_forwarders_start_each_mail_once(
    house: House, the: Context, spool: Spool, marker: str
) -> None:
    for number in range(20):
        keep(spool, kept_mail(marker, number))
    others = replace(the, handover=Handover(Spool(spool.folder)))
    await asyncio.gather(Forwarder(the).drain(), Forwarder(others).drain())
    assert spool.files(Queue.INBOUND) == []
    for number in range(20):
        assert len(await house.gateway.wait_for(f"Kept {number} {marker}")) == 1


async def test_the_way_closes_and_opens_again(house: House, spool: Spool, marker: str) -> None:
    async with wire_to(address_of(house.env)) as wire:
        client = await temporal.connect(f"127.0.0.1:{wire.port}", house.client.namespace)
        the = replace(house.context, handover=Handover(spool), flows=ReplyFlows(client))
        way = the.handover.way
        wire.flowing.clear()
        keep(spool, kept_mail(marker))
        assert await Forwarder(the).drain() == Drained(left=1)
        assert (way.is_open, way.kept) == (False, 1)
        assert way.sentence == (
            f"Temporal can't be reached, since {way.since:%H:%M} UTC; 1 message is kept and will "
            "go on."
        )
        wire.flowing.set()
        assert await Forwarder(the).drain() == Drained(forwarded=1)
        assert way.is_open
    await house.gateway.wait_for(marker)


async def test_operators_see_and_drain_the_spool(house: House, marker: str) -> None:
    async with bridge_on(house.context) as http:
        status = (await http.get("/spool", headers=AUTHORIZED)).json()
        assert status == {
            "open": True,
            "since": None,
            "why": None,
            "queues": {"inbound": {}, "outbound": {}, "dead-letter": {}},
            "oldest": None,
        }
        drained = await http.post("/spool/drain", headers=AUTHORIZED)
        assert drained.json() == {"forwarded": 0, "dead": 0, "left": 0}
        assert (await http.get("/spool")).status_code == 401
        metrics = (await http.get("/metrics", headers=AUTHORIZED)).text
    assert 'mailroom_spool_entries{kind="mail",queue="inbound"} 0.0' in metrics
    assert "mailroom_spool_lock_hold_seconds_bucket" in metrics


class Full(Spool):
    def append(self, entry: Entry) -> None:
        raise SpoolFull("The disk that the spool is on is full; make room, then send it again.")


async def test_a_full_disk_is_507(house: House, spool: Spool) -> None:
    the = replace(house.context, handover=Handover(Full(spool.folder)))
    the.handover.way.close("Temporal can't be reached.")
    app = create_app(the)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as http:
        answer = await http.post("/emails", content=mail(), headers=AUTHORIZED)
        texted = await Handset(http, WEBHOOK_SECRET).post(
            Handset(http, WEBHOOK_SECRET).text("1", new_text_id())
        )
    for full in (answer, texted):
        assert full.status_code == 507
        assert "is full" in full.json()["detail"]
