"""One incoming mail, read from bytes that a stranger wrote: reading never raises, and is quick."""

import hashlib
import re
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cached_property, lru_cache

from pydantic import AwareDatetime, Field

from mailroom.models.addresses import Address, read_addresses
from mailroom.models.base import Frozen
from mailroom.models.decoding import decoded_header, guarded
from mailroom.models.mime import parsed
from mailroom.models.parts import attachment_names, is_delivery_report, letter_text
from mailroom.models.quotes import newest_text
from mailroom.models.text import one_line

SUBJECT_LENGTH, MESSAGE_ID_LENGTH = 500, 250
# What is remembered in full: 128 mails of this size are 2 MiB.
SMALL = 16 << 10
# RFC 5322 §3.6.4, as loosely as senders write it: visible ASCII with an "@" in it.
MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?-~]+>")


class IncomingMail(Frozen):
    """What the rules and the owner need to know of a mail; all of it is data, none is trusted.

    `return_path` has no angle brackets: "" is the null path. `in_reply_to` is set where the
    header names one mail only, the parent that RFC 5322 §3.6.4 speaks of.
    """

    message_id: str
    message_id_derived: bool = False
    subject: str = ""
    sender: Address | None = None
    reply_to: list[Address] = Field(default_factory=list)
    to: list[Address] = Field(default_factory=list)
    cc: list[Address] = Field(default_factory=list)
    bcc: list[Address] = Field(default_factory=list)
    in_reply_to: str | None = None
    references: list[str] = Field(default_factory=list)
    date: AwareDatetime | None = None
    received_count: int = 0
    auto_submitted: str | None = None
    precedence: str | None = None
    return_path: str | None = None
    list_headers: list[str] = Field(default_factory=list)
    is_delivery_report: bool = False
    text: str = ""
    attachments: list[str] = Field(default_factory=list)
    size: int = 0

    @cached_property
    def newest(self) -> str:
        """What the sender wrote last, without the history and the signature under it."""
        return newest_text(self.text)


def read_mail(raw: bytes) -> IncomingMail:
    """Reads any bytes; what is broken in them is missing from the result, or replaced."""
    # Four steps of one mail read it. Only small ones are remembered, so that memory is bounded.
    return _read_small(raw) if len(raw) <= SMALL else _read(raw)


@lru_cache(maxsize=128)
def _read_small(raw: bytes) -> IncomingMail:
    return _read(raw)


def _read(raw: bytes) -> IncomingMail:
    mail = parsed(raw)
    headers = _headers(mail)
    message_id = _own_id(headers)
    parents = _message_ids(headers, "in-reply-to")
    return IncomingMail(
        message_id=message_id or f"<{hashlib.sha256(raw).hexdigest()[:32]}@mailroom.invalid>",
        message_id_derived=message_id is None,
        subject=one_line(decoded_header(_first(headers, "subject")), SUBJECT_LENGTH),
        sender=next(iter(_addresses(headers, "from")), None),
        reply_to=_addresses(headers, "reply-to"),
        to=_addresses(headers, "to"),
        cc=_addresses(headers, "cc"),
        bcc=_addresses(headers, "bcc"),
        in_reply_to=parents[0] if len(parents) == 1 else None,
        references=_message_ids(headers, "references"),
        date=guarded(None, _date, _first(headers, "date")),
        received_count=len(headers.get("received", ())),
        auto_submitted=_joined(headers, "auto-submitted"),
        precedence=_joined(headers, "precedence"),
        return_path=_return_path(_first(headers, "return-path")),
        list_headers=[one_line(name, 100) for name in headers if name.startswith("list-")][:20],
        is_delivery_report=guarded(False, is_delivery_report, mail),
        text=guarded("", letter_text, mail),
        attachments=guarded([], attachment_names, mail),
        size=len(raw),
    )


def header_fields(raw: bytes) -> tuple[tuple[str, str], ...]:
    """Every header as name and decoded value, in the order of the mail."""
    headers = guarded({}, lambda: _headers(parsed(raw)))
    return tuple(
        (name, one_line(decoded_header(value), SUBJECT_LENGTH))
        for name, values in headers.items()
        for value in values
    )


def _headers(mail: Message) -> dict[str, list[str]]:
    """Every value by lower-case name, unfolded, in the order of the mail."""
    headers: dict[str, list[str]] = {}
    for name, value in mail.raw_items():
        unfolded = value.replace("\r", "").replace("\n", "")
        headers.setdefault(name.lower(), []).append(unfolded)
    return headers


def _first(headers: dict[str, list[str]], name: str) -> str:
    return headers.get(name, [""])[0]


def _joined(headers: dict[str, list[str]], name: str) -> str | None:
    return one_line(", ".join(headers[name]), 200) if name in headers else None


def _own_id(headers: dict[str, list[str]]) -> str | None:
    """The Message-ID; comments that relays put after it are tolerated."""
    found = MESSAGE_ID.match(_first(headers, "message-id").strip())
    return found[0] if found and len(found[0]) <= MESSAGE_ID_LENGTH else None


def _message_ids(headers: dict[str, list[str]], name: str) -> list[str]:
    found = MESSAGE_ID.findall(" ".join(headers.get(name, ())))
    return [one for one in dict.fromkeys(found) if len(one) <= MESSAGE_ID_LENGTH]


def _date(value: str) -> datetime | None:
    date = parsedate_to_datetime(value[:200])
    # RFC 5322 §3.3: -0000 says nothing about the zone; the time is UTC.
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)


def _return_path(value: str) -> str | None:
    path = re.search(r"<([^<>]*)>", value)
    return one_line(path[1] if path else value, 320) if value.strip() else None


def _addresses(headers: dict[str, list[str]], name: str) -> list[Address]:
    return read_addresses(", ".join(headers.get(name, ())))
