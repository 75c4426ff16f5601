"""SMTP in, on a real port: what is accepted is durable, and what is not durable is not accepted."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.policy import SMTPUTF8
from pathlib import Path
from typing import cast

import aiosmtplib
import pytest
from temporalio.client import WorkflowExecutionStatus
from world import eventually, mail

from mailroom.adapters.blobs import ObstoreBlobs
from mailroom.adapters.spool.files import SpoolFull
from mailroom.adapters.spool.spool import Spool
from mailroom.adapters.temporal import TemporalUnavailable
from mailroom.bridge import reception
from mailroom.bridge.flows import ReplyFlows
from mailroom.bridge.handover import Handover
from mailroom.bridge.intake import Intake
from mailroom.bridge.reception import Reception
from mailroom.local import inbound
from mailroom.models.email_reply import EmailReplyInput
from mailroom.models.names import email_reply_id
from mailroom.models.owner import Owner
from mailroom.models.spool import NORMAL, Entry, Queue, SpooledMail
from mailroom.ports import EmailStore
from stack.process import WAIT_SECONDS, Stack

LIMIT = 25 * 1024 * 1024


@pytest.fixture
async def smtp(stack: Stack) -> AsyncIterator[aiosmtplib.SMTP]:
    async with aiosmtplib.SMTP(
        hostname=stack.smtp_host, port=stack.smtp_port, timeout=WAIT_SECONDS
    ) as connected:
        yield connected


def stored(stack: Stack, blob: object) -> bytes:
    sha256 = str(blob)
    return (stack.data_dir / "blobs" / sha256[:2] / sha256).read_bytes()


async def test_a_250_means_that_the_workflow_runs(stack: Stack, marker: str) -> None:
    raw = mail(message_id=f"<{marker}@x.y>", subject=marker)
    answer = await stack.send(raw)
    workflow_id = email_reply_id("owner", f"<{marker}@x.y>")
    assert answer == f"2.0.0 Accepted as {workflow_id}"
    workflow = (await stack.temporal()).get_workflow_handle(workflow_id)
    assert (await workflow.describe()).status is WorkflowExecutionStatus.RUNNING
    sha256 = hashlib.sha256(raw).hexdigest()
    assert stored(stack, sha256) == raw
    assert (await stack.reach(f"<{marker}@x.y>", "awaiting_user"))["blob"] == sha256


async def test_one_mail_to_several_recipients(
    stack: Stack, smtp: aiosmtplib.SMTP, marker: str
) -> None:
    raw = mail(message_id=f"<{marker}@x.y>", subject=marker)
    recipients = [f"{marker}-{number}@mailroom.test" for number in range(3)]
    raw = raw.replace(b"owner@mailroom.test", recipients[1].encode())
    refused, _ = await smtp.sendmail("john@example.com", recipients, raw)
    assert refused == {}
    await stack.reach(f"<{marker}@x.y>", "awaiting_user")
    await stack.decide(f"<{marker}@x.y>", "1")
    await stack.reach(f"<{marker}@x.y>", "reply_sent")
    outbox = (await stack.client.get("/dev/outbox")).json()
    senders = [reply["from"] for reply in outbox if reply["in_reply_to"] == f"<{marker}@x.y>"]
    assert senders == [recipients[1]]


async def test_more_recipients_than_there_is_room_for(smtp: aiosmtplib.SMTP, marker: str) -> None:
    recipients = [f"{marker}-{number}@mailroom.test" for number in range(103)]
    refused, _ = await smtp.sendmail("john@example.com", recipients, mail(subject=marker))
    assert {code for code, _ in refused.values()} == {452}
    assert list(refused) == recipients[100:]


async def test_unicode_addresses_and_headers_arrive_as_they_were_sent(
    stack: Stack, smtp: aiosmtplib.SMTP, marker: str
) -> None:
    message = EmailMessage(policy=SMTPUTF8)
    message["From"] = "Jürgen Größe <jürgen@x.y>"
    message["To"] = "büro@mailroom.test"
    message["Subject"] = f"Grüße aus 東京 {marker}"
    message["Message-ID"] = f"<{marker}@x.y>"
    message.set_content("Schöne Grüße!\r\n..\r\n.dot\r\n", cte="8bit")
    raw = message.as_bytes()
    assert "東京".encode() in raw
    options = ["SMTPUTF8", "BODY=8BITMIME"]
    await smtp.sendmail("jürgen@exämple.com", ["büro@mailroom.test"], raw, mail_options=options)
    row = await stack.reach(f"<{marker}@x.y>", "awaiting_user")
    assert stored(stack, row["blob"]) == raw
    assert (row["email_from"], row["email_subject"]) == (message["From"], message["Subject"])
    await stack.decide(f"<{marker}@x.y>", "1")
    await stack.reach(f"<{marker}@x.y>", "reply_sent")
    outbox = (await stack.client.get("/dev/outbox")).json()
    [reply] = [left for left in outbox if left["in_reply_to"] == f"<{marker}@x.y>"]
    assert reply["to"] == message["From"]


async def test_every_byte_of_8bitmime_arrives(
    stack: Stack, smtp: aiosmtplib.SMTP, marker: str
) -> None:
    every = bytes(byte for byte in range(256) if byte not in b"\r\n")
    head = f"From: a@b.example\r\nMessage-ID: <{marker}@x.y>\r\nSubject: {marker} ".encode()
    raw = head + every[128:] + b"\r\n\r\n" + every + b"\r\n"
    await smtp.sendmail("a@b.example", ["o@x.y"], raw, mail_options=["BODY=8BITMIME"])
    row = await stack.reach(f"<{marker}@x.y>", "awaiting_user")
    assert stored(stack, row["blob"]) == raw


async def test_a_size_above_the_limit_is_refused_when_it_is_declared(
    smtp: aiosmtplib.SMTP,
) -> None:
    with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
        await smtp.mail("john@example.com", options=[f"SIZE={LIMIT + 1}"])
    assert refused.value.code == 552
    assert (await smtp.mail("john@example.com", options=[f"SIZE={LIMIT}"])).code == 250


async def test_a_size_above_the_limit_is_refused_when_it_shows(
    stack: Stack, smtp: aiosmtplib.SMTP, marker: str
) -> None:
    line = b"x" * 76 + b"\r\n"
    large = mail(message_id=f"<{marker}@x.y>") + line * (LIMIT // len(line))
    await smtp.ehlo()
    await smtp.mail("john@example.com")
    await smtp.rcpt("owner@mailroom.test")
    with pytest.raises(aiosmtplib.SMTPDataError) as refused:
        await smtp.data(large)
    assert refused.value.code == 552
    # The session goes on, and so does the server.
    await smtp.sendmail("john@example.com", ["owner@mailroom.test"], mail(subject=marker))
    assert await stack.row(f"<{marker}@x.y>") == {}


async def test_a_mail_just_below_the_limit(stack: Stack, marker: str) -> None:
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = "john@example.com"
    message["Message-ID"] = f"<{marker}@x.y>"
    message["Subject"] = marker
    message.set_content("See the picture.")
    message.add_attachment(b"\xff" * (LIMIT * 2 // 3), maintype="image", subtype="png")
    raw = message.as_bytes()
    assert LIMIT * 0.9 < len(raw) < LIMIT
    await stack.send(raw)
    row = await stack.reach(f"<{marker}@x.y>", "awaiting_user")
    assert row["email_body_preview"] == "See the picture."


async def test_longer_lines_than_allowed_are_no_reason_to_lose_a_mail(
    stack: Stack, marker: str
) -> None:
    raw = mail(message_id=f"<{marker}@x.y>", subject=marker) + b"x" * 100_000 + b"\r\n"
    await stack.send(raw)
    row = await stack.reach(f"<{marker}@x.y>", "awaiting_user")
    assert stored(stack, row["blob"]) == raw


# Ends of mail that some servers take for one and some don't (SMTP smuggling, CVE-2023-51764).
FALSE_ENDS = [
    *(b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\n.\r"),
    *(b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n..\r\n", b"\r\n .\r\n"),
]


@pytest.mark.parametrize("end", FALSE_ENDS, ids=repr)
async def test_a_mail_within_a_mail_is_one_mail(stack: Stack, end: bytes, marker: str) -> None:
    smuggled = mail(message_id=f"<{marker}-smuggled@x.y>", subject=f"smuggled {marker}")
    commands = b"MAIL FROM:<boss@x.y>\r\nRCPT TO:<owner@mailroom.test>\r\nDATA\r\n"
    body = mail(message_id=f"<{marker}@x.y>", subject=marker) + end + commands + smuggled
    answers = await spoken(stack, body + b"\r\n.\r\n")
    assert len(answers) == 1, answers
    assert answers[0].startswith("250 2.0.0")
    await stack.reach(f"<{marker}@x.y>", "awaiting_user")
    assert await stack.row(f"<{marker}-smuggled@x.y>") == {}


async def spoken(stack: Stack, data: bytes) -> list[str]:
    """The answers to what is sent after DATA, up to the one to QUIT."""
    reader, writer = await asyncio.open_connection(stack.smtp_host, stack.smtp_port)
    try:
        await reader.readline()
        for command in (
            b"HELO x.y",
            b"MAIL FROM:<a@x.y>",
            b"RCPT TO:<owner@mailroom.test>",
            b"DATA",
        ):
            writer.write(command + b"\r\n")
            answer = await reader.readline()
        assert answer.startswith(b"354")
        writer.write(data + b"QUIT\r\n")
        rest = await asyncio.wait_for(reader.read(), WAIT_SECONDS)
    finally:
        writer.close()
    *answers, bye = rest.decode().splitlines()
    assert bye.startswith("221")
    return answers


async def test_a_mail_without_message_id_twice_is_one_mail(stack: Stack, marker: str) -> None:
    first, second = await stack.send(mail(subject=marker)), await stack.send(mail(subject=marker))
    other = await stack.send(mail(subject=f"{marker} again"))
    assert first == second != other


async def test_a_mail_twice_is_one_mail_even_after_its_end(stack: Stack, marker: str) -> None:
    raw = mail(message_id=f"<{marker}@x.y>", subject=marker)
    first = await stack.send(raw)
    assert await stack.send(raw) == first
    await stack.reach(f"<{marker}@x.y>", "awaiting_user")
    await stack.decide(f"<{marker}@x.y>", "1")
    await stack.reach(f"<{marker}@x.y>", "reply_sent")

    async def is_listed() -> bool:
        # With others, beside the mail's own way: a quick one may have ended by then.
        timeline = (await stack.row(f"<{marker}@x.y>"))["timeline"]
        return "pending" in [event["type"] for event in timeline]

    await eventually(is_listed)
    row = await stack.row(f"<{marker}@x.y>")
    assert await stack.send(raw) == first
    assert await stack.row(f"<{marker}@x.y>") == row
    outbox = (await stack.client.get("/dev/outbox")).json()
    assert len([mail for mail in outbox if mail["in_reply_to"] == f"<{marker}@x.y>"]) == 1


async def test_the_null_sender_gets_no_answer(stack: Stack, marker: str) -> None:
    await stack.send(mail(message_id=f"<{marker}@x.y>", subject=marker), sender="")
    row = await stack.reach(f"<{marker}@x.y>", "user_ignored")
    assert "null" in str(row["reason"])


async def test_fifty_connections_at_once(stack: Stack, marker: str) -> None:
    async def connection(number: int) -> list[str]:
        async with aiosmtplib.SMTP(
            hostname=stack.smtp_host, port=stack.smtp_port, timeout=WAIT_SECONDS
        ) as smtp:
            return [await send(smtp, f"<{number}.{count}.{marker}@x.y>") for count in range(2)]

    async def send(smtp: aiosmtplib.SMTP, message_id: str) -> str:
        raw = mail(message_id=message_id, subject=marker)
        _, answer = await smtp.sendmail("john@example.com", ["owner@mailroom.test"], raw)
        return answer

    answers = await asyncio.gather(*(connection(number) for number in range(50)))
    accepted = {answer.removeprefix("2.0.0 Accepted as ") for pair in answers for answer in pair}
    assert len(accepted) == 100
    temporal = await stack.temporal()
    started = await asyncio.gather(
        *(temporal.get_workflow_handle(workflow_id).describe() for workflow_id in accepted)
    )
    assert {workflow.id for workflow in started} == accepted


# What is not there: an intake of our own, whose ports lead nowhere.


@dataclass
class Elsewhere:
    """Port by port what an intake needs; each can be replaced by one that fails."""

    folder: Path
    spool: Path
    started: list[EmailReplyInput] = field(default_factory=list)
    during_start: Callable[[], Awaitable[None]] | None = None

    async def start(self, mail: EmailReplyInput) -> bool:
        if self.during_start:
            await self.during_start()
        self.started.append(mail)
        return True

    async def list_pending(self, mails: object) -> None:
        """No rows are kept."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Stack]:
        intake = Intake(
            ObstoreBlobs.at(self.folder),
            cast(EmailStore, self),
            cast(ReplyFlows, self),
            {"owner": Owner(id="owner")},
            reminder_after=timedelta(days=1),
            attempts=3,
        )
        door = Reception(intake, Handover(Spool(self.spool)))
        server = await inbound.listen(door, "127.0.0.1", 0, LIMIT)
        async with server:
            yield Stack(self.folder, ports=[0, inbound.port_of(server)])


async def refused(stack: Stack) -> tuple[int, str]:
    with pytest.raises(aiosmtplib.SMTPDataError) as error:
        await stack.send(mail())
    return error.value.code, error.value.message


DEFERRED = (451, "4.3.0 Mailroom can't store mail right now; try again later")


async def kept(stack: Stack, spool: Path) -> Entry:
    """The entry of a mail that was accepted although it could not go on."""
    await stack.send(mail())
    [file] = Spool(spool).files(Queue.INBOUND)
    return Spool(spool).read(Queue.INBOUND, file)


async def test_a_mail_is_kept_while_temporal_is_away(tmp_path: Path) -> None:
    async def away() -> None:
        raise TemporalUnavailable("Temporal did not take the mail.")

    elsewhere = Elsewhere(tmp_path / "blobs", tmp_path / "spool", during_start=away)
    async with elsewhere.listening() as stack:
        entry = await kept(stack, elsewhere.spool)
    assert isinstance(entry.message, SpooledMail)
    assert entry.message.raw.startswith(b"From: ")
    assert elsewhere.started == []


async def test_a_mail_is_kept_while_temporal_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(reception, "SECONDS", 0.2)
    elsewhere = Elsewhere(tmp_path / "blobs", tmp_path / "spool", during_start=never)
    async with elsewhere.listening() as stack:
        assert (await kept(stack, elsewhere.spool)).priority == NORMAL


async def test_a_mail_is_kept_while_the_blob_store_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    elsewhere = Elsewhere(folder, tmp_path / "spool")
    async with elsewhere.listening() as stack:
        folder.rename(tmp_path / "moved")
        folder.write_text("a file where the folder was")
        await kept(stack, elsewhere.spool)
        assert elsewhere.started == []


async def test_451_while_neither_can_be_written(tmp_path: Path) -> None:
    async def away() -> None:
        raise TemporalUnavailable("Temporal did not take the mail.")

    elsewhere = Elsewhere(tmp_path / "blobs", tmp_path / "spool", during_start=away)
    async with elsewhere.listening() as stack:
        (elsewhere.spool / "parts").rename(tmp_path / "moved")
        assert await refused(stack) == DEFERRED
        (tmp_path / "moved").rename(elsewhere.spool / "parts")
        await kept(stack, elsewhere.spool)


async def test_452_while_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> None:
        raise TemporalUnavailable("Temporal did not take the mail.")

    def full(spool: Spool, entry: Entry) -> None:
        raise SpoolFull("The disk is full.")

    elsewhere = Elsewhere(tmp_path / "blobs", tmp_path / "spool", during_start=away)
    async with elsewhere.listening() as stack:
        with monkeypatch.context() as patched:
            patched.setattr(Spool, "append", full)
            assert await refused(stack) == (452, "4.3.1 Mailroom's disk is full; try again later")
        await kept(stack, elsewhere.spool)
