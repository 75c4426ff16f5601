"""SIGKILL of anything, at any moment, with mail and webhooks coming in: what was accepted is what
was started, and what was decided."""

import asyncio
import os
import random
import re
import signal
from dataclasses import dataclass, field

import aiosmtplib
import httpx

from stack.mailbox import Mailbox, id_of, letter, started
from stack.process import until

MAILS = 40
KILLED = ("temporal", "mailroom", "postgres", "mailroom", "temporal")
ABOUT = re.compile(r"(\d+@ledger\.example)")
CODE = re.compile(r"\b([A-Z]\d[A-Z]\d)\b")


@dataclass
class Ledger:
    """`mails` got a 250, `words` a 2xx, each by the sender of its mail."""

    mailbox: Mailbox
    mails: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    offered: int = 0

    async def deliver(self, senders: list[str]) -> None:
        """As a mail server does: again, until it is accepted (RFC 5321 §4.5.4.1)."""
        while senders:
            sender = senders.pop()
            try:
                self.offered += 1
                await self.mailbox.stack.send(letter(sender), sender)
                self.mails.add(sender)
            except (aiosmtplib.SMTPException, OSError):
                senders.insert(0, sender)
            await asyncio.sleep(random.uniform(0.1, 0.3))

    async def answer(self) -> None:
        """The owner says 3 to every draft, once."""
        gateway, read = self.mailbox.gateway, 0
        while len(self.words) < MAILS:
            async with gateway.arrived:
                await gateway.arrived.wait_for(lambda seen=read: len(gateway.texts) > seen)
            body, read = gateway.texts[read].body, read + 1
            about, code = ABOUT.search(body), CODE.search(body)
            if about and code and about[1] not in self.words:
                await self.say(about[1], f"3 {code[1]}")

    async def say(self, sender: str, word: str) -> None:
        """As a gateway does: the same text again, until it is accepted."""
        while True:
            try:
                raw = self.mailbox.phone.text(word, f"text-{sender}")
                answer = await self.mailbox.phone.post(raw)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                self.words.add(sender)
                return
            await asyncio.sleep(0.2)

    async def kill(self) -> None:
        stack = self.mailbox.stack
        for what in KILLED:
            await asyncio.sleep(random.uniform(0.5, 2))
            if what == "mailroom":
                stack.kill()
                await stack.ended()
                await stack.start()
            else:
                os.kill(await stack.pid_of(what), signal.SIGKILL)


async def test_the_ledger_holds_whatever_is_killed(mailbox: Mailbox) -> None:
    senders = [f"{number}@ledger.example" for number in range(MAILS)]
    ledger, waiting = Ledger(mailbox), senders[:]
    async with asyncio.timeout(150), asyncio.TaskGroup() as group:
        group.create_task(ledger.kill())
        group.create_task(ledger.answer())
        for _ in range(3):
            group.create_task(ledger.deliver(waiting))
    for sender in senders:
        await mailbox.stack.reach(id_of(sender), "user_ignored")
    await until(mailbox.stack._is_healthy, "the last start of what was killed")
    workflows = await started(mailbox.stack, senders)
    print(f"killed: {', '.join(KILLED)}")
    print(
        f"mails: {ledger.offered} offered, {len(ledger.mails)} accepted = {len(workflows)} started"
    )
    print(f"texts: {len(ledger.words)} accepted = {len(senders)} decided")
    assert ledger.mails == workflows == set(senders)
    assert ledger.words == set(senders)
    assert mailbox.sink.mails == {}
