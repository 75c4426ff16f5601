"""What is attached to a mail: its names, its sizes, and its bytes as they are handed on.

The mail is a stranger's: a name never is a path, and a content type follows from the name, as the
sender's own could make a browser run the file.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from email import policy
from email.message import Message
from itertools import count, islice
from mimetypes import MimeTypes
from pathlib import PurePosixPath

from mailroom.models.attached import AttachedFile, Attachment
from mailroom.models.decoding import decoded_header, guarded
from mailroom.models.mail import read_mail
from mailroom.models.mime import opened
from mailroom.models.parts import attached_parts
from mailroom.models.text import one_line

# What a draft carries through the history, and a text can tell apart.
MOST = 20
NAME_LENGTH = 120
BINARY = "application/octet-stream"

# Without the machine's own tables, so that one file has one type everywhere.
_TYPES = MimeTypes()
_NO_NAME = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')
_AS_IT_IS = policy.compat32.clone(mangle_from_=False, linesep="\r\n")


def attachments(raw: bytes) -> tuple[Attachment, ...]:
    """The first of them, in the mail's order; none of a mail that can't be taken apart."""
    if not read_mail(raw).attachments:
        return ()
    return tuple(Attachment(name=file.name, size=len(file.data)) for file in _files(raw))


def attached_files(raw: bytes, names: Sequence[str]) -> tuple[AttachedFile, ...]:
    """Those with these names, in the order of the mail; missing ones are left out."""
    return tuple(file for file in _files(raw) if file.name in names)


def attached_file(raw: bytes, number: int) -> AttachedFile | None:
    """One by its place in the mail, from 1 on."""
    return next(islice(_files(raw), number - 1, number), None)


def _files(raw: bytes) -> Iterator[AttachedFile]:
    mail = opened(raw)
    parts = guarded([], attached_parts, mail, MOST) if mail else []
    for name, part in zip(_distinct(map(_name, parts)), parts, strict=True):
        yield AttachedFile(name=name, kind=_kind(name), data=guarded(b"", _data, part))


def _kind(name: str) -> str:
    """What browsers and mail programs show as a page or a mail is binary."""
    kind = _TYPES.guess_type(name)[0] or BINARY
    return BINARY if kind.startswith(("text/", "message/", "multipart/")) else kind


def _data(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    if isinstance(data, bytes):
        return data
    # An attached mail is a part with a part.
    inner = part.get_payload(0) if part.is_multipart() else part
    return inner.as_bytes(policy=_AS_IT_IS) if isinstance(inner, Message) else b""


def _name(part: Message) -> str:
    given = one_line(decoded_header(guarded(None, part.get_filename) or ""))
    # Windows' and POSIX' folders alike; what is left of the name is a name in both.
    bare = _NO_NAME.sub("_", re.split(r"[/\\]", given)[-1]).strip(". ")
    return _cut(bare) if bare else _unnamed(part)


def _unnamed(part: Message) -> str:
    extension = _TYPES.guess_extension(guarded(BINARY, part.get_content_type)) or ""
    return f"attachment{extension}"


def _cut(name: str, room: int = NAME_LENGTH) -> str:
    """With its extension, by which people and programs know what it is."""
    extension = PurePosixPath(name).suffix[:12]
    return name if len(name) <= room else name[: room - len(extension)].rstrip(". ") + extension


def _distinct(names: Iterable[str]) -> list[str]:
    """Each name once, as browsers do it: "scan.pdf", "scan (2).pdf"."""
    taken: list[str] = []
    for name in names:
        path = PurePosixPath(name)
        others = (f"{_cut(path.stem, 100)} ({n}){path.suffix[:12]}" for n in count(2))
        known = {one.casefold() for one in taken}
        free = (one for one in (name, *islice(others, MOST)) if one.casefold() not in known)
        taken.append(next(free))
    return taken
