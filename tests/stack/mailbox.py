"""A stack to be killed, between a gateway and a mail server that outlive it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.service import RPCError, RPCStatusCode
from world import PHONE, Gateway, Handset, gateway_running, mail

from mailroom.models.names import email_reply_id
from stack.holding import HoldingSink, holding_sink
from stack.process import Stack, stack_in

OWNER = "owner@mailroom.test"


@dataclass
class Mailbox:
    stack: Stack
    gateway: Gateway
    sink: HoldingSink

    @property
    def phone(self) -> Handset:
        secret = (self.stack.data_dir / "webhook-secret").read_text().strip()
        return Handset(self.stack.client, secret)

    async def receive(self, sender: str) -> None:
        answer = await self.stack.send(letter(sender), sender)
        assert answer.startswith("2.0.0 Accepted")

    async def approve(self, sender: str) -> None:
        response = await self.stack.decide(id_of(sender), "1")
        assert response.status_code == 200, response.text

    async def ignore(self, sender: str) -> None:
        response = await self.stack.decide(id_of(sender), "3")
        assert response.status_code == 200, response.text

    async def rest(self, *senders: str) -> dict[str, tuple[str, int]]:
        """State and number of replies of each, as soon as it rests."""
        rows = await asyncio.gather(*(self.at_rest(sender) for sender in senders))
        states = [row["reason"] or row["current_state"] for row in rows]
        counts = [len(self.sink.mails[sender]) for sender in senders]
        return dict(zip(senders, zip(states, counts, strict=True), strict=True))

    async def at_rest(self, sender: str) -> dict[str, object]:
        return await self.stack.reach(
            id_of(sender), "awaiting_user", "reply_sent", "failed", "user_ignored"
        )


def letter(sender: str) -> bytes:
    return mail(sender=sender, subject=f"Meeting {sender}", message_id=id_of(sender), name="")


def id_of(sender: str) -> str:
    return f"<{sender}>"


def marker_of(sender: str) -> str:
    return f"{email_reply_id('owner', id_of(sender))}/1"


@asynccontextmanager
async def mailbox_in(folder: Path) -> AsyncIterator[Mailbox]:
    async with gateway_running() as gateway, holding_sink() as sink:
        routes = {
            "EMAIL_ADDRESS": OWNER,
            "YOUR_PHONE_NUMBER": PHONE,
            "SMS_GATEWAY_URL": gateway.url,
            "GMAIL_SMTP_SERVER": "127.0.0.1",
            "GMAIL_SMTP_PORT": str(sink.port),
        }
        async with stack_in(folder, **routes) as stack:
            yield Mailbox(stack, gateway, sink)


async def started(stack: Stack, senders: list[str]) -> set[str]:
    """Those whose mail has a workflow. Asked for one by one: lists are a little behind."""
    temporal = await stack.temporal()

    async def has_one(sender: str) -> bool:
        workflow_id = email_reply_id("owner", id_of(sender))
        try:
            await temporal.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    found = await asyncio.gather(*map(has_one, senders))
    return {sender for sender, is_there in zip(senders, found, strict=True) if is_there}
