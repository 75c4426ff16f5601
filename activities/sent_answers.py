"""What the owner answered by themselves: read from the folder where their mail programs keep what
they sent. Nothing there is ever answered."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from mailroom.models.mail import read_mail
from mailroom.models.mailbox import Cursor, Folder, Mailbox
from mailroom.models.own_answers import answered_by_owner
from mailroom.ports import Inbox, MailboxStore, MailSession, NoFolder


@dataclass(frozen=True)
class Answers:
    """Message-IDs of mails that the owner has answered; `up_to` is how far that was read."""

    answered: frozenset[str] = frozenset()
    up_to: Cursor | None = None


@dataclass
class SentAnswers:
    """Of one session. `look`, take what is new in the INBOX, then `settle`: an answer to a mail
    that we have not seen yet must not be forgotten before the mail is taken."""

    inbox: Inbox
    store: MailboxStore
    session: MailSession
    account: Mailbox
    since: datetime
    _mailbox: Mailbox | None = field(default=None, init=False)
    _cursor: Cursor | None = field(default=None, init=False)

    async def look(self) -> Answers:
        try:
            folder = await self.session.sent_folder()
        except NoFolder as error:
            await self._trouble(str(error))
            return Answers()
        if folder is None:
            return Answers()
        cursor = await self._read_up_to(folder)
        if folder.last_uid <= cursor.uid:
            return Answers(up_to=cursor)
        return await self._read(folder, cursor)

    async def settle(self, answers: Answers) -> None:
        for message_id in sorted(answers.answered):
            await self.inbox.owner_answered(self.account.owner, message_id)
        if self._mailbox and answers.up_to and answers.up_to != self._cursor:
            await self.store.move(self._mailbox, answers.up_to)
            self._cursor = answers.up_to

    async def _read(self, folder: Folder, cursor: Cursor) -> Answers:
        answered, last = set(), folder.last_uid
        async for found in self.session.sent_mails(folder, cursor.uid, self.since):
            last = max(last, found.uid)
            if found.raw is not None:
                sent = await asyncio.to_thread(read_mail, found.raw)
                answered.add(answered_by_owner(sent, self.account.owner))
        return Answers(
            answered=frozenset(one for one in answered if one),
            up_to=Cursor(uidvalidity=folder.uidvalidity, uid=last),
        )

    async def _read_up_to(self, folder: Folder) -> Cursor:
        """The first time in a session, what the store knows; other UIDs are all new."""
        mailbox = self.account.sent(folder.name)
        if mailbox != self._mailbox:
            self._cursor = (await self.store.reading(mailbox)).cursor
            await self.store.looked(mailbox)
            self._mailbox = mailbox
        if self._cursor is None or self._cursor.uidvalidity != folder.uidvalidity:
            return Cursor(uidvalidity=folder.uidvalidity, uid=0)
        return self._cursor

    async def _trouble(self, problem: str) -> None:
        """Shown; the INBOX is read all the same."""
        mailbox = self.account.sent(self.account.sent_folder or "")
        await self.store.reading(mailbox)
        await self.store.trouble(mailbox, problem)
        self._mailbox = None
