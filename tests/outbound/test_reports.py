"""What comes back about outbound messages moves them, by SMTP and out of the spool, once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import aiosmtplib
import pytest
import samples
from house import OWNER, House
from outbound_world import Outbound
from sqlalchemy import text
from world import mail

from mailroom.adapters.postgres.emails import PostgresEmails
from mailroom.adapters.postgres.message_queue import PostgresMessages
from mailroom.adapters.spool.spool import Spool
from mailroom.bridge.forwarder import Forwarder
from mailroom.bridge.handover import Handover
from mailroom.bridge.intake import Intake, NobodysMail
from mailroom.bridge.queue_reports import Reports
from mailroom.bridge.reception import Kept, Reception
from mailroom.local import inbound
from mailroom.models.arrival import Accepted, Arrival
from mailroom.models.names import outbound_id
from mailroom.models.outbound.claim import Attempted
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.message import Event
from mailroom.models.outbound.report import Report, ReportKind, ReportSource
from mailroom.models.outbound.words import BounceType, MessageQueueStatus
from mailroom.models.owner import Owner

S = MessageQueueStatus
DOMAIN = "bounces.mailroom.test"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
RECIPIENT = b"kate@example.net"


@dataclass
class Postbox:
    """The inbound SMTP port of the house, and what others send to it."""

    house: House
    port: int

    def bounce_address(self, id: UUID) -> str:
        return self.house.context.links.bounce_address(id, DOMAIN)

    async def send(self, raw: bytes, *recipients: str) -> str:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=self.port) as smtp:
            _, answer = await smtp.sendmail("", list(recipients), raw)
        return answer

    async def rows(self, query: str, **values: object) -> list[tuple[object, ...]]:
        async with self.house.adapters.engines.read.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(query), values)]

    async def suppressed(self, address: str) -> object:
        found = await self.rows("SELECT reason FROM suppressions WHERE address = :a", a=address)
        return found[0][0] if found else None

    async def mails_of_owners(self, message_id: str) -> int:
        query = "SELECT count(*) FROM processed_emails WHERE message_id = :id"
        [[count]] = await self.rows(query, id=message_id)
        assert isinstance(count, int)
        return count


@pytest.fixture
async def postbox(outbound_house: House) -> AsyncIterator[Postbox]:
    server = await inbound.listen(outbound_house.context.reception, "127.0.0.1", 0, 25 << 20)
    async with server:
        yield Postbox(outbound_house, inbound.port_of(server))


@pytest.fixture
def own(marker: str) -> "Own":
    return Own(marker)


@dataclass
class Own:
    """Samples about a message of this test."""

    marker: str

    def sample(self, raw: bytes, recipient: str = "", message_id: str = "") -> bytes:
        """With a Message-ID of its own, about another message and another recipient."""
        for name in (b"report.1", b"report.2", b"vacation.1", b"complaint.1"):
            raw = raw.replace(name, name + self.marker.encode())
        if recipient:
            raw = raw.replace(RECIPIENT, recipient.encode())
        if message_id:
            raw = raw.replace(samples.ORIGINAL.encode(), message_id.encode())
        return raw


async def test_a_bounce_comes_back_after_the_message_was_taken(
    outbound: Outbound, postbox: Postbox, own: Own
) -> None:
    id = await outbound.submit()
    assert (await outbound.ended(id)).status is S.DELIVERED
    recipient = outbound.to("take")
    # The sink was given the address to which bounces go.
    sender = postbox.house.sink.senders[recipient]
    assert sender == postbox.bounce_address(id)
    raw = own.sample(samples.POSTFIX, recipient)
    assert await postbox.send(raw, sender) == f"2.0.0 Accepted as {outbound_id(id)}"
    item = await outbound.item(id)
    assert (item.status, item.bounce_classification) == (S.BOUNCED, BounceType.HARD)
    assert item.delivered_at is None
    assert item.smtp_response is not None
    assert item.smtp_response.enhanced_code == "5.1.1"
    assert (item.last_bounce_reason or "").startswith("There is no such mailbox: 550 5.1.1")
    assert await outbound.events(id) == ["submitted", "delivered", "bounced"]
    assert await postbox.suppressed(recipient) == "hard_bounce"
    assert await postbox.mails_of_owners(f"<report.1{own.marker}@mx.example.net>") == 0
    again = await outbound.ended(await outbound.submit())
    assert (again.status, again.num_attempts) == (S.BOUNCED, 0)


async def test_the_same_bounce_counts_once(outbound: Outbound, postbox: Postbox, own: Own) -> None:
    id = await outbound.submit()
    await outbound.ended(id)
    raw = own.sample(samples.SENDMAIL, outbound.to("take"))
    for _ in range(3):
        await postbox.send(raw, postbox.bounce_address(id).upper())
    item = await outbound.item(id)
    assert (item.status, item.bounce_classification) == (S.BOUNCED, BounceType.SOFT)
    assert await outbound.events(id) == ["submitted", "delivered", "bounced"]
    # A full mailbox gets mail again.
    assert await postbox.suppressed(outbound.to("take")) is None


async def test_a_report_tells_what_nobody_knew(
    outbound: Outbound, postbox: Postbox, own: Own
) -> None:
    id = await outbound.submit("drop-after-dot")
    await outbound.reached(id, "suspended")
    raw = own.sample(samples.DELIVERED, outbound.to("drop-after-dot"))
    await postbox.send(raw, postbox.bounce_address(id))
    # Its workflow heard of it, and is over.
    item = await outbound.ended(id)
    assert item.status is S.DELIVERED
    assert item.delivered_at is not None


async def test_a_complaint_leaves_the_message_delivered(
    outbound: Outbound, postbox: Postbox, own: Own
) -> None:
    id = await outbound.submit()
    item = await outbound.ended(id)
    recipient = outbound.to("take")
    # To an owner's own address, and about a message of ours by its Message-ID.
    await postbox.send(own.sample(samples.ABUSE, recipient, item.message_id), OWNER)
    item = await outbound.item(id)
    assert (item.status, item.bounce_classification) == (S.DELIVERED, BounceType.COMPLAINT)
    assert await outbound.events(id) == ["submitted", "delivered", "complaint"]
    assert await postbox.suppressed(recipient) == "complaint"
    assert await postbox.mails_of_owners(f"<complaint.1{own.marker}@example.net>") == 0


async def test_what_nobody_understands_is_in_the_timeline(
    outbound: Outbound, postbox: Postbox, own: Own
) -> None:
    id = await outbound.submit()
    await outbound.ended(id)
    for _ in range(2):
        await postbox.send(own.sample(samples.VACATION), postbox.bounce_address(id))
    *_, line = await outbound.timeline(id)
    assert line["type"] == "message.returned"
    assert line["detail"]["note"] == "A mail from kate@example.net: Out of office: Weekly news"
    assert await outbound.events(id) == ["submitted", "delivered", "returned"]
    assert (await outbound.item(id)).status is S.DELIVERED


async def test_a_bounce_at_an_owners_address(
    outbound: Outbound, postbox: Postbox, own: Own
) -> None:
    id = await outbound.submit()
    item = await outbound.ended(id)
    recipient = outbound.to("take")
    other = own.sample(samples.EXIM, "somebody-else@example.net", item.message_id)
    assert "email-reply/" in await postbox.send(other, OWNER)
    assert (await outbound.item(id)).status is S.DELIVERED
    raw = own.sample(samples.GMAIL, recipient, item.message_id).replace(b"report.1", b"report.7")
    assert await postbox.send(raw, OWNER) == f"2.0.0 Accepted as {outbound_id(id)}"
    item = await outbound.item(id)
    assert (item.status, item.bounce_classification) == (S.BOUNCED, BounceType.BLOCK)


async def test_a_bounce_about_something_else_is_an_owners_mail(postbox: Postbox, own: Own) -> None:
    raw = own.sample(samples.POSTFIX, message_id=f"<{own.marker}@elsewhere.example>")
    assert "email-reply/" in await postbox.send(raw, OWNER)


async def test_a_forged_bounce_address_is_refused(postbox: Postbox, own: Own) -> None:
    real = postbox.bounce_address(uuid4())
    forged = real.replace(real[2:34], uuid4().hex)
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await postbox.send(own.sample(samples.POSTFIX), forged)
    assert refused.value.recipients[0].code == 550
    # A real one of a message that is gone is taken: what comes back has no other place.
    gone = await postbox.send(own.sample(samples.POSTFIX), real)
    assert gone.startswith("2.0.0 Accepted as outbound/")


async def test_a_mail_to_an_owner_and_to_a_bounce_address(
    outbound: Outbound, postbox: Postbox, own: Own
) -> None:
    id = await outbound.submit()
    await outbound.ended(id)
    raw = mail(message_id=f"<{own.marker}@x.y>", subject=f"Both {own.marker}")
    assert "email-reply/" in await postbox.send(raw, postbox.bounce_address(id), OWNER)
    assert await outbound.events(id) == ["submitted", "delivered", "returned"]


async def test_a_bounce_waits_in_the_spool_while_the_way_is_closed(
    outbound: Outbound, postbox: Postbox, own: Own, tmp_path: Path
) -> None:
    id = await outbound.submit()
    await outbound.ended(id)
    context = replace(postbox.house.context, handover=Handover(Spool(tmp_path / "spool")))
    context.handover.way.close("PostgreSQL can't be reached.")
    raw = own.sample(samples.POSTFIX, outbound.to("take"))
    door = Reception(context.intake, context.handover)
    kept = await door.mail(Arrival(raw, "", (postbox.bounce_address(id),)))
    assert isinstance(kept, Kept)
    assert (await outbound.item(id)).status is S.DELIVERED
    drained = await Forwarder(context).drain()
    assert (drained.forwarded, drained.left) == (1, 0)
    assert (await outbound.item(id)).status is S.BOUNCED
    # It was accepted before, and comes again by another way.
    assert isinstance(await door.mail(Arrival(raw, "", (postbox.bounce_address(id),))), Accepted)
    assert await outbound.events(id) == ["submitted", "delivered", "bounced"]


# What relays say, and what overtakes


@dataclass
class Queue:
    """Rows of messages without workflows."""

    house: House
    marker: str

    @property
    def reports(self) -> Reports:
        return self.house.context.returns.reports

    async def message(self, status: S, *, relayed: bool = False, step: int = 1) -> UUID:
        id = uuid4()
        values = {"id": id, "status": status, "relayed": relayed, "step": step, "m": self.marker}
        async with self.house.adapters.engines.write.connect() as connection:
            await connection.execute(_INSERT, values)
        return id

    async def row(self, id: UUID) -> dict[str, object]:
        query = text("SELECT * FROM message_queue WHERE id = :id")
        async with self.house.adapters.engines.read.connect() as connection:
            return dict((await connection.execute(query, {"id": id})).mappings().one())

    async def outcomes(self) -> list[tuple[object, ...]]:
        query = text("SELECT kind, seconds FROM delivery_outcomes WHERE domain = :m ORDER BY id")
        async with self.house.adapters.engines.read.connect() as connection:
            found = await connection.execute(query, {"m": f"{self.marker}.example"})
            return [tuple(row) for row in found]

    def report(self, id: UUID | None, kind: ReportKind, **more: object) -> Report:
        known = {"key": uuid4().hex, "kind": kind, "source": ReportSource.KUMOMTA, "at": NOW}
        return Report.model_validate(known | {"id": id} | more)


_INSERT = text("""
    INSERT INTO message_queue (id, message_id, queue_name, recipient, sender, domain, status,
                               size_bytes, relayed, step, num_attempts, created_at)
    VALUES (:id, '<' || :m || '@x.y>', :m, :m || '@' || :m || '.example', 'a@b.example',
            :m || '.example', :status, 1, :relayed, :step, 1, now() - interval '1 minute')
""")


@pytest.fixture
def queue(outbound_house: House, marker: str) -> Queue:
    return Queue(outbound_house, marker)


FULL = SmtpResponse(code=452, message="mailbox full", enhanced_code="4.2.2", timestamp=NOW)


async def test_only_its_reports_move_what_a_relay_has(queue: Queue) -> None:
    id = await queue.message(S.IN_DELIVERY, relayed=True)
    deferred = queue.report(id, ReportKind.DEFERRED, response=FULL, num_attempts=3)
    assert await queue.reports.take(deferred)
    assert not await queue.reports.take(deferred)
    row = await queue.row(id)
    # It is still the relay's, which tries again.
    assert (row["status"], row["num_attempts"], row["step"]) == ("in_delivery", 3, 1)
    assert row["bounce_classification"] == "soft"
    assert row["relayed"]
    assert await queue.reports.take(queue.report(id, ReportKind.DELIVERED))
    row = await queue.row(id)
    assert (row["status"], row["bounce_classification"]) == ("delivered", None)
    [first, (kind, seconds)] = await queue.outcomes()
    assert first == ("deferred", None)
    assert kind == "delivered"
    assert isinstance(seconds, float)
    assert seconds == pytest.approx(60, abs=30)


async def test_old_reports_make_room_for_new_ones(queue: Queue) -> None:
    id = await queue.message(S.DELIVERED)
    old = [f"{queue.marker}-{n}" for n in range(3)]
    write = queue.house.adapters.engines.write
    async with write.connect() as connection:
        await connection.execute(text("DELETE FROM reports WHERE at < now() - interval '30 days'"))
        await connection.execute(_OLD, {"keys": old})
    left = text("SELECT count(*) FROM reports WHERE key = ANY(:keys)")
    for expected in (1, 0, 0):
        await queue.reports.take(queue.report(id, ReportKind.DEFERRED, response=FULL))
        async with write.connect() as connection:
            assert await connection.scalar(left, {"keys": old}) == expected


_OLD = text("""
    INSERT INTO reports (key, at)
    SELECT key, now() - interval '31 days' FROM unnest(CAST(:keys AS text[])) AS key
""")


async def test_nobody_but_a_relay_defers_for_us(queue: Queue) -> None:
    id = await queue.message(S.DELIVERED)
    assert await queue.reports.take(queue.report(id, ReportKind.DEFERRED, response=FULL))
    assert (await queue.row(id))["status"] == "delivered"
    assert await queue.outcomes() == []


async def test_a_report_that_overtakes_the_attempt_it_is_about(queue: Queue) -> None:
    """A server near by bounces before its 250 is written down."""
    id = await queue.message(S.IN_DELIVERY)
    await queue.reports.take(queue.report(id, ReportKind.BOUNCED, reason="550 5.1.1 no user"))
    house = queue.house
    messages = PostgresMessages(house.adapters.engines.write, house.adapters.outbound)
    ended = Attempted(id=id, step=1, attempt=1, status=S.DELIVERED, event=Event.DELIVERED)
    assert await messages.attempted(ended) is S.BOUNCED
    assert (await queue.row(id))["status"] == "bounced"
    assert [kind for kind, _ in await queue.outcomes()] == ["bounced"]


async def test_an_attempt_that_is_written_twice_does_not_undo_the_report_between(
    queue: Queue,
) -> None:
    """A worker that died had written it, but could not say so any more."""
    id = await queue.message(S.IN_DELIVERY)
    house = queue.house
    messages = PostgresMessages(house.adapters.engines.write, house.adapters.outbound)
    ended = Attempted(id=id, step=1, attempt=2, status=S.DELIVERED, event=Event.DELIVERED)
    assert await messages.attempted(ended) is S.DELIVERED
    assert await messages.attempted(ended) is S.DELIVERED
    assert [kind for kind, _ in await queue.outcomes()] == ["delivered"]
    await queue.reports.take(queue.report(id, ReportKind.BOUNCED, reason="550 5.1.1 no user"))
    assert await messages.attempted(ended) is S.BOUNCED
    assert (await queue.row(id))["status"] == "bounced"


async def test_a_report_that_expired_or_was_blocked(queue: Queue) -> None:
    blocked = await queue.message(S.IN_DELIVERY, relayed=True)
    said = "554 5.7.1 blocked using zen.spamhaus.org"
    await queue.reports.take(queue.report(blocked, ReportKind.BOUNCED, reason=said))
    expired = await queue.message(S.DEFERRED, relayed=True)
    await queue.reports.take(queue.report(expired, ReportKind.EXPIRED, response=FULL))
    assert (await queue.row(blocked))["bounce_classification"] == "block"
    assert (await queue.row(expired))["status"] == "expired"
    assert [kind for kind, _ in await queue.outcomes()] == ["blocked", "bounced"]


async def test_messages_that_share_their_message_id(queue: Queue, outbound: Outbound) -> None:
    one, other = await queue.message(S.DELIVERED), await queue.message(S.DELIVERED)
    async with queue.house.adapters.engines.write.connect() as connection:
        change = text("UPDATE message_queue SET recipient = 'Other@x.example' WHERE id = :id")
        await connection.execute(change, {"id": other})
    about = {"message_id": f"{queue.marker}@x.y", "reason": "550 5.1.1 no such user"}
    named = queue.report(None, ReportKind.BOUNCED, recipient="other@X.example", **about)
    assert await queue.reports.take(named)
    assert (await queue.row(other))["status"] == "bounced"
    assert (await queue.row(one))["status"] == "delivered"
    # Nobody says whose it is: of two it is neither.
    redacted = queue.report(None, ReportKind.COMPLAINT, **about)
    assert not await queue.reports.take(redacted)


async def test_a_report_about_nothing_of_ours(queue: Queue) -> None:
    assert not await queue.reports.take(queue.report(uuid4(), ReportKind.BOUNCED))
    assert not await queue.reports.take(queue.report(None, ReportKind.BOUNCED))
    unknown = queue.report(None, ReportKind.BOUNCED, message_id="<nothing@x.y>", recipient="a@b.c")
    assert not await queue.reports.take(unknown)


async def test_a_bounce_address_is_known_beside_several_owners(
    postbox: Postbox, own: Own, tmp_path: Path
) -> None:
    house = postbox.house
    owners = {name: Owner(id=name, addresses=(f"{name}@x.example",)) for name in ("ann", "bob")}
    intake = Intake(
        house.adapters.blobs,
        PostgresEmails(house.adapters.engines.write),
        house.context.flows,
        owners,
        reminder_after=timedelta(days=1),
        attempts=3,
        returns=house.context.returns,
    )
    address = postbox.bounce_address(uuid4())
    assert intake.knows(address)
    assert not intake.knows(f"kate@{DOMAIN}")
    door = Reception(intake, Handover(Spool(tmp_path / "spool")))
    door.handover.way.close("PostgreSQL can't be reached.")
    arrival = Arrival(own.sample(samples.POSTFIX), "", (address,))
    assert isinstance(await door.mail(arrival), Kept)
    with pytest.raises(NobodysMail):
        await door.mail(replace(arrival, recipients=(address, "kate@x.example")))
