"""Mailboxes over IMAP (port `MailSource`), by imap-tools in a thread of their own each.

TLS always, and the certificate is verified. The folder is opened with EXAMINE and mail is read
with BODY.PEEK[], so nothing is marked as read (RFC 3501 §6.3.2, §6.4.5).
"""

import asyncio
import imaplib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Any, TypeVar

from imap_tools import MailBox, MailBoxStartTls, MailMessageFlags
from imap_tools.errors import ImapToolsError, MailboxLoginError, MailboxTaggedResponseError
from imap_tools.mailbox import BaseMailBox

from mailroom.adapters import imap_mails, imap_sent
from mailroom.adapters.imap_mails import Described
from mailroom.adapters.token_command import token_from
from mailroom.models.mailbox import Folder, Found, Mailbox
from mailroom.ports import LoginRefused, NoFolder, Transient

T = TypeVar("T")

INBOX = "INBOX"
STARTTLS_PORT = 143
SOCKET_SECONDS = 60
# IDLE is issued anew this often (RFC 2177: at least every 29 minutes), so that a connection
# that died silently is noticed soon; servers without IDLE are asked this often.
WAIT_SECONDS = 60.0
DESCRIBED_AT_ONCE = 100
PROBLEM_LENGTH = 200

# Refusals that are not about the password (RFC 5530 §3).
_BUSY = re.compile(r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|CONTACTADMIN|OVERQUOTA)\]")


@dataclass(frozen=True)
class ImapSource:
    mailbox: Mailbox
    tls: ssl.SSLContext | None = None
    wait_seconds: float = WAIT_SECONDS

    @asynccontextmanager
    async def open(self) -> AsyncIterator["ImapSession"]:
        # A thread of its own: IDLE keeps it, and a hundred mailboxes must not starve the others.
        thread = ThreadPoolExecutor(1, thread_name_prefix="imap")
        connection = _Connection(self.mailbox, self.tls or ssl.create_default_context())
        session = ImapSession(connection, thread, self.wait_seconds)
        try:
            await session.run(connection.open, await _secret(self.mailbox))
            yield session
        finally:
            connection.interrupt()
            thread.submit(connection.close)
            thread.shutdown(wait=False)


class ImapSession:
    """Port `MailSession`."""

    def __init__(
        self, connection: "_Connection", thread: ThreadPoolExecutor, wait_seconds: float
    ) -> None:
        self._connection = connection
        self._thread = thread
        self._wait_seconds = wait_seconds

    @property
    def uidvalidity(self) -> int:
        return self._connection.uidvalidity

    @property
    def has_idle(self) -> bool:
        return self._connection.has_idle

    async def mails(self, after: int, since: datetime, most_bytes: int) -> AsyncIterator[Found]:
        async for one in self._described(after, since):
            yield await self._found(one, since, most_bytes)

    async def sent_folder(self) -> Folder | None:
        return await self.run(self._connection.sent_folder)

    async def sent_mails(self, folder: Folder, after: int, since: datetime) -> AsyncIterator[Found]:
        """Leaves the INBOX meanwhile; a session that is given up in the middle is at its end."""
        await self.run(self._connection.open_folder, folder.name)
        async for one in self._described(after, since):
            raw = await self.run(self._connection.header, one.uid) if one.arrived >= since else None
            yield Found(uid=one.uid, arrived=one.arrived, raw=raw, size=one.size)
        await self.run(self._connection.open_folder, INBOX)

    async def _described(self, after: int, since: datetime) -> AsyncIterator[Described]:
        uids = await self.run(self._connection.search, after, since)
        for start in range(0, len(uids), DESCRIBED_AT_ONCE):
            batch = uids[start : start + DESCRIBED_AT_ONCE]
            for one in await self.run(self._connection.describe, batch):
                yield one

    async def _found(self, one: Described, since: datetime, most_bytes: int) -> Found:
        found = Found(uid=one.uid, arrived=one.arrived, raw=None, size=one.size)
        if one.arrived < since:
            return found
        raw = await self.run(self._connection.body, one, most_bytes)
        if raw is not None:
            return found.model_copy(update={"raw": raw})
        header = await self.run(self._connection.header, one.uid)
        return found.model_copy(update={"raw": header, "too_large": header is not None})

    async def mark_seen(self, uid: int) -> None:
        await self.run(self._connection.mark_seen, uid)

    async def wait(self) -> None:
        await self.run(self._connection.wait, self._wait_seconds)

    async def run(self, step: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._connection.told_apart, step, *arguments
        )


class _Connection:
    """The blocking side; all but `interrupt` runs in the session's thread."""

    def __init__(self, mailbox: Mailbox, tls: ssl.SSLContext) -> None:
        self._mailbox = mailbox
        self._tls = tls
        self._interrupted = Event()
        self._box: BaseMailBox | None = None
        self._sent: str | None = None
        self.uidvalidity = 0
        self.has_idle = False

    def told_apart(self, step: Callable[..., T], *arguments: Any) -> T:
        with _our_words(self._mailbox):
            return step(*arguments)

    def open(self, secret: str) -> None:
        place = {"host": self._mailbox.host, "port": self._mailbox.port}
        kind = MailBoxStartTls if self._mailbox.port == STARTTLS_PORT else MailBox
        self._box = box = kind(**place, timeout=SOCKET_SECONDS, ssl_context=self._tls)
        box.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._log_in(box, secret)
        # What a server can do may change with the login (RFC 3501 §6.2.3).
        _, capabilities = box.client.capability()
        self.has_idle = b"IDLE" in capabilities[-1].upper().split()
        box.folder.set(INBOX, readonly=not self._mailbox.mark_seen)
        _, [uidvalidity] = box.client.response("UIDVALIDITY")
        self.uidvalidity = int(uidvalidity or 0)
        self._told_of_new()

    def _log_in(self, box: BaseMailBox, secret: str) -> None:
        user = self._mailbox.user
        how: Callable[..., BaseMailBox] = box.login
        if self._mailbox.token_command:
            how = box.xoauth2
        elif not (user + secret).isascii():
            how = box.login_utf8  # LOGIN takes ASCII only
        try:
            how(user, secret, initial_folder=None)
        except imaplib.IMAP4.abort:
            raise
        except (MailboxLoginError, imaplib.IMAP4.error) as error:
            raise _refused(self._mailbox, error) from None

    @property
    def box(self) -> BaseMailBox:
        assert self._box is not None, "not opened"
        return self._box

    def open_folder(self, name: str) -> None:
        """Nothing is marked as read in a folder that is examined (RFC 3501 §6.3.2)."""
        inbox = name == INBOX
        self.box.folder.set(name, readonly=not (inbox and self._mailbox.mark_seen))
        self._told_of_new()

    def search(self, after: int, since: datetime) -> list[int]:
        self._told_of_new()
        return imap_mails.search(self.box, after, since)

    def describe(self, uids: Sequence[int]) -> list[Described]:
        return imap_mails.describe(self.box, uids)

    def body(self, one: Described, most_bytes: int) -> bytes | None:
        """None of what is larger, also where the server says another size."""
        if one.size > most_bytes:
            return None
        return imap_mails.body(self.box, one.uid, most_bytes)

    def header(self, uid: int) -> bytes | None:
        return imap_mails.header(self.box, uid)

    def sent_folder(self) -> Folder | None:
        """Looked for until there is one: many programs make it with the first mail."""
        if self._sent is None:
            self._sent = self._mailbox.sent_folder or imap_sent.named(self.box)
        try:
            return imap_sent.status(self.box, self._sent) if self._sent else None
        except NoFolder:
            self._sent = None
            raise

    def mark_seen(self, uid: int) -> None:
        self.box.flag([str(uid)], [MailMessageFlags.SEEN], value=True)

    def wait(self, seconds: float) -> None:
        if self._told_of_new():
            return
        if self.has_idle:
            self._idle(seconds)
        elif not self._interrupted.wait(seconds):
            self.box.client.noop()

    def _idle(self, seconds: float) -> None:
        idle: Any = self.box.idle  # untyped
        try:
            idle.start()
        except MailboxTaggedResponseError:
            idle.stop()  # news came before the "+"
            return
        if not self._buffered():
            idle.poll(timeout=seconds)
        idle.stop()

    def _buffered(self) -> bool:
        """News that came in one packet with the "+" is read already, and poll(2) is blind to
        it."""
        sock = self.box.client.sock
        read: Any = self.box.client.file  # an io.BufferedReader
        before = sock.gettimeout()
        sock.settimeout(0)
        try:
            return bool(read.peek(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            sock.settimeout(before)

    def _told_of_new(self) -> bool:
        """Whether EXISTS came beside an answer since we asked last: IDLE does not repeat it."""
        return any(self.box.client.response("EXISTS")[1])

    def interrupt(self) -> None:
        """Ends whatever the thread waits for."""
        self._interrupted.set()
        if self._box is not None:
            # Not SSLSocket's: that takes the TLS layer away under the thread that reads.
            with suppress(OSError):
                socket.socket.shutdown(self._box.client.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        if self._box is not None:
            with suppress(OSError):
                self._box.client.shutdown()


async def _secret(mailbox: Mailbox) -> str:
    """The password, or a token that is valid now."""
    if mailbox.token_command:
        return await token_from(mailbox.token_command)
    return mailbox.password.get_secret_value() if mailbox.password else ""


def _refused(mailbox: Mailbox, error: Exception) -> Transient:
    said = str(error)[-PROBLEM_LENGTH:]
    if _BUSY.search(said):
        return Transient(f"{mailbox.host} lets nobody in right now: {said}")
    return LoginRefused(f"{mailbox.host} refused the login: {said}")


@contextmanager
def _our_words(mailbox: Mailbox) -> Iterator[None]:
    """What imaplib, OpenSSL and sockets raise, as a sentence; which never has the password."""
    where = f"{mailbox.host}:{mailbox.port}"
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise Transient(
            f"The certificate of {where} is not trusted: {error.verify_message}."
        ) from (error)
    except (OSError, imaplib.IMAP4.error, ImapToolsError) as error:
        said = (str(error) or type(error).__name__)[:PROBLEM_LENGTH]
        raise Transient(f"The connection to {where} failed: {said}") from error
