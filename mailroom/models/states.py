"""The twelve states of a mail (seed 003) and what may follow what."""

from enum import StrEnum


class MailState(StrEnum):
    PENDING = "pending"
    AI_GENERATING = "ai_generating"
    AI_GENERATED = "ai_generated"
    SMS_SENDING = "sms_sending"
    SMS_SENT = "sms_sent"
    AWAITING_USER = "awaiting_user"
    USER_APPROVED = "user_approved"
    USER_EDIT_REQUESTED = "user_edit_requested"
    USER_IGNORED = "user_ignored"
    REPLY_SENT = "reply_sent"
    FAILED = "failed"
    TIMEOUT = "timeout"


class ProcessedStatus(StrEnum):
    """`processed_emails.status`: what became of a mail, for those who only want that."""

    PENDING = "pending"
    ORCHESTRATING = "orchestrating"
    SENT = "sent"
    IGNORED = "ignored"
    TIMEOUT = "timeout"
    FAILED = "failed"


class Stage(StrEnum):
    """The three steps that touch the world and can fail."""

    DRAFT = "draft"
    SMS = "sms"
    REPLY = "reply"


class IllegalTransition(Exception):
    """A mail was asked to go where its state does not lead."""


_S = MailState
_OWNER_SPOKE = {_S.USER_APPROVED, _S.USER_EDIT_REQUESTED, _S.USER_IGNORED}

TRANSITIONS: dict[MailState, frozenset[MailState]] = {
    _S.PENDING: frozenset({_S.AI_GENERATING, _S.USER_IGNORED}),
    _S.AI_GENERATING: frozenset({_S.AI_GENERATED, _S.FAILED}),
    # The owner may answer on the page before the text about the draft has left.
    _S.AI_GENERATED: frozenset({_S.SMS_SENDING, _S.FAILED, _S.TIMEOUT, *_OWNER_SPOKE}),
    _S.SMS_SENDING: frozenset({_S.SMS_SENT, _S.FAILED, _S.TIMEOUT, *_OWNER_SPOKE}),
    _S.SMS_SENT: frozenset({_S.AWAITING_USER, _S.TIMEOUT, *_OWNER_SPOKE}),
    # Asked again, after a snooze.
    _S.AWAITING_USER: frozenset({_S.SMS_SENDING, _S.TIMEOUT, *_OWNER_SPOKE}),
    _S.USER_EDIT_REQUESTED: frozenset({_S.AI_GENERATING}),
    # What is to be sent later can still be changed, cancelled or put off.
    _S.USER_APPROVED: frozenset(
        {
            _S.REPLY_SENT,
            _S.FAILED,
            _S.AWAITING_USER,
            _S.USER_EDIT_REQUESTED,
            _S.USER_IGNORED,
        }
    ),
    # `retry` leads back to the stage that failed; the owner may still answer a draft they
    # were not texted about, or drop the mail.
    _S.FAILED: frozenset({_S.AI_GENERATING, _S.SMS_SENDING, _S.TIMEOUT, *_OWNER_SPOKE}),
    _S.USER_IGNORED: frozenset(),
    _S.REPLY_SENT: frozenset(),
    _S.TIMEOUT: frozenset(),
}

STAGE_STATE: dict[Stage, MailState] = {
    Stage.DRAFT: _S.AI_GENERATING,
    Stage.SMS: _S.SMS_SENDING,
    Stage.REPLY: _S.USER_APPROVED,
}
"""The state in which a stage works, and to which `retry` returns."""

_STATUS = {
    _S.PENDING: ProcessedStatus.PENDING,
    _S.USER_IGNORED: ProcessedStatus.IGNORED,
    _S.REPLY_SENT: ProcessedStatus.SENT,
    _S.FAILED: ProcessedStatus.FAILED,
    _S.TIMEOUT: ProcessedStatus.TIMEOUT,
}


def advance(current: MailState, following: MailState) -> MailState:
    """`following`, if the table allows it after `current`; else `IllegalTransition`."""
    if following not in TRANSITIONS[current]:
        raise IllegalTransition(f"A mail that is {current} can't become {following}.")
    return following


def processed_status(state: MailState) -> ProcessedStatus:
    return _STATUS.get(state, ProcessedStatus.ORCHESTRATING)


def is_final(state: MailState) -> bool:
    return not TRANSITIONS[state]
