"""What travels between the reply workflow, its activities and those who ask it.

Bodies travel by reference (SHA-256 of the blob); texts that a person sees in the Temporal UI
are cut to `EXCERPT` characters.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, model_validator

from mailroom.models.attached import Attachment
from mailroom.models.base import Frozen
from mailroom.models.names import REASON_SEND_UNKNOWN
from mailroom.models.states import MailState, Stage
from mailroom.models.words import Decision

EXCERPT = 600
WORD_LIMIT = 2_000
VIA_LENGTH = 40
MAX_EDITS = 10
MOST_ATTACHED = 20


class MailRef(Frozen):
    """One mail of one owner, as every activity needs it."""

    owner: str
    message_id: str
    workflow_id: str
    blob: str = Field(description="SHA-256 of the mail as it arrived")
    reply_from: str = Field(description="the owner's address the mail came to")
    sender: str = Field(description="display form, for people")
    subject: str
    received_at: datetime


class SupersededBy(StrEnum):
    """Why a draft is not needed any more."""

    OWNER = "owner"
    LATER_MAIL = "later_mail"


class Progress(BaseModel):
    """All that a reply workflow knows of its mail; survives continue-as-new."""

    state: MailState = MailState.PENDING
    reason: str | None = None
    step: int = Field(default=0, description="grows by one with each durable step")
    wanted_revision: int = 1
    draft: "Draft | None" = None
    texted_revision: int = 0
    prompted_at: datetime | None = None
    reminded: bool = False
    delegated: bool = False
    expired: bool = False
    instructions: str | None = None
    edits: int = 0
    sends: int = Field(default=1, description="1, and one more for each 'send again'")
    send_at: datetime | None = Field(default=None, description="an approved reply waits")
    snoozed_until: datetime | None = None
    superseded: "SupersededBy | None" = None
    failed_stage: Stage | None = None
    failed_at: datetime | None = None
    error: str | None = None
    retries: int = 0
    word: "Heard | None" = None
    edit_word: "Heard | None" = Field(default=None, description="that asked for this revision")
    approved: "Heard | None" = Field(default=None, description="that the reply is sent by")
    seen: dict[str, "Outcome"] = {}


class EmailReplyInput(Frozen):
    mail: MailRef
    not_answerable: str | None = Field(default=None, description="why triage ends it at once")
    earlier: tuple[str, ...] = Field(
        default=(), description="blobs of unanswered mails that this one follows, oldest first"
    )
    only_notify: str | None = Field(default=None, description="why the owner is only told of it")
    reminder_after: timedelta
    attempts: int = Field(description="of each stage, the first included")
    text_after: datetime | None = Field(default=None, description="the owner's hours begin")
    vip: bool = False
    send_after: timedelta | None = Field(default=None, description="approved replies wait so long")
    delegate: str | None = Field(default=None, description="owner asked in their place")
    delegate_after: timedelta | None = None
    bounced: str | None = Field(default=None, description="why the reply came back")
    carried: Progress | None = None


class Draft(Frozen):
    revision: int
    code: str
    blob: str
    length: int
    excerpt: str
    note: str | None = None
    attachments: tuple[Attachment, ...] = Field(
        default=(), description="of the mail; the owner may attach them to the reply by name"
    )


class DraftReplyInput(Frozen):
    mail: MailRef
    step: int
    revision: int
    previous: str | None = Field(default=None, description="blob of the draft that is edited")
    instructions: str | None = None
    word: "Heard | None" = None
    earlier: tuple[str, ...] = ()


class Notice(StrEnum):
    """Why the owner is written to."""

    DRAFT = "draft"
    ARRIVED = "arrived"
    SUPERSEDED = "superseded"
    REMINDER = "reminder"
    DELEGATED = "delegated"
    EXPIRED = "expired"
    FAILED = "failed"
    SEND_UNKNOWN = "send_unknown"
    BOUNCED = "bounced"


class TextOwnerInput(Frozen):
    """Texts the owner about one mail; `draft` is what the text is about."""

    mail: MailRef
    step: int
    notice: Notice
    draft: Draft | None = None
    edits: int = 0
    reminder_after: timedelta | None = Field(default=None, description="for `timeout_at`")
    stage: Stage | None = None
    error: str | None = None
    earlier: tuple[str, ...] = ()
    delegate: str | None = Field(default=None, description="who is asked too, once they are")


class SayInput(Frozen):
    """A sentence to somebody who said something; `reference` makes it one text."""

    owner: str
    to: str | None = Field(default=None, description="the owner's phone if not given")
    text: str
    reference: str


class Texted(Frozen):
    sms_message_id: str | None
    texts: int


class SendReplyInput(Frozen):
    mail: MailRef
    step: int
    draft: Draft
    sends: int
    retries: int = 0
    word: "Heard | None" = None
    send_at: datetime | None = None


class PostponeInput(Frozen):
    """When an approved reply goes out, or when the owner is asked again."""

    mail: MailRef
    step: int
    state: MailState
    word: "Heard"
    send_after: timedelta | None = Field(default=None, description="if the word names no time")


class Sent(Frozen):
    message_id: str
    response: str = Field(description="the server's last line, for the timeline")


class RecordInput(Frozen):
    """A state that no other activity is in: ignored, timeout, failed."""

    mail: MailRef
    step: int
    state: MailState
    reason: str | None = None
    failed_stage: Stage | None = None
    error: str | None = None
    retries: int = 0
    word: "Heard | None" = None
    closed: bool = Field(default=False, description="nothing follows, also after failed")


class AskAgainInput(Frozen):
    """A new code for a question about a draft that may have been sent."""

    mail: MailRef
    step: int
    draft: Draft
    reason: str = REASON_SEND_UNKNOWN


class ReplyOutcome(Frozen):
    state: MailState
    reason: str | None = None
    reply_message_id: str | None = None


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Outcome(Frozen):
    """What became of a word: `text` is a sentence for whoever said it."""

    verdict: Verdict
    state: MailState
    revision: int
    text: str


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("The word is empty; answer 1, 2 with instructions, or 3.")
    return text


FileName = Annotated[str, Field(max_length=200)]


class OwnersWord(Frozen):
    """What somebody said of a draft: `"1"` on the wire, or `{"text", "revision", "id"}`.

    An `id` is the sender's own; the same ID twice is one word. `attach` are whole names of
    attachments that an approval carries, besides those in the text.
    """

    text: Annotated[str, Field(max_length=WORD_LIMIT), AfterValidator(_not_blank)]
    revision: int | None = None
    id: Annotated[str, Field(max_length=200)] | None = None
    attach: Annotated[tuple[FileName, ...], Field(max_length=MOST_ATTACHED)] = ()
    via: Annotated[str, Field(max_length=VIA_LENGTH)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_string(cls, value: object) -> object:
        return {"text": value} if isinstance(value, str) else value


class Heard(Frozen):
    """A word that was accepted, when, and from where."""

    command: Annotated[Decision, Field(discriminator="kind")]
    at: datetime
    via: str


class ReplyStatus(Frozen):
    """Answer of the query `status`."""

    state: MailState
    reason: str | None
    revision: int
    code: str | None
    edits: int
    failed_stage: Stage | None
    error: str | None


for _model in (
    Progress,
    EmailReplyInput,
    DraftReplyInput,
    SendReplyInput,
    PostponeInput,
    RecordInput,
):
    _model.model_rebuild()
