"""What the owner sent by themselves: which mail it answers, if any."""

import re

from mailroom.models.mail import IncomingMail
from mailroom.models.names import email_reply_id
from mailroom.models.reply import is_our_reply
from mailroom.models.triage import is_automatic

# What mail programs put before the subject of a mail that is passed on; Gmail and Outlook give
# such a mail an In-Reply-To, too, though it goes to somebody else.
_FORWARD = re.compile(
    r"^\s*(?:fwd?|wg|tr|rv|enc|i|doorst|vs|vl|videresendt|転送|转发|轉寄)\s*[:：]", re.IGNORECASE
)


def answered_by_owner(sent: IncomingMail, owner: str) -> str | None:
    """The Message-ID of the mail that `sent` answers (RFC 5322 §3.6.4); None for what we sent,
    what was sent automatically, and what was passed on."""
    parent = sent.in_reply_to or next(reversed(sent.references), None)
    if parent is None or is_automatic(sent) or _FORWARD.match(sent.subject):
        return None
    return None if is_our_reply(sent.message_id, email_reply_id(owner, parent)) else parent
