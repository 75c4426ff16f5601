"""A mailbox that is watched, and how far it was read."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field, SecretStr

from mailroom.models.base import Frozen
from mailroom.models.names import mailbox_id

IMAP = "imap"
SENT = "sent"


class Mailbox(Frozen):
    """Where it is and how to get in. Never part of a workflow's input: it holds a password."""

    owner: str = Field(description="ID of the owner whose mail it is")
    name: str = Field(default=IMAP, description="tells an owner's mailboxes apart")
    host: str
    port: int = 993
    user: str
    password: SecretStr | None = None
    token_command: str | None = Field(
        default=None, description="prints an OAuth 2 token, instead of a password"
    )
    address: str = Field(description="recipient of its mail, for mail that names nobody we know")
    answer_since: datetime | None = Field(
        default=None, description="nothing older is answered; None: since it was first seen"
    )
    mark_seen: bool = False
    sent_folder: str | None = Field(
        default=None, description="what the owner sent; None: the one that the server says it is"
    )
    part: str | None = Field(default=None, description="of an account; None: its INBOX")

    @property
    def id(self) -> str:
        """Also the ID of its workflow: another account is another mailbox."""
        whole = mailbox_id(self.owner, self.host, self.user)
        return f"{whole}/{self.part}" if self.part else whole

    def sent(self, folder: str) -> "Mailbox":
        """The account's folder of what the owner sent, as something that is read by itself."""
        return self.model_copy(update={"part": SENT, "name": f"{self.name}: {folder}"})


class Folder(Frozen):
    """A folder as it is now; `last_uid` may be that of a mail that is gone."""

    name: str
    uidvalidity: int
    last_uid: int


class Cursor(Frozen):
    """Everything up to this UID was taken. UIDs mean something only with their UIDVALIDITY (RFC
    3501 §2.3.1.1)."""

    uidvalidity: int
    uid: int


class Reading(Frozen):
    """How far a mailbox was read; no cursor, nothing yet."""

    cursor: Cursor | None
    answer_since: datetime


class Found(Frozen):
    """A mail in the mailbox. `raw` None: not to be taken; `arrived` is INTERNALDATE."""

    uid: int
    arrived: datetime
    raw: bytes | None
    size: int = 0
    too_large: bool = Field(default=False, description="`raw` is its header only")


class MailboxWatch(Frozen):
    """Input of the workflow."""

    owner: str
    name: str
    paused: bool = False


class MailboxStatus(Frozen):
    owner: str
    name: str
    paused: bool
    sessions: int = Field(description="connections that ended, since the last new run")


class Watched(StrEnum):
    """How a session ended: to be continued, or for good, since no worker knows the mailbox."""

    AGAIN = "again"
    GONE = "gone"
