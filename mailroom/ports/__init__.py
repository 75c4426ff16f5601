"""What activities need of the world. Adapters implement it; tests may fake it.

Every method raises `Permanent` where trying again can't help and `Transient` where it may;
which is which is decided in one place of each adapter.
"""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from mailroom.models.arrival import Accepted, Arrival
from mailroom.models.email_reply import Draft, MailRef
from mailroom.models.mailbox import Cursor, Folder, Found, Mailbox, Reading
from mailroom.models.poll import StatusReport, TakenMail
from mailroom.models.retention import DueMail, Kept, OldOne
from mailroom.models.rows import (
    Change,
    Marker,
    NewDraft,
    OpenMail,
    SendOutcome,
    SentReply,
    SentText,
)
from mailroom.models.states import ProcessedStatus
from mailroom.models.templates import Drafted, DraftRequest, EarlierMail, OwnersEdit


class Permanent(Exception):
    """Refused for good. The message is a sentence for the owner."""


class Transient(Exception):
    """Failed this time. The message is a sentence for the owner; `retry_after` is how long to wait,
    where somebody said so."""

    def __init__(self, sentence: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class StoreAway(Exception):
    """Our own store can't be reached: nobody's failure, and nothing that a person can mend."""


class LoginRefused(Transient):
    """The server is there and does not let us in: somebody has to mend the password."""


class NoFolder(Transient):
    """A mailbox has no folder of that name (yet)."""


class SendUnknown(Exception):
    """The final dot may have arrived and no answer came (RFC 1047): never resent by itself."""


class Inbox(Protocol):
    """Where every source hands its mail over."""

    async def accept(self, arrival: Arrival) -> Accepted:
        """Returns once the mail is durable; the same mail again is accepted as not new. Raises
        if it can't be taken right now."""

    async def owner_answered(self, owner: str, message_id: str) -> None:
        """The owner answered this mail in another program: a draft for it is needless."""


class MailMonitor(Protocol):
    """A service that holds mail until it is asked."""

    def pending(self) -> AbstractAsyncContextManager[Iterator[object]]:
        """Its mails, one by one, as it wrote them: data, and possibly nonsense."""

    async def report(self, monitor_id: str, status: ProcessedStatus) -> bool:
        """Tells it what became of a mail; False where it doesn't want to be told."""


class MonitoredMails(Protocol):
    """Mails that came from the monitor, and what it was told of them."""

    async def known(self, digests: Collection[str]) -> set[str]:
        """Those of them that were kept before."""

    async def keep(self, mails: Collection[TakenMail]) -> None: ...

    async def changed(self, limit: int) -> Sequence[StatusReport]:
        """What the monitor has not been told, by longest not asked."""

    async def reported(self, reports: Collection[StatusReport]) -> None: ...

    async def asked(self, report: StatusReport) -> None:
        """The monitor did not take this one now."""

    async def polled(self) -> None:
        """The monitor answered, just now."""


class MailSession(Protocol):
    """One connection to a mailbox. Raises `Transient` when it is lost."""

    @property
    def uidvalidity(self) -> int: ...

    def mails(self, after: int, since: datetime, most_bytes: int) -> AsyncIterator[Found]:
        """Mails with a higher UID, in their order; without bytes those that arrived before
        `since` or are gone."""

    async def sent_folder(self) -> Folder | None:
        """Where the owner's own mail is; None: nowhere that we know. Raises `NoFolder`."""

    def sent_mails(self, folder: Folder, after: int, since: datetime) -> AsyncIterator[Found]:
        """The headers of what the owner sent since, like `mails`."""

    async def mark_seen(self, uid: int) -> None: ...

    async def wait(self) -> None:
        """Returns when something may have come, after a minute at most."""


class MailSource(Protocol):
    @property
    def mailbox(self) -> Mailbox: ...

    def open(self) -> AbstractAsyncContextManager[MailSession]:
        """Raises `LoginRefused` or `Transient`."""


class MailboxStore(Protocol):
    """How far each mailbox was read, and what keeps it from being read."""

    async def reading(self, mailbox: Mailbox) -> Reading: ...

    async def move(self, mailbox: Mailbox, cursor: Cursor) -> None: ...

    async def looked(self, mailbox: Mailbox) -> None:
        """We were in just now, so nothing is wrong."""

    async def trouble(self, mailbox: Mailbox, problem: str) -> None:
        """Since when is kept from the first of several."""

    async def let_go(self, mailbox_id: str) -> None:
        """It is not configured any more; nothing of it is a problem."""

    async def taken(self, owner: str, message_id: str) -> bool:
        """Whether a mail has been accepted before, however long ago."""


class Blobs(Protocol):
    """Immutable bytes by SHA-256."""

    async def put(self, data: bytes) -> str:
        """The hash, once the bytes are durable."""

    async def get(self, sha256: str) -> bytes: ...

    async def discard(self, sha256: str) -> None:
        """Deletes it, if it is there; nobody may refer to it any more."""


class RetentionStore(Protocol):
    """Rows of mails that were done with long ago."""

    async def begin(self, what: Kept, older_than: datetime) -> None:
        """What is older than that goes now."""

    async def ended(self, what: Kept) -> None: ...

    async def due(
        self, what: Kept, older_than: datetime, after: DueMail | None, limit: int
    ) -> Sequence[DueMail]:
        """Mails that are old enough, in their order; none that waits for anybody."""

    async def own_blobs(self, workflow_ids: Sequence[str]) -> Collection[str]:
        """The blobs of these mails that no other mail has."""

    async def remove(self, what: Kept, workflow_ids: Sequence[str]) -> None: ...

    async def remove_texts(
        self, what: Kept, older_than: datetime, after: int, limit: int
    ) -> Sequence[int]:
        """Those that go with no mail; the IDs of those that were removed, all above `after`."""


class OldOnesStore(Protocol):
    """Rows of letters or outbound messages that ended long ago; none that waits for anybody."""

    async def due(
        self, what: Kept, older_than: datetime, after: OldOne | None, limit: int
    ) -> Sequence[OldOne]:
        """Those that are old enough, in their order."""

    async def own_blobs(self, ids: Sequence[str]) -> Collection[str]:
        """The blobs of these that nothing else has."""

    async def remove(self, what: Kept, ids: Sequence[str]) -> None: ...

    async def remove_events(self, older_than: datetime, limit: int) -> int:
        """What is about none of them any more, events or words; how many."""


class Executions(Protocol):
    """Workflows of mails, with their histories."""

    async def remove(self, workflow_id: str) -> bool:
        """Deletes it and its earlier runs; False if it has not ended: then it stays."""


class Drafter(Protocol):
    async def draft(self, request: DraftRequest) -> Drafted: ...


class History(Protocol):
    """What was written before, for a drafter that can make use of it."""

    async def thread(self, mail: MailRef, ids: Sequence[str]) -> list[EarlierMail]:
        """The mails with these Message-IDs that came to the same owner, each followed by the
        owner's answer to it; oldest first."""

    async def recent_edits(self, owner: str, correspondent: str | None) -> list[OwnersEdit]:
        """How the owner lately had drafts changed that were sent then, newest first.

        `correspondent` is the address that the draft to be made is for.
        """


class Texter(Protocol):
    async def send(self, to: str, body: str, reference: str) -> str:
        """The provider's message ID. `reference` makes a second call the same text."""


class Mailer(Protocol):
    async def deliver(
        self,
        sender: str,
        recipients: list[str],
        data: bytes,
        before_dot: Callable[[], Awaitable[None]],
    ) -> str:
        """The server's answer to the final dot.

        `before_dot` runs after the body was written and before the dot; if it raises, the
        connection is dropped and nothing was sent. Raises `SendUnknown` after the dot.
        """


class EmailStore(Protocol):
    """Rows of mails and their drafts. A write of an older step never overwrites a newer one."""

    async def enter(self, *changes: Change) -> None:
        """One step's changes, in order and all at once."""

    async def list_pending(self, mails: Sequence[MailRef]) -> None:
        """Shows mails that no step has entered yet."""

    async def unanswered(self, owner: str, message_ids: Sequence[str]) -> list[OpenMail]:
        """Those of these mails that nobody has answered or given up, oldest first."""

    async def enter_draft(self, draft: NewDraft, *changes: Change) -> Draft:
        """The draft with its code, and the changes that made it; older drafts lose theirs. The
        same revision again gives the same code."""

    async def sent_reply(self, workflow_id: str) -> SentReply | None:
        """Where the mail of this workflow stands; None unless its reply counts as sent."""

    async def reply_blob(self, mail: MailRef) -> str | None:
        """The reply's bytes if they were built before."""


class SendMarkers(Protocol):
    """Who may write the final dot of which reply."""

    async def find(self, key: str) -> Marker | None: ...

    async def claim(self, key: str, blob: str) -> bool:
        """True for exactly one caller, until `settle` says that nothing was sent."""

    async def settle(self, key: str, outcome: SendOutcome, response: str) -> None: ...


class TextLog(Protocol):
    """Texts in both directions."""

    async def sent(self, references: list[str]) -> dict[str, str]:
        """Provider IDs of those that a provider took already."""

    async def keep(self, text: SentText) -> None: ...

    async def text(self, provider_id: str) -> SentText | None:
        """The text that a provider took under this ID."""

    async def stopped(self, number: str) -> bool:
        """Whether this number said STOP."""


class Links(Protocol):
    def draft(self, mail: MailRef, revision: int) -> str:
        """A signed, expiring link to read a draft and its mail; it decides nothing."""
