"""A few mails for a first look. They arrive by SMTP like any other, once for each data folder."""

from email.message import EmailMessage
from email.policy import SMTP

import aiosmtplib

from mailroom.models.owner import Owner

SAMPLES = (
    (
        "John Doe <john@example.com>",
        "Meeting tomorrow",
        "Hi, can we meet tomorrow at 2pm to discuss the project?\n\nJohn",
    ),
    (
        "Ada Byron <ada@example.net>",
        "Question about the invoice",
        "Hello,\n\nwe have not received the invoice for October yet. Could you send it again, "
        "please, with our new address on it? Accounting closes the month on Friday, and without "
        "the invoice the payment can't go out before the middle of next month.\n\n"
        "Many thanks\nAda Byron\nAnalytical Engines Ltd.",
    ),
    (
        "Grace <grace@example.org>",
        "Thank you!",
        "That was a great talk yesterday. Thank you for taking the time!\n\nGrace",
    ),
)


def sample_mails(owner: Owner) -> list[EmailMessage]:
    to = owner.email or "you@mailroom.test"
    return [
        _mail(number, sender, to, subject, text)
        for number, (sender, subject, text) in enumerate(SAMPLES, 1)
    ]


def _mail(number: int, sender: str, to: str, subject: str, text: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<sample-{number}@mailroom.test>"
    message.set_content(text)
    return message


async def send_samples(owner: Owner, host: str, port: int) -> None:
    """Sending them again at every start is no harm: a known Message-ID starts nothing."""
    async with aiosmtplib.SMTP(hostname=host, port=port) as smtp:
        for mail in sample_mails(owner):
            await smtp.send_message(mail)
