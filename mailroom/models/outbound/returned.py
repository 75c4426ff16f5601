"""What a report says of the message that it is about: the headers that it returns (RFC 3462 §2)."""

import hashlib
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from itertools import islice

from mailroom.models.base import Frozen
from mailroom.models.decoding import decoded_header, guarded
from mailroom.models.mail import MESSAGE_ID, MESSAGE_ID_LENGTH
from mailroom.models.text import one_line

LOOKED_AT = 50
LONGEST_FIELD = 2_000
HEADERS_LENGTH = 64 << 10


class Returned(Frozen):
    """`sender` is the envelope sender it left with, where a server has noted it."""

    message_id: str | None = None
    in_reply_to: str | None = None
    sender: str | None = None


def parts_of(mail: Message, *kinds: str) -> list[Message]:
    """The first parts of these types, at the top or one level down: a report that somebody
    forwards is inside a mail, and is no report to us."""
    found = (part for part in _near(mail) if part.get_content_type() in kinds)
    return list(islice(found, LOOKED_AT))


def returned(mail: Message) -> Returned:
    """Of the first part that has them; nothing where there is none."""
    for part in parts_of(mail, "message/rfc822", "text/rfc822-headers"):
        headers = guarded(None, _headers, part)
        if headers is not None:
            own = _message_id(headers, "message-id")
            sender = field(headers, "return-path").strip(" <>") or None
            if own or sender:
                parent = _message_id(headers, "in-reply-to")
                return Returned(message_id=own, in_reply_to=parent, sender=sender)
    return Returned()


def own_id(mail: Message, raw: bytes) -> str:
    """The Message-ID of the report itself; of one without, one that follows from its bytes."""
    derived = f"<{hashlib.sha256(raw).hexdigest()[:32]}@mailroom.invalid>"
    return _message_id(mail, "message-id") or derived


def _message_id(headers: Message, name: str) -> str | None:
    found = MESSAGE_ID.search(field(headers, name))
    return found[0] if found and len(found[0]) <= MESSAGE_ID_LENGTH else None


def field(part: Message, name: str) -> str:
    """A field in one line; "" where it is missing."""
    value = next((v for n, v in part.raw_items() if n.lower() == name), "")
    return one_line(decoded_header(str(value).replace("\r", "").replace("\n", "")), LONGEST_FIELD)


def address_in(value: str) -> str | None:
    """Of `rfc822; kate@example.com` (RFC 3464 §2.3.1), `utf-8; ...` (RFC 6533 §3), or without
    a type, as some servers write it."""
    address = value.rpartition(";")[2].strip().strip("<>").strip()
    if "@" not in address or " " in address or len(address) > 320:
        return None
    return address


def _near(mail: Message) -> Iterator[Message]:
    for part in _children(mail):
        yield part
        if part.get_content_maintype() == "multipart":
            yield from _children(part)


def _children(part: Message) -> list[Message]:
    payload = part.get_payload() if part.is_multipart() else []
    inside = part.get_content_maintype() == "multipart"
    return [one for one in payload if isinstance(one, Message)] if inside else []


def _headers(part: Message) -> Message | None:
    payload = part.get_payload()
    if isinstance(payload, list):
        return payload[0] if payload and isinstance(payload[0], Message) else None
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return None
    text = data[:HEADERS_LENGTH].decode("utf-8", "replace").lstrip()
    return message_from_string(text)
