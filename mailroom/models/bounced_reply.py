"""A reply of ours that came back (RFC 3464), while its owner thinks that it arrived."""

from datetime import datetime

from mailroom.models.base import Frozen
from mailroom.models.mime import parsed
from mailroom.models.names import email_reply_id
from mailroom.models.outbound.bounces import classify
from mailroom.models.outbound.dsn import Action, Dsn, DsnRecipient, read_dsn
from mailroom.models.outbound.replies import reply_in
from mailroom.models.outbound.returned_mail import may_be_returned
from mailroom.models.reply import is_our_reply


class BouncedReply(Frozen):
    """`workflow_id` is that of the mail that was answered; `why` is a sentence of ours."""

    workflow_id: str
    recipient: str
    why: str


def bounced_reply(raw: bytes, owner: str, at: datetime) -> BouncedReply | None:
    """The owner's reply that this mail says was not delivered; None of any other mail."""
    dsn = read_dsn(parsed(raw)) if may_be_returned(raw) else None
    failed = _failed(dsn) if dsn else None
    workflow_id = _answered(dsn, owner) if dsn else None
    if failed is None or workflow_id is None:
        return None
    found = classify(reply_in(failed.diagnostic, at, failed.status), failed.diagnostic)
    recipient = failed.original or failed.final or "its recipient"
    return BouncedReply(workflow_id=workflow_id, recipient=recipient, why=found.why)


def _failed(dsn: Dsn) -> DsnRecipient | None:
    return next((one for one in dsn.recipients if one.action is Action.FAILED), None)


def _answered(dsn: Dsn, owner: str) -> str | None:
    """A reply's Message-ID follows from its parent's, which the report returns with it: nobody who
    has not seen the reply can name it."""
    own, parent = dsn.returned.message_id, dsn.returned.in_reply_to
    if own is None or parent is None:
        return None
    workflow_id = email_reply_id(owner, parent)
    return workflow_id if is_our_reply(own, workflow_id) else None
