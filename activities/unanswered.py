"""What a sender wrote since they were last answered."""

from collections.abc import Sequence

from mailroom.models.mail import IncomingMail, read_mail
from mailroom.ports import Blobs


async def unanswered_text(blobs: Blobs, earlier: Sequence[str], mail: IncomingMail) -> str:
    """Of the mails before this one and of this one, oldest first."""
    before = [read_mail(await blobs.get(blob)).newest for blob in earlier]
    return "\n\n".join((*before, mail.newest))
