"""Takes what is new in a mailbox, each mail once; what can't be taken is shown with the reason."""

import asyncio
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from mailroom.models.arrival import Arrival
from mailroom.models.mail import read_mail
from mailroom.models.mailbox import Cursor, Found, Mailbox
from mailroom.ports import Inbox, MailboxStore, MailSession

log = structlog.get_logger()

# Workflow IDs dedupe within Temporal's retention, which is a day or more: what came before that
# may be a mail whose workflow is forgotten, and is looked up in the store.
ID_DEDUPES = timedelta(hours=12)
ANSWERED = "You answered it yourself before it was drafted."
MIB = 1024 * 1024


@dataclass(frozen=True)
class Taking:
    """`answered` are mails that the owner has answered by themselves."""

    inbox: Inbox
    store: MailboxStore
    mailbox: Mailbox
    most_bytes: int
    answered: Collection[str] = ()

    async def take_new(self, session: MailSession, cursor: Cursor, since: datetime) -> Cursor:
        async for found in session.mails(cursor.uid, since, self.most_bytes):
            taken = found.raw is not None and await self.take(found, found.raw)
            if taken and self.mailbox.mark_seen:
                await session.mark_seen(found.uid)
            cursor = Cursor(uidvalidity=cursor.uidvalidity, uid=found.uid)
            await self.store.move(self.mailbox, cursor)
        return cursor

    async def take(self, found: Found, raw: bytes) -> bool:
        """Whether it was accepted whole, now or earlier."""
        try:
            if await self.taken_before(found, raw):
                return True
            await self.accept(raw, await self.why_not(found, raw))
        except Exception as error:
            if await asyncio.to_thread(_readable, raw):
                raise
            # It stays in the mailbox; those behind it must not wait for ever.
            log.exception("a mail can't be read and is skipped", uid=found.uid)
            await self.accept(_in_its_place(raw), _unreadable(error))
            return False
        return not found.too_large

    async def accept(self, raw: bytes, why_not: str | None) -> None:
        recipients = (self.mailbox.address,)
        await self.inbox.accept(
            Arrival(raw=raw, sender=None, recipients=recipients, why_not=why_not)
        )

    async def taken_before(self, found: Found, raw: bytes) -> bool:
        if datetime.now(UTC) - found.arrived <= ID_DEDUPES:
            return False
        mail = await asyncio.to_thread(read_mail, raw)
        return await self.store.taken(self.mailbox.owner, mail.message_id)

    async def why_not(self, found: Found, raw: bytes) -> str | None:
        if found.too_large:
            return (
                f"It has {found.size / MIB:.1f} MiB, more than MAILROOM_MAX_MESSAGE_BYTES "
                f"({self.most_bytes / MIB:.1f} MiB), and stays in the mailbox."
            )
        if self.answered:
            mail = await asyncio.to_thread(read_mail, raw)
            return ANSWERED if mail.message_id in self.answered else None
        return None


def _readable(raw: bytes) -> bool:
    try:
        read_mail(raw)
    except Exception:  # noqa: BLE001  whatever it is that the mail provokes
        return False
    return True


def _in_its_place(raw: bytes) -> bytes:
    """A mail that stands for one that can't be read: the same for the same bytes."""
    name = hashlib.sha256(raw).hexdigest()[:32]
    return f"Message-ID: <{name}@mailroom.invalid>\r\nSubject: (unreadable)\r\n\r\n".encode()


def _unreadable(error: Exception) -> str:
    return f"It can't be read ({type(error).__name__}), and stays in the mailbox."
