"""Somebody who puts mail into a mailbox, and the house that watches it."""

import asyncio
import imaplib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from house import House
from sqlalchemy import text
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError
from world import eventually

from mailroom.adapters.mailboxes import mailboxes_of
from mailroom.local.dovecot import Dovecot
from mailroom.models.mailbox import Mailbox
from worker import keep_watches

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Post:
    """The other side of a mailbox: what a sender's server and another mail program do."""

    dovecot: Dovecot
    user: str
    password: str

    @property
    def mailbox(self) -> Mailbox:
        return Mailbox.model_validate(
            {
                "owner": "owner",
                "host": self.dovecot.host,
                "port": self.dovecot.port,
                "user": self.user,
                "password": self.password,
                "address": "owner@mailroom.test",
            }
        )

    @property
    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.dovecot.ca)

    async def append(
        self, *mails: bytes, at: datetime | None = None, folder: str = "INBOX"
    ) -> None:
        def put(box: imaplib.IMAP4) -> None:
            date = imaplib.Time2Internaldate(at) if at else ""
            for raw in mails:
                kind, answer = box.append(f'"{folder}"', "", date, raw)
                assert kind == "OK", answer

        await self._with(put)

    async def create(self, folder: str) -> None:
        def make(box: imaplib.IMAP4) -> None:
            kind, answer = box.create(f'"{folder}"')
            assert kind == "OK", answer

        await self._with(make)

    async def seen(self) -> list[bool]:
        """Of each mail in the mailbox."""

        def look(box: imaplib.IMAP4) -> list[bool]:
            box.select("INBOX", readonly=True)
            _, lines = box.fetch("1:*", "(FLAGS)")
            return [b"\\Seen" in line for line in lines if isinstance(line, bytes)]

        return await self._with(look)

    async def _with(self, use: Callable[[imaplib.IMAP4], T]) -> T:
        def session() -> T:
            with imaplib.IMAP4_SSL(
                self.dovecot.host, self.dovecot.port, ssl_context=self.trusting
            ) as box:
                box.login(self.user, self.password)
                return use(box)

        return await asyncio.to_thread(session)


@dataclass
class Watched:
    """A house whose owner's mailbox this is."""

    house: House
    post: Post

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """A worker, as `mailroom worker` starts it."""
        async with self.house.at_work():
            await keep_watches(self.house.adapters, self.house.settings)
            yield

    @property
    def mailbox(self) -> Mailbox:
        [mailbox] = mailboxes_of(self.house.settings, self.house.adapters.owners.values())
        return mailbox

    @property
    def workflow(self) -> WorkflowHandle[Any, Any]:
        return self.house.client.get_workflow_handle(self.mailbox.id)

    def set(self, **settings: object) -> None:
        self.house.settings = self.house.settings.model_copy(update=settings)

    async def row(self, part: str = "") -> Any:
        """None before the first sight."""
        query = text("SELECT * FROM mailboxes WHERE id = :id")
        async with self.house.adapters.engines.read.connect() as connection:
            return (await connection.execute(query, {"id": self.mailbox.id + part})).first()

    async def until(self, holds: Callable[[Any], bool], seconds: float = 30, part: str = "") -> Any:
        """The row, once it is so."""

        async def is_so() -> bool:
            row = await self.row(part)
            return row is not None and holds(row)

        await eventually(is_so, seconds)
        return await self.row(part)

    async def looked_into(self) -> None:
        await self.until(lambda row: row.seen_at is not None)

    async def texted(self, marker: str, seconds: float = 30) -> list[str]:
        return await self.house.gateway.wait_for(marker, seconds=seconds)

    async def not_watched(self) -> bool:
        """No session is open or planned."""
        return not (await self.workflow.describe()).raw_description.pending_activities

    async def forget(self) -> None:
        with suppress(RPCError):
            await self.workflow.terminate()
