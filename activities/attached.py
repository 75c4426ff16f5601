"""What is attached to a mail, read beside the other work: a large one takes half a second."""

import asyncio

from mailroom.models.attached import AttachedFile, name_shown
from mailroom.models.attachments import attached_files, attachments
from mailroom.models.email_reply import Draft
from mailroom.models.mail import IncomingMail
from mailroom.ports import Permanent


async def with_attachments(draft: Draft, mail: IncomingMail, raw: bytes) -> Draft:
    """`draft` with the names that its owner may attach to the reply."""
    if not mail.attachments:
        return draft
    found = await asyncio.to_thread(attachments, raw)
    return draft.model_copy(update={"attachments": found})


async def files_named(raw: bytes, names: tuple[str, ...]) -> tuple[AttachedFile, ...]:
    """The files with these names, in the order of the mail; all of them or none is sent."""
    if not names:
        return ()
    found = await asyncio.to_thread(attached_files, raw, names)
    if missing := set(names) - {file.name for file in found}:
        raise Permanent(f"The mail has no attachment called {name_shown(min(missing))}.")
    return found
