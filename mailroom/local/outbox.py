"""The outgoing mail catcher: an SMTP server that keeps what it is given and sends nothing."""

import asyncio
import base64
import os
import time
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import APIRouter
from pydantic import BaseModel

from mailroom.bridge.auth import Who

LARGEST = 64 * 1024 * 1024


class OutboxMail(BaseModel):
    """One mail that left; `raw` is base64."""

    id: str
    message_id: str | None
    sender: str | None
    to: str | None
    subject: str | None
    in_reply_to: str | None
    references: str | None
    body: str
    raw: str


class Outbox:
    """A folder of .eml files, one for each mail, in order of arrival."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._parsed: dict[str, OutboxMail] = {}
        self.changed = asyncio.Condition()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        name = self.keep(envelope.original_content or b"")
        async with self.changed:
            self.changed.notify_all()
        return f"250 2.0.0 kept in the outbox as {name}"

    def keep(self, raw: bytes) -> str:
        """Durable before it is confirmed, as a real server's queue."""
        name = f"{time.time_ns()}.eml"
        unfinished = self._folder / f".{name}"
        with unfinished.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._folder / name)
        return name

    def mails(self) -> list[OutboxMail]:
        """Oldest first."""
        names = sorted(path.name for path in self._folder.glob("[0-9]*.eml"))
        return [self._mail(name) for name in names]

    def _mail(self, name: str) -> OutboxMail:
        if name not in self._parsed:
            self._parsed[name] = _parse(name, (self._folder / name).read_bytes())
        return self._parsed[name]

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        factory = partial(
            SMTP, self, data_size_limit=LARGEST, enable_SMTPUTF8=True, ident="outbox", loop=loop
        )
        return await loop.create_server(factory, host, port)


def _parse(name: str, raw: bytes) -> OutboxMail:
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain",))
    return OutboxMail(
        id=name,
        message_id=message["Message-ID"],
        sender=message["From"],
        to=message["To"],
        subject=message["Subject"],
        in_reply_to=message["In-Reply-To"],
        references=message["References"],
        body=body.get_content() if body else "",
        raw=base64.b64encode(raw).decode(),
    )


def router(outbox: Outbox) -> APIRouter:
    routes = APIRouter(tags=["dev"])

    @routes.get("/dev/outbox")
    async def mails(who: Who) -> list[dict[str, str | None]]:
        """Mail that left, oldest first."""
        return [_shown(mail) for mail in outbox.mails()]

    return routes


def _shown(mail: OutboxMail) -> dict[str, str | None]:
    fields = mail.model_dump()
    return {"from": fields.pop("sender"), **fields}
