"""A mail from Mailroom to its owner."""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from mailroom.models.reply import reply_message_id


def owners_mail(
    address: str, headline: str, body: str, *, key: tuple[str, str], at: datetime
) -> bytes:
    """`key` is workflow and step: the same mail has the same Message-ID in every attempt."""
    message = EmailMessage(policy=SMTP)
    message["From"] = message["To"] = address
    message["Subject"] = f"Mailroom: {headline}"
    message["Date"] = format_datetime(at)
    message["Message-ID"] = reply_message_id(*key, address.rpartition("@")[2])
    # RFC 3834 §5: so that no responder, ours included, answers it.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body)
    return message.as_bytes()
