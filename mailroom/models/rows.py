"""What the store is told of a mail; field names are the seed's columns."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from mailroom.models.base import Frozen
from mailroom.models.email_reply import MailRef
from mailroom.models.states import MailState, Stage


class Columns(Frozen):
    """Columns of `workflow_state` that a step knows; unset ones keep their value."""

    email_body_preview: str | None = None
    ai_reply_text: str | None = None
    ai_reply_generated_at: datetime | None = None
    sms_message_id: str | None = None
    sms_sent_at: datetime | None = None
    sms_phone_number: str | None = None
    user_command: str | None = None
    user_edit_instructions: str | None = None
    user_responded_at: datetime | None = None
    edit_iteration: int | None = None
    send_at: datetime | None = None
    snoozed_until: datetime | None = None
    delegate: str | None = None
    reply_sent_at: datetime | None = None
    reply_message_id: str | None = None
    reply_blob: str | None = None
    error_message: str | None = None
    retry_count: int | None = None
    timeout_at: datetime | None = None
    reason: str | None = None
    failed_stage: Stage | None = None
    code: str | None = None
    revision: int | None = None
    draft_note: str | None = None


class Direction(StrEnum):
    OUTBOUND = "outbound"
    INBOUND = "inbound"


class SentText(Frozen):
    """One SMS that a provider took."""

    reference: str
    owner: str
    message_id: str | None = Field(description="of the mail it is about, if any")
    to: str
    body: str
    provider_id: str


class Change(Frozen):
    """A step reached these states, in order; the last is where the mail is now."""

    mail: MailRef
    step: int
    done: bool = Field(description="False while the step is under way, True at its end")
    states: tuple[MailState, ...]
    columns: Columns = Columns()
    detail: dict[str, str | int | None] = Field(default={}, description="for the timeline")
    closed: bool = Field(default=False, description="nothing follows, also after failed")
    text: SentText | None = Field(default=None, description="that this step sent last")

    @property
    def order(self) -> int:
        """Grows along a mail's life; a write with a smaller one comes too late."""
        return 2 * self.step + self.done


class OpenMail(Frozen):
    """A mail of a conversation that nobody has answered yet."""

    workflow_id: str
    blob: str
    sender: str
    superseded: bool = Field(description="by a later mail that took it in")


class SentReply(Frozen):
    """A mail that was answered: in which workflow, the how many-th of its reopenings, and the last
    step that is written down."""

    workflow_id: str
    reopened: int
    step: int


class NewDraft(Frozen):
    revision: int
    blob: str
    text: str
    note: str | None = None
    instructions: str | None = None


class SendOutcome(StrEnum):
    """How a claimed send ended. Only the first two may be claimed again."""

    REFUSED = "refused"
    NOT_SENT = "not_sent"
    SENT = "sent"


class Marker(Frozen):
    """A send-once marker; without an outcome nobody knows whether the mail left."""

    outcome: SendOutcome | None
    response: str | None
