"""One incoming mail, read from bytes that a stranger wrote: reading never raises, and is quick."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import Address as HeaderAddress
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from itertools import count, islice, pairwise
from typing import Any

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.text import (
    attachment_names,
    children,
    decoded,
    guarded,
    letter_text,
    one_line,
    words,
)

SUBJECT_LENGTH, ADDRESS_LENGTH = 500, 320
MESSAGE_ID_LENGTH = 250
# RFC 5322 §3.6.4, as loosely as senders write it: visible ASCII with an "@" in it.
MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?-~]+>")

# Bounds of what is parsed. Figures: reading takes 65 ns a line and level of nesting.
HEAD_LENGTH, HEAD_LINES = 8 << 20, 100_000
HEADERS_LENGTH, HEADER_LENGTH, ADDRESSES_LENGTH = 128 << 10, 32 << 10, 16 << 10
BODY_LENGTH, BODY_LINES = 2 << 20, 50_000
PIECES, PIECE_LENGTH, PIECE_LINES = 2_000, 2_048, 16
ADDRESSES, RUN_LENGTH = 1_000, 1_000
DEPTH, PARTS = 50, 1_000
# An address for a name, which the parser would take for the mailbox.
_BARE_NAME = re.compile(r'(^|,)\s*([^"@,<>():;\\]*@[^",<>():;\\]*)<')
_DASHES, _LINE_END = re.compile(rb"\n--"), re.compile(rb"\r\n?|\n")


class Address(Frozen):
    """A mailbox (RFC 5322 §3.4)."""

    name: str = ""
    address: str

    def __str__(self) -> str:
        if not self.name:
            return self.address
        special = re.search(r'[()<>\[\]:;@\\,."]', self.name)
        name = '"' + re.sub(r'(["\\])', r"\\\1", self.name) + '"' if special else self.name
        return f"{name} <{self.address}>"


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


def read_mail(raw: bytes) -> IncomingMail:
    """Reads any bytes; what is broken in them is missing from the result, or replaced."""
    mail = _parsed(raw)
    headers = _headers(mail)
    message_id = _own_id(headers)
    parents = _message_ids(headers, "in-reply-to")
    return IncomingMail(
        message_id=message_id or f"<{hashlib.sha256(raw).hexdigest()[:32]}@mailroom.invalid>",
        message_id_derived=message_id is None,
        subject=one_line(words(_first(headers, "subject")), SUBJECT_LENGTH),
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
        is_delivery_report=guarded(False, _is_delivery_report, mail),
        text=guarded("", letter_text, mail),
        attachments=guarded([], attachment_names, mail),
        size=len(raw),
    )


class _Part(Message):
    """A part that keeps its bounds: what is nested too deep, or one too many, is not opened."""

    def __init__(self, policy: Any = policy.compat32) -> None:
        super().__init__(policy)
        self.room = HEADERS_LENGTH
        self.depth = 0
        self.counter = count(1)
        self.closed = False

    def set_raw(self, name: str, value: str) -> None:
        if name[:8].lower() == "content-":
            # Parameters are parsed in quadratic time.
            value = ";".join(value[:4096].split(";")[:64])
        data = value[:HEADER_LENGTH].encode("ascii", "surrogateescape")
        self.room -= len(name) + len(data)
        if self.room >= 0:
            super().set_raw(name, decoded(data, None))

    def attach(self, payload: Any) -> None:
        payload.depth, payload.counter = self.depth + 1, self.counter
        payload.closed = payload.depth >= DEPTH or next(self.counter) >= PARTS
        super().attach(payload)

    def get_content_type(self) -> str:
        return "application/octet-stream" if self.closed else super().get_content_type()


def _parsed(raw: bytes) -> Message:
    # What has fewer bytes than lines are allowed is within bounds.
    data = _within_bounds(raw) if len(raw) > BODY_LINES else raw
    mail = guarded(None, message_from_bytes, data, _Part)
    return BytesHeaderParser(_Part).parsebytes(data) if mail is None else mail


def _within_bounds(raw: bytes) -> bytes:
    """`raw` without the later lines of its long parts.

    A boundary is a line that begins with "--" (RFC 2046 §5.1.1): what stands between two such
    lines can be cut without losing a part.
    """
    gaps = (b"\n\r\n", b"\n\n", b"\r\r")
    start = min((at + len(gap) for gap in gaps if (at := raw.find(gap)) >= 0), default=len(raw))
    head = _first_lines(raw, 0, min(start, HEAD_LENGTH), HEAD_LINES)
    kept = [head, b"\r\n\r\n" if len(head) < start else b""]
    ends = [dash.start() + 1 for dash in islice(_DASHES.finditer(raw, start - 1), PIECES)]
    ends += [len(raw)] if len(ends) < PIECES else []
    length, lines = BODY_LENGTH, BODY_LINES
    for begin, end in pairwise([start, *ends]):
        stop = min(end, begin + max(length, PIECE_LENGTH))
        piece = _first_lines(raw, begin, stop, max(lines, PIECE_LINES))
        kept += [piece, b"\r\n" if len(piece) < end - begin else b""]
        length, lines = length - len(piece), lines - max(piece.count(b"\n"), piece.count(b"\r"))
    return b"".join(kept)


def _first_lines(raw: bytes, start: int, end: int, lines: int) -> bytes:
    last = next(islice(_LINE_END.finditer(raw, start, end), lines - 1, None), None)
    return raw[start : last.end() if last else end]


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


def _is_delivery_report(mail: Message) -> bool:
    """RFC 3464 §2; also where the parameter is missing."""
    if mail.get_content_type() != "multipart/report":
        return False
    kind = str(mail.get_param("report-type")).lower()
    kinds = [part.get_content_type() for part in children(mail)]
    return kind == "delivery-status" or "message/delivery-status" in kinds


def _addresses(headers: dict[str, list[str]], name: str) -> list[Address]:
    value = ", ".join(headers.get(name, ()))
    if len(value) > ADDRESSES_LENGTH:
        value = value[:ADDRESSES_LENGTH].rpartition(",")[0]
    return [address for run in _runs(value) for address in _parsed_addresses(run)]


def _runs(value: str) -> Iterator[str]:
    """`value` in runs of about a thousand characters, because it is parsed in quadratic time."""
    run = ""
    for piece in value.split(",")[:ADDRESSES]:
        if len(run) + len(piece) > RUN_LENGTH and run.count('"') % 2 == 0:
            yield run
            run = ""
        run = f"{run},{piece}" if run else piece
    yield run


def _parsed_addresses(run: str) -> list[Address]:
    if not run.strip() or len(run) > 2 * RUN_LENGTH:
        return []
    clear = run if '"' in run else _BARE_NAME.sub(r'\1"\2"<', run)
    header = guarded(None, policy.default.header_factory, "to", clear)
    if header is None:
        # One that breaks the parser must not hide the others.
        pieces = run.split(",") if "," in run else []
        return [address for piece in pieces for address in _parsed_addresses(piece)]
    found = [guarded(None, _address, one) for one in getattr(header, "addresses", ())]
    return [address for address in found if address]


def _address(parsed: HeaderAddress) -> Address | None:
    spec = parsed.addr_spec
    # What would have to be cleaned is not this mailbox any more.
    if "@" not in spec or one_line(spec, ADDRESS_LENGTH) != spec:
        return None
    return Address(name=one_line(parsed.display_name, 200), address=spec)
