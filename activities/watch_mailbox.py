"""Watches one mailbox and hands its mail over; runs as long as the connection holds."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from mailroom.models.arrival import Arrival
from mailroom.models.mail import read_mail
from mailroom.models.mailbox import Cursor, Found, Mailbox, MailboxWatch, Reading, Watched
from mailroom.ports import (
    Inbox,
    LoginRefused,
    MailboxStore,
    MailSession,
    MailSource,
    Transient,
)

log = structlog.get_logger()

# A session is ended and begun anew, so that its workflow's history is cut now and then.
LONGEST_SESSION = timedelta(hours=6)
# One that held this long is no failed attempt: the next begins without a pause.
GOOD_SESSION = timedelta(minutes=1)
LOGIN_PAUSE = timedelta(minutes=1)
# A worker that doesn't know a mailbox may be an older one; after so many tries none knows it.
TRIES_TO_FIND = 12
# Workflow IDs dedupe within Temporal's retention, which is a day or more: what came before that
# may be a mail whose workflow is forgotten, and is looked up in the store.
ID_DEDUPES = timedelta(hours=12)


@dataclass
class _Begun:
    begun: datetime | None = None

    @property
    def held(self) -> bool:
        return self.begun is not None and datetime.now(UTC) - self.begun > GOOD_SESSION


@dataclass(frozen=True)
class WatchMailbox:
    sources: Mapping[tuple[str, str], MailSource]
    inbox: Inbox
    store: MailboxStore
    most_bytes: int

    @activity.defn
    async def watch_mailbox(self, watch: MailboxWatch) -> Watched:
        source = self.source(watch)
        if source is None:
            return await self.not_found()
        begun = _Begun()
        try:
            await _until_told(self.session(source, begun))
        except Transient as error:
            await self.store.trouble(source.mailbox, str(error))
            if isinstance(error, LoginRefused):
                raise ApplicationError(
                    str(error), type="LoginRefused", next_retry_delay=LOGIN_PAUSE
                ) from error
            if not begun.held:
                raise
        return Watched.AGAIN

    def source(self, watch: MailboxWatch) -> MailSource | None:
        """None also for an account that the mailbox of this name no longer is."""
        source = self.sources.get((watch.owner, watch.name))
        ours = source is not None and source.mailbox.id == activity.info().workflow_id
        return source if ours else None

    async def not_found(self) -> Watched:
        if activity.info().attempt < TRIES_TO_FIND:
            raise Transient("This worker is not configured for this mailbox.")
        return Watched.GONE

    async def session(self, source: MailSource, begun: _Begun) -> None:
        mailbox = source.mailbox
        reading = await self.store.reading(mailbox)
        end = datetime.now(UTC) + LONGEST_SESSION
        async with source.open() as session:
            begun.begun = datetime.now(UTC)
            cursor = _cursor(reading, session)
            while datetime.now(UTC) < end:
                cursor = await self.take_new(mailbox, session, cursor, reading.answer_since)
                await self.store.looked(mailbox)
                await session.wait()

    async def take_new(
        self, mailbox: Mailbox, session: MailSession, cursor: Cursor, since: datetime
    ) -> Cursor:
        async for found in session.mails(cursor.uid, since, self.most_bytes):
            raw = found.raw
            taken = raw is not None and await self.take(mailbox, found, raw)
            if taken and mailbox.mark_seen:
                await session.mark_seen(found.uid)
            cursor = Cursor(uidvalidity=cursor.uidvalidity, uid=found.uid)
            await self.store.move(mailbox, cursor)
        return cursor

    async def take(self, mailbox: Mailbox, found: Found, raw: bytes) -> bool:
        """Whether it was accepted, now or earlier."""
        if datetime.now(UTC) - found.arrived > ID_DEDUPES:
            mail = await asyncio.to_thread(read_mail, raw)
            if await self.store.taken(mailbox.owner, mail.message_id):
                return True
        try:
            await self.inbox.accept(Arrival(raw=raw, sender=None, recipients=(mailbox.address,)))
        except Exception:
            if await asyncio.to_thread(_readable, raw):
                raise
            # It stays in the mailbox; those behind it must not wait for ever.
            log.exception("a mail can't be read and is skipped", uid=found.uid)
            return False
        return True


def _cursor(reading: Reading, session: MailSession) -> Cursor:
    """Another UIDVALIDITY: all UIDs are new, and nothing is known of the old ones."""
    cursor = reading.cursor
    if cursor is not None and cursor.uidvalidity == session.uidvalidity:
        return cursor
    return Cursor(uidvalidity=session.uidvalidity, uid=0)


def _readable(raw: bytes) -> bool:
    try:
        read_mail(raw)
    except Exception:  # noqa: BLE001  whatever it is that the mail provokes
        return False
    return True


async def _until_told(session: Coroutine[Any, Any, None]) -> None:
    """Runs the session until it ends or this worker is to stop; another takes it up then."""
    running = asyncio.ensure_future(session)
    stop = asyncio.ensure_future(activity.wait_for_worker_shutdown())
    try:
        await asyncio.wait({running, stop}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        for task in (running, stop):
            task.cancel()
        await asyncio.gather(running, stop, return_exceptions=True)
