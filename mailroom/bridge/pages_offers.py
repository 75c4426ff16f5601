"""What the owner may say of a mail right now. The workflow judges; a page offers no more."""

from enum import StrEnum

from mailroom.adapters.postgres.views import WorkflowState
from mailroom.models.email_reply import MAX_EDITS
from mailroom.models.names import ASKED_AGAIN, REASON_SEND_UNKNOWN
from mailroom.models.states import MailState, Stage


class Offer(StrEnum):
    SEND = "send"
    EDIT = "edit"
    IGNORE = "ignore"
    RETRY = "retry"
    EXPIRE = "expire"


_ASKED = frozenset(
    {MailState.AI_GENERATED, MailState.SMS_SENDING, MailState.SMS_SENT, MailState.AWAITING_USER}
)
_NONE: frozenset[Offer] = frozenset()


def offers(row: WorkflowState) -> frozenset[Offer]:
    if row.current_state in _ASKED:
        stop = {Offer.EXPIRE} if row.current_state is MailState.AWAITING_USER else _NONE
        return _answers(row) | stop
    if waits_for_its_time(row):
        return _answers(row)
    if row.current_state is not MailState.FAILED:
        return _NONE
    if row.reason in ASKED_AGAIN:
        return frozenset({Offer.SEND, Offer.IGNORE})
    if row.failed_stage is Stage.SMS:
        return _answers(row) | {Offer.RETRY}
    return frozenset({Offer.RETRY, Offer.IGNORE})


def waits_for_its_time(row: WorkflowState) -> bool:
    """Approved, and to be sent later."""
    return row.current_state is MailState.USER_APPROVED and row.send_at is not None


def may_have_been_sent(row: WorkflowState) -> bool:
    return row.current_state is MailState.FAILED and row.reason == REASON_SEND_UNKNOWN


def _answers(row: WorkflowState) -> frozenset[Offer]:
    answers = {Offer.SEND, Offer.IGNORE}
    if row.edit_iteration < MAX_EDITS:
        answers.add(Offer.EDIT)
    return frozenset(answers)
