"""What a sender wrote since they were last answered."""

from collections.abc import Sequence

from mailroom.models.mail import IncomingMail, read_mail
from mailroom.ports import Blobs, Permanent


async def unanswered_text(blobs: Blobs, earlier: Sequence[str], mail: IncomingMail) -> str:
    """Of the mails before this one and of this one, oldest first."""
    before = [text for blob in earlier if (text := await _newest(blobs, blob)) is not None]
    return "\n\n".join((*before, mail.newest))


async def _newest(blobs: Blobs, blob: str) -> str | None:
    """None for one that retention took while the later one was on its way here."""
    try:
        return read_mail(await blobs.get(blob)).newest
    except Permanent:
        return None
