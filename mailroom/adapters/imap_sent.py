"""The folder where other mail programs keep what the owner sent."""

from imap_tools.errors import MailboxFolderStatusError
from imap_tools.mailbox import BaseMailBox

from mailroom.models.mailbox import Folder
from mailroom.ports import NoFolder

# RFC 6154 §2; Gmail's "[Gmail]/Sent Mail" and Exchange's "Sent Items" have it too.
SENT = "\\Sent"


def named(box: BaseMailBox) -> str | None:
    """The folder that the server itself calls that, in its answer to a plain LIST. A server may
    leave that out (RFC 6154 §2); there its name has to be configured."""
    for folder in box.folder.list():
        if any(flag.casefold() == SENT.casefold() for flag in folder.flags):
            return folder.name
    return None


def status(box: BaseMailBox, name: str) -> Folder:
    """Without selecting it (RFC 3501 §6.3.10)."""
    try:
        found = box.folder.status(name, ["UIDNEXT", "UIDVALIDITY"])
    except MailboxFolderStatusError as error:
        raise NoFolder(
            f"There is no folder {name!r}; correct IMAP_SENT_FOLDER (sent_folder)."
        ) from error
    return Folder(name=name, uidvalidity=found["UIDVALIDITY"], last_uid=found["UIDNEXT"] - 1)
