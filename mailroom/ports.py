"""What activities need of the world. Adapters implement it; tests may fake it.

Every method raises `Permanent` where trying again can't help and `Transient` where it may;
which is which is decided in one place of each adapter.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from mailroom.models.arrival import Accepted, Arrival
from mailroom.models.email_reply import Draft, MailRef
from mailroom.models.rows import Change, Marker, NewDraft, SendOutcome, SentText
from mailroom.models.templates import Drafted, DraftRequest


class Permanent(Exception):
    """Refused for good. The message is a sentence for the owner."""


class Transient(Exception):
    """Failed this time. The message is a sentence for the owner."""


class StoreAway(Exception):
    """Our own store can't be reached: nobody's failure, and nothing that a person can mend."""


class SendUnknown(Exception):
    """The final dot may have arrived and no answer came (RFC 1047): never resent by itself."""


class Inbox(Protocol):
    """Where every source hands its mail over."""

    async def accept(self, arrival: Arrival) -> Accepted:
        """Returns once the mail is durable; the same mail again is accepted as not new. Raises
        if it can't be taken right now."""


class Blobs(Protocol):
    """Immutable bytes by SHA-256."""

    async def put(self, data: bytes) -> str:
        """The hash, once the bytes are durable."""

    async def get(self, sha256: str) -> bytes: ...


class Drafter(Protocol):
    async def draft(self, request: DraftRequest) -> Drafted: ...


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

    async def enter_draft(self, draft: NewDraft, *changes: Change) -> Draft:
        """The draft with its code, and the changes that made it; older drafts lose theirs. The
        same revision again gives the same code."""

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

    async def stopped(self, number: str) -> bool:
        """Whether this number said STOP."""


class Links(Protocol):
    def draft(self, mail: MailRef, revision: int) -> str:
        """A signed, expiring link to read a draft and its mail; it decides nothing."""
