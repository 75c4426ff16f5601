"""Mail as an Email Monitor hands it over (seed 003): one JSON object each, read one by one, so
that a bad one is refused by itself."""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from mailroom.models.addresses import read_addresses
from mailroom.models.arrival import Arrival
from mailroom.models.mail import MESSAGE_ID, MESSAGE_ID_LENGTH
from mailroom.models.text import one_line, printable

ID_LENGTH, HEADER_LENGTH, IDS = 998, 16_000, 100
# RFC 2045 §6.8: base64 is four characters for three bytes; a line end after each 76.
RAW_PER_BYTE = 1.4


class BadItem(Exception):
    """An item is no mail. The message says why, and quotes nothing of it."""


class Pending(NamedTuple):
    """A mail, and the name under which its monitor knows it."""

    monitor_id: str
    arrival: Arrival


def _joined(value: object) -> object:
    """`null` is nothing, a list is what it would be as a header."""
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


Text = Annotated[str, BeforeValidator(_joined)]


class _Item(BaseModel):
    """Fields that we don't know are ignored."""

    message_id: str = Field(min_length=1, max_length=ID_LENGTH)
    sender: Text = Field(default="", alias="from")
    to: Text = ""
    subject: Text = ""
    body: Text = ""
    received_at: Any = None
    in_reply_to: Text = ""
    references: Text = ""
    raw: str | None = None


def read_item(item: object, max_bytes: int) -> Pending:
    """The mail that `item` is; raises `BadItem`."""
    try:
        found = _Item.model_validate(item)
    except ValidationError as error:
        raise BadItem(_first_problem(error)) from error
    name = found.message_id
    if printable(name) != name or "\n" in name:
        raise BadItem("message_id has characters that no name has.")
    raw = _decoded(found.raw, max_bytes) if found.raw else _built(found)
    if len(raw) > max_bytes:
        raise BadItem(f"It is larger than MAILROOM_MAX_MESSAGE_BYTES ({max_bytes:,}).")
    # No envelope came with it: who sent it is what its headers say.
    recipients = tuple(one.address for one in read_addresses(found.to[:HEADER_LENGTH]))
    return Pending(name, Arrival(raw, None, recipients))


def _decoded(raw: str, max_bytes: int) -> bytes:
    if len(raw) > max_bytes * RAW_PER_BYTE + 1_000:
        raise BadItem(f"It is larger than MAILROOM_MAX_MESSAGE_BYTES ({max_bytes:,}).")
    try:
        data = base64.b64decode("".join(raw.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadItem("raw is no base64.") from error
    if not data.strip():
        raise BadItem("raw is empty.")
    return data


def _built(item: _Item) -> bytes:
    """A mail of these fields: always the same bytes, so that the same item is the same mail.

    Each value is one line, so that none can bring a header of its own; UTF-8 as it is
    (RFC 6532).
    """
    headers = [
        ("From", item.sender),
        ("To", item.to),
        ("Subject", item.subject),
        ("Date", _date(item.received_at)),
        ("Message-ID", " ".join(_ids(item.message_id, bare=True)[:1])),
        ("In-Reply-To", " ".join(_ids(item.in_reply_to, bare=True)[:1])),
        ("References", " ".join(_ids(item.references))),
        # Two mails that say the same are still two.
        ("X-Monitor-ID", item.message_id),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'text/plain; charset="utf-8"'),
        ("Content-Transfer-Encoding", "8bit"),
    ]
    lines = [f"{name}: {line}" for name, value in headers if (line := _header(value))]
    text = "\n".join([*lines, "", printable(item.body), ""])
    return text.encode().replace(b"\n", b"\r\n")


def _header(value: str) -> str:
    return one_line(value[:HEADER_LENGTH])


def _ids(value: str, *, bare: bool = False) -> Sequence[str]:
    """Message-IDs in `value`; `bare`: also one without its angle brackets."""
    value = value[:HEADER_LENGTH].strip()
    candidates = [f"<{value}>", value] if bare and not value.startswith("<") else [value]
    found = [one for each in candidates for one in MESSAGE_ID.findall(each)]
    return [one for one in found if len(one) <= MESSAGE_ID_LENGTH][-IDS:]


def _date(value: object) -> str:
    """RFC 5322 §3.3; "" where the monitor says nothing that is a time."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value):
        return ""
    try:
        moment = datetime.fromisoformat(value[:64])
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return format_datetime(zoned.astimezone(UTC))
    except (ValueError, OverflowError):
        return ""


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the item'}: {first['msg']}."
