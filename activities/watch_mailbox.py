"""Watches one mailbox and hands its mail over; runs as long as the connection holds."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.sent_answers import SentAnswers
from activities.taking import Taking
from mailroom.models.mailbox import Cursor, MailboxWatch, Reading, Watched
from mailroom.ports import Inbox, LoginRefused, MailboxStore, MailSession, MailSource, Transient

# A session is ended and begun anew, so that its workflow's history is cut now and then.
LONGEST_SESSION = timedelta(hours=6)
# One that held this long is no failed attempt: the next begins without a pause.
GOOD_SESSION = timedelta(minutes=1)
LOGIN_PAUSE = timedelta(minutes=1)
# A worker that doesn't know a mailbox may be an older one; after so many tries none knows it.
TRIES_TO_FIND = 12


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
        await self.store.let_go(activity.info().workflow_id or "")
        return Watched.GONE

    async def session(self, source: MailSource, begun: _Begun) -> None:
        mailbox = source.mailbox
        reading = await self.store.reading(mailbox)
        end = datetime.now(UTC) + LONGEST_SESSION
        async with source.open() as session:
            begun.begun = datetime.now(UTC)
            cursor, since = _cursor(reading, session), reading.answer_since
            sent = SentAnswers(self.inbox, self.store, session, mailbox, since)
            while datetime.now(UTC) < end:
                answers = await sent.look()
                taking = Taking(self.inbox, self.store, mailbox, self.most_bytes, answers.answered)
                cursor = await taking.take_new(session, cursor, since)
                await sent.settle(answers)
                await self.store.looked(mailbox)
                await session.wait()


def _cursor(reading: Reading, session: MailSession) -> Cursor:
    """Another UIDVALIDITY: all UIDs are new, and nothing is known of the old ones."""
    cursor = reading.cursor
    if cursor is not None and cursor.uidvalidity == session.uidvalidity:
        return cursor
    return Cursor(uidvalidity=session.uidvalidity, uid=0)


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
