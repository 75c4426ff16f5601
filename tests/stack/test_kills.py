"""SIGKILL, as power cuts and the out-of-memory killer do it: nothing is lost, and nothing is
sent twice."""

import asyncio
import os
import random
import signal
from pathlib import Path

import aiosmtplib
import pytest

from stack.holding import Locks, locks_in
from stack.mailbox import Mailbox, id_of, letter, marker_of, started
from stack.process import Stack, stack_in, until

DRAFTING = "drafting@example.com"
TEXTING = "texting@example.com"
AWAITING = "awaiting@example.com"
AT_RCPT = "hold-rcpt@example.com"
UNCLAIMED = "body-written@example.com"
NO_DOT = "marker-written@example.com"
UNANSWERED = "hold-answer+dot@example.com"
UNSETTLED = "hold-answer+answered@example.com"
SETTLED = "hold-answer+settled@example.com"
SENDING = (AT_RCPT, UNCLAIMED, NO_DOT, UNANSWERED, UNSETTLED, SETTLED)
UNKNOWN = (NO_DOT, UNANSWERED, UNSETTLED)


async def test_a_kill_that_finds_a_mail_in_every_stage(mailbox: Mailbox) -> None:
    stack, sink = mailbox.stack, mailbox.sink
    for sender in (AWAITING, *SENDING):
        await mailbox.receive(sender)
    await mailbox.rest(AWAITING, *SENDING)
    async with locks_in(stack) as locks:
        lost = await bring_into_their_stages(mailbox, locks)
        stack.kill()
        await stack.ended()
        await until_only_postgresql_runs(stack)
        await locks.end(*lost)
        await locks.let_go()
    for event in sink.may_go.values():
        event.set()
    await stack.start()
    # Each goes on by itself, but for those that may have been sent: their owner is asked.
    rest = await mailbox.rest(DRAFTING, TEXTING, AWAITING, *SENDING)
    assert rest == {
        DRAFTING: ("awaiting_user", 0),
        TEXTING: ("awaiting_user", 0),
        AWAITING: ("awaiting_user", 0),
        AT_RCPT: ("reply_sent", 1),
        UNCLAIMED: ("reply_sent", 1),
        NO_DOT: ("send_unknown", 0),
        UNANSWERED: ("send_unknown", 1),
        UNSETTLED: ("send_unknown", 1),
        SETTLED: ("reply_sent", 1),
    }
    [text] = mailbox.gateway.about(TEXTING)
    assert "1=Send" in text
    for sender in UNKNOWN:
        assert "1=Send again 3=Leave" in (await mailbox.gateway.wait_for(sender, 2))[1]
    for sender in (DRAFTING, TEXTING, AWAITING, NO_DOT):
        await mailbox.approve(sender)
        await sink.wait_for(sender)
    for sender in (UNANSWERED, UNSETTLED):
        await mailbox.ignore(sender)
    everything = (DRAFTING, TEXTING, AWAITING, *SENDING)
    for sender in everything:
        await stack.reach(id_of(sender), "reply_sent", "user_ignored")
    assert {sender: len(sink.mails[sender]) for sender in everything} == dict.fromkeys(
        everything, 1
    )


async def until_only_postgresql_runs(stack: Stack) -> None:
    """It is found again at the next start; Temporal must not outlive who started it."""

    async def look() -> bool:
        return await stack.running() == [await stack.pid_of("postgres")]

    await until(look, "the end of Temporal")


async def bring_into_their_stages(mailbox: Mailbox, locks: Locks) -> list[int]:
    """Every mail to its point; those backends whose statement is to be lost."""
    sink, lost = mailbox.sink, []
    for sender in (AT_RCPT, UNANSWERED, UNSETTLED, SETTLED):
        await mailbox.approve(sender)
        await sink.until_reached(sender)
        await mailbox.stack.reach(id_of(sender), "user_approved")
    await locks.inserts("sms_messages")
    await mailbox.receive(TEXTING)
    lost.append(await locks.waiting())
    await locks.inserts("drafts")
    await mailbox.receive(DRAFTING)
    await locks.waiting()
    await locks.row("workflow_state", "message_id", id_of(SETTLED))
    sink.may_go[SETTLED].set()
    lost.append(await locks.waiting())
    assert await locks.outcome(marker_of(SETTLED)) == ("sent",)
    await locks.row("send_markers", "key", marker_of(UNSETTLED))
    sink.may_go[UNSETTLED].set()
    lost.append(await locks.waiting())
    await locks.marker(marker_of(NO_DOT))
    await mailbox.approve(NO_DOT)
    await locks.waiting()
    # Its claim is for the statement after that one, and has not left the worker.
    await mailbox.approve(UNCLAIMED)
    for sender in (UNCLAIMED, NO_DOT):
        await mailbox.stack.reach(id_of(sender), "user_approved")
    return lost


async def test_kills_while_mails_arrive(mailbox: Mailbox) -> None:
    """A sender sends again what was not accepted, as RFC 5321 §4.5.4.1 has it."""
    stack = mailbox.stack
    senders = [f"{number}@arriving.example" for number in range(20)]
    accepted: set[str] = set()
    for kill_after in (random.randint(1, 6), random.randint(8, 16)):
        await deliver(stack, senders, accepted, kill_after)
        await stack.ended()
        await stack.start()
        assert accepted <= await started(stack, senders), "a mail that got a 250 is lost"
    await deliver(stack, senders, accepted, kill_after=len(senders) + 1)
    workflows = await started(stack, senders)
    print(f"ledger: {len(accepted)} accepted = {len(workflows)} workflows")
    assert workflows == accepted == set(senders)
    await mailbox.rest(*senders)
    await asyncio.gather(*(mailbox.approve(sender) for sender in senders))
    for sender in senders:
        await stack.reach(id_of(sender), "reply_sent")
    assert [len(mailbox.sink.mails[sender]) for sender in senders] == [1] * len(senders)


async def deliver(stack: Stack, senders: list[str], accepted: set[str], kill_after: int) -> None:
    """Several senders at once; SIGKILL once that many mails are accepted."""
    room = asyncio.Semaphore(5)

    async def one(sender: str) -> None:
        async with room:
            try:
                await stack.send(letter(sender), sender)
            except (aiosmtplib.SMTPException, OSError):
                return
        accepted.add(sender)
        if len(accepted) == kill_after:
            stack.kill()

    await asyncio.gather(*(one(sender) for sender in senders if sender not in accepted))


@pytest.mark.parametrize("server", ["temporal", "postgres"])
async def test_a_server_killed_while_we_run_is_started_again(mailbox: Mailbox, server: str) -> None:
    """Mail is taken all the while: it goes on, or is kept."""
    stack = mailbox.stack
    await mailbox.receive("before@example.com")
    await mailbox.at_rest("before@example.com")
    killed = await stack.pid_of(server)
    os.kill(killed, signal.SIGKILL)
    await mailbox.receive("during@example.com")
    posted = await stack.client.post("/emails", content=letter("posted@example.com"))
    assert posted.status_code == 202, posted.text
    for sender in ("before@example.com", "during@example.com", "posted@example.com"):
        await stack.reach(id_of(sender), "awaiting_user")
        await mailbox.approve(sender)
        await mailbox.sink.wait_for(sender)
    assert await stack.pid_of(server) != killed
    assert (await stack.client.get("/health")).status_code == 200


async def test_ctrl_c_and_a_second_start(tmp_path: Path) -> None:
    async with stack_in(tmp_path / "stack") as stack:
        for sender in ("sent@example.com", "waiting@example.com"):
            await stack.send(letter(sender), sender)
            await stack.reach(id_of(sender), "awaiting_user")
        await stack.decide(id_of("sent@example.com"), "1")
        await stack.reach(id_of("sent@example.com"), "reply_sent")
        seen = await what_is_there(stack)
        assert [len(part) for part in seen.values()] == [2, 2, 1]
        assert await stack.interrupt() == 0
        assert await stack.running() == []
        assert "Stopped; everything is kept" in stack.output.read_text()
        await stack.start()
        assert await what_is_there(stack) == seen
        await stack.decide(id_of("waiting@example.com"), "1")
        await stack.reach(id_of("waiting@example.com"), "reply_sent")
        assert len((await what_is_there(stack))["/dev/outbox"]) == 2


async def what_is_there(stack: Stack) -> dict[str, list[object]]:
    """All mails, the phone's texts, the outbox."""
    paths = ("/workflow", "/dev/sms", "/dev/outbox")
    found = [(await stack.client.get(path)).json() for path in paths]
    return dict(zip(paths, (found[0]["items"], *found[1:]), strict=True))


async def test_sigterm_while_sending_waits_for_the_answer(mailbox: Mailbox) -> None:
    stack, sender = mailbox.stack, "hold-answer@example.com"
    await mailbox.receive(sender)
    await mailbox.at_rest(sender)
    await mailbox.approve(sender)
    await mailbox.sink.until_reached(sender)
    assert stack.process is not None
    stack.process.send_signal(signal.SIGTERM)

    async def stops() -> bool:
        return "Stopping" in stack.output.read_text()

    await until(stops, "a stop")
    mailbox.sink.may_go[sender].set()
    assert await stack.ended() == 0
    await stack.start()
    assert await mailbox.rest(sender) == {sender: ("reply_sent", 1)}
