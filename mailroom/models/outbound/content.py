"""The bytes of an outbound message, built once, and what the queue knows of them."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import NamedTuple
from uuid import UUID

from mailroom.models.addresses import read_addresses
from mailroom.models.decoding import decoded_header
from mailroom.models.header_folding import SUBMITTED, SUBMITTED_UTF8, encoded
from mailroom.models.mail import header_fields, read_mail
from mailroom.models.outbound.submission import NewMessage
from mailroom.models.reply import UnsafeHeader, bind_parts, mailboxes
from mailroom.models.text import one_line

KEY_HEADERS = ("From", "To", "Cc", "Subject", "Reply-To")
ADDRESS_HEADERS = ("From", "To", "Cc", "Reply-To", "Sender")
LONGEST_SHOWN = 500
# A raw mail must not tell hidden recipients, and whoever delivers last writes the return path.
_DROPPED = (b"bcc", b"return-path", b"resent-bcc")
# RFC 5322 §2.2, and §4.5 for the space before the colon.
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
LONGEST_HEAD = 256 * 1024


class Unbuildable(ValueError):
    """No mail can be made of it; says why."""


class Content(NamedTuple):
    data: bytes
    message_id: str
    from_domain: str
    headers: dict[str, str]
    body_hash: str
    attachment_count: int


def message_id_of(id: UUID, sender: str) -> str:
    """The same for every building of the message."""
    return f"<{id.hex}@{sender.rpartition('@')[2]}>"


def built(new: NewMessage, id: UUID, at: datetime, more: Mapping[str, str]) -> Content:
    """`more` are headers that we add, such as List-Unsubscribe; a message that brings one of them
    gets none, since they belong together. Raises `Unbuildable`."""
    return _completed(new, id, at, more) if new.raw is not None else _written(new, id, at, more)


def _written(new: NewMessage, id: UUID, at: datetime, more: Mapping[str, str]) -> Content:
    given = {name.title(): value for name, value in (new.headers or {}).items()}
    headers = {"From": new.sender, "To": new.recipient, **given}
    lines = {name: _line(name, value) for name, value in headers.items()}
    ascii = all(line.isascii() for line in lines.values())
    message = EmailMessage(policy=SUBMITTED if ascii else SUBMITTED_UTF8)
    for name, line in (lines | _ours(more, map(str.lower, given))).items():
        message[name] = line
    message_id = new.message_id or message_id_of(id, new.sender)
    message["Date"] = at
    message["Message-ID"] = message_id
    _fill(message, new, str(id))
    return _content(message.as_bytes(), message_id, headers.items(), 0)


def _ours(more: Mapping[str, str], own: Iterable[str]) -> dict[str, str]:
    """What we add, where the message has none of it: to a link of its own RFC 8058's
    List-Unsubscribe-Post would promise what it may not keep."""
    return {} if set(own) & {name.lower() for name in more} else dict(more)


def _line(name: str, value: str) -> str:
    """As it stands in the mail, with a tab where it may be folded."""
    if name not in ADDRESS_HEADERS:
        return encoded(value, name)
    found = read_addresses(value)
    if not found:
        raise Unbuildable(f"{name} holds no address: {one_line(value, 100)}")
    try:
        return mailboxes(found, name)
    except UnsafeHeader as error:
        raise Unbuildable(f"{name}: {error}") from error


def _fill(message: EmailMessage, new: NewMessage, seed: str) -> None:
    text, html = new.text, new.html
    if text is not None:
        message.set_content(text, charset=_charset(text))
        if html is not None:
            message.add_alternative(html, subtype="html", charset=_charset(html))
    else:
        message.set_content(html or "", subtype="html", charset=_charset(html or ""))
    if message.is_multipart():
        bind_parts(message, seed)


def _charset(text: str) -> str:
    return "us-ascii" if text.isascii() else "utf-8"


def _completed(new: NewMessage, id: UUID, at: datetime, more: Mapping[str, str]) -> Content:
    """A whole mail as it was given, with what it lacks in front."""
    head, _, body = _with_line_ends(new.raw or b"").partition(b"\r\n\r\n")
    if len(head) > LONGEST_HEAD:
        raise Unbuildable(f"The mail's header is longer than {LONGEST_HEAD:,} bytes.")
    fields = [each for each in _fields(head) if _name(each) not in _DROPPED]
    names = _checked(fields)
    lacking = {
        "Date": format_datetime(at),
        "Message-ID": new.message_id or message_id_of(id, new.sender),
        **_ours(more, (name.decode("ascii", "replace") for name in names)),
    }
    front = [
        f"{name}: {value}".encode()
        for name, value in lacking.items()
        if name.lower().encode() not in names
    ]
    data = b"\r\n".join([*front, *fields]) + b"\r\n\r\n" + body
    mail = read_mail(data)
    return _content(data, mail.message_id, header_fields(data), len(mail.attachments))


def _with_line_ends(raw: bytes) -> bytes:
    """Every line ends as SMTP has it: what ends none is no way to smuggle a second mail in."""
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def _checked(fields: Iterable[bytes]) -> set[bytes]:
    """Their names. Programs differ in where they see the end of a header that is broken, and in
    whom they show of several authors."""
    names = []
    for field in fields:
        names.append(_name(field))
        if not _FIELD.match(field):
            shown = one_line(field.decode("utf-8", "replace"), 40)
            raise Unbuildable(f"“{shown}” is no header field (RFC 5322 §2.2); mend or remove it.")
    match names.count(b"from"):
        case 0:
            raise Unbuildable("The mail has no From header (RFC 5322 §3.6).")
        case 1:
            return set(names)
    raise Unbuildable("The mail has several From headers; RFC 5322 §3.6 allows one.")


def _content(
    data: bytes, message_id: str, headers: Iterable[tuple[str, str]], attachments: int
) -> Content:
    shown = dict(_shown(headers))
    authors = read_addresses(shown.get("From", ""))
    return Content(
        data=data,
        message_id=message_id,
        from_domain=authors[0].address.rpartition("@")[2] if authors else "",
        headers=shown,
        body_hash=hashlib.sha256(data.partition(b"\r\n\r\n")[2]).hexdigest(),
        attachment_count=attachments,
    )


def _fields(head: bytes) -> Iterator[bytes]:
    """Header fields with their continuation lines, without the line that mailbox files begin a mail
    with."""
    field: list[bytes] = []
    lines = head.split(b"\r\n")
    for line in lines[1:] if lines[0].startswith(b"From ") else lines:
        if field and not line.startswith((b" ", b"\t")):
            yield b"\r\n".join(field)
            field = []
        if line:
            field.append(line)
    if field:
        yield b"\r\n".join(field)


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()


def _shown(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Headers that people look for, decoded and short; of several, the first."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.title(), value)
    for name in KEY_HEADERS:
        if name in found:
            yield name, one_line(decoded_header(found[name]), LONGEST_SHOWN)
