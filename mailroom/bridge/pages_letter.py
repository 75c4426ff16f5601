"""The mail and the draft that a page shows, read from the blob store."""

import asyncio

from pydantic import Field

from mailroom.adapters.postgres.views import WorkflowState
from mailroom.bridge.context import Context
from mailroom.models.attached import Attachment
from mailroom.models.attachments import attachments
from mailroom.models.base import Frozen
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.quotes import newest_text
from mailroom.models.reply import NoRecipient, UnsafeHeader, answer_addresses
from mailroom.ports import Permanent

IN_THREAD_ABOVE = 256 * 1024


class Letter(Frozen):
    """A mail as people read it; all of it is somebody else's text."""

    mail: IncomingMail
    newest: str = Field(description="without the history that it quotes")
    files: tuple[Attachment, ...] = ()
    answered: str = Field(description="who gets the reply, or why nobody can")

    @property
    def whole(self) -> str | None:
        """The whole text, where it is more than the newest."""
        text = self.mail.text.strip()
        return text if text != self.newest else None


async def letter(the: Context, row: WorkflowState) -> Letter | None:
    """None once the mail has been deleted from the blob store."""
    try:
        raw = await the.blobs.get(row.blob)
    except Permanent:
        return None
    if len(raw) > IN_THREAD_ABOVE:
        return await asyncio.to_thread(_read, raw)
    return _read(raw)


def _read(raw: bytes) -> Letter:
    mail = read_mail(raw)
    return Letter(
        mail=mail,
        newest=newest_text(mail.text),
        files=attachments(raw),
        answered=_answered(mail),
    )


def _answered(mail: IncomingMail) -> str:
    try:
        return ", ".join(answer_addresses(mail.sender, mail.reply_to))
    except (NoRecipient, UnsafeHeader) as error:
        return str(error)
