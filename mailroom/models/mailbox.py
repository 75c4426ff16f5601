"""A mailbox that is watched, and how far it was read."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field, SecretStr

from mailroom.models.base import Frozen
from mailroom.models.names import mailbox_id

IMAP = "imap"


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

    @property
    def id(self) -> str:
        """Also the ID of its workflow: another account is another mailbox."""
        return mailbox_id(self.owner, self.host, self.user)


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
