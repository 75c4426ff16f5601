"""A message as it is submitted, checked; field names are those of the queue's item."""

import base64
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    JsonValue,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from mailroom.models.base import Frozen
from mailroom.models.mail import MESSAGE_ID, MESSAGE_ID_LENGTH
from mailroom.models.outbound.item import (
    DEFAULT_PRIORITY,
    Attempts,
    MessagePriority,
)
from mailroom.models.reply import UnsafeHeader, sendable

MOST_TAGS, LONGEST_TAG, MOST_METADATA = 50, 100, 16 * 1024
MOST_HEADERS, LONGEST_HEADER = 50, 2_000
# RFC 5322 §2.2: printable ASCII but the colon.
_NAME = re.compile(r"[!-9;-~]{1,76}")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_HALF = re.compile("[\ud800-\udfff]")
# Computing with later ones may leave the calendar.
_END = datetime(3000, 1, 1, tzinfo=UTC)
# What we write ourselves, what a server on the way writes, and what would show a hidden copy.
_OURS = frozenset({
    "bcc", "date", "dkim-signature", "message-id", "mime-version", "received", "resent-bcc",
    "return-path",
})  # fmt: skip


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has characters that can't be printed")
    if not (stripped := text.strip()):
        raise ValueError("it is empty")
    return stripped


def _address(text: str) -> str:
    try:
        return sendable(text.strip())
    except UnsafeHeader as error:
        raise ValueError(str(error)) from error


def _message_id(text: str) -> str:
    if not MESSAGE_ID.fullmatch(text) or len(text) > MESSAGE_ID_LENGTH:
        raise ValueError("this is no Message-ID such as <one@example.com>")
    return text


def _headers(given: dict[str, str]) -> dict[str, str]:
    if len(given) > MOST_HEADERS:
        raise ValueError(f"a message may have {MOST_HEADERS} headers of its own")
    for name, value in given.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:40]!r} is no name of a header")
        if name.lower() in _OURS or name.lower().startswith("content-"):
            raise ValueError(f"{name} is not for who submits to set")
        if not value.isprintable() or len(value) > LONGEST_HEADER:
            raise ValueError(
                f"{name} has a line end or another control character, or is longer than"
                f" {LONGEST_HEADER} characters"
            )
    if len({name.lower() for name in given}) < len(given):
        raise ValueError("a header is there twice")
    return given


def _small(given: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """PostgreSQL's JSON has no NaN and no infinity (RFC 8259 §6), no NUL and no half characters."""
    try:
        written = json.dumps(given, allow_nan=False, ensure_ascii=False)
        size = len(written.encode())
    except ValueError as error:
        raise ValueError("metadata has a number or a character that JSON can't hold") from error
    if _NUL.search(written):
        raise ValueError("metadata has a NUL character")
    if size > MOST_METADATA:
        raise ValueError(f"metadata may have {MOST_METADATA} bytes as JSON")
    return given


def _text(given: str) -> str:
    # RFC 5322 §3.5: NUL is in no mail.
    if "\0" in given:
        raise ValueError("it has a NUL character")
    if _HALF.search(given):
        raise ValueError("it has half of a character that takes two in UTF-16")
    return given


def _foreseeable(at: datetime) -> datetime:
    if at >= _END:
        raise ValueError("it is too far away; name a time before the year 3000")
    return at


def _bytes(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return base64.b64decode("".join(given.split()), validate=True)
    except ValueError as error:
        raise ValueError("this is no base64") from error


Raw = Annotated[
    bytes,
    BeforeValidator(_bytes, json_schema_input_type=str),
    PlainSerializer(lambda data: base64.b64encode(data).decode(), return_type=str),
    WithJsonSchema({"type": "string", "format": "base64"}),
]
Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
ShortName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]
EnvelopeAddress = Annotated[str, Field(max_length=320), AfterValidator(_address)]
Text = Annotated[str, AfterValidator(_text)]
Moment = Annotated[AwareDatetime, AfterValidator(_foreseeable)]
Tag = Annotated[str, Field(min_length=1, max_length=LONGEST_TAG), AfterValidator(_printable)]


class NewMessage(Frozen):
    """Either `raw`, a whole mail in base64, or `text` and/or `html` with `headers`."""

    sender: EnvelopeAddress
    recipient: EnvelopeAddress
    headers: Annotated[dict[str, str], AfterValidator(_headers)] | None = None
    text: Text | None = None
    html: Text | None = None
    raw: Raw | None = None

    message_id: Annotated[str, AfterValidator(_message_id)] | None = None
    queue_name: Name | None = None
    routing_domain: Name | None = None
    campaign_id: ShortName | None = None
    tenant_id: ShortName | None = None
    pool_name: ShortName | None = None
    priority: MessagePriority = DEFAULT_PRIORITY
    max_attempts: Attempts | None = None
    scheduled_at: Moment | None = None
    expires_at: Moment | None = None
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS)] | None = None
    metadata: Annotated[dict[str, JsonValue], AfterValidator(_small)] | None = None

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if self.raw is None and self.text is None and self.html is None:
            raise ValueError("it has no content: give raw, or text, or html")
        if self.raw is not None and (self.text, self.html, self.headers) != (None, None, None):
            raise ValueError("raw is a whole mail: text, html and headers don't go with it")
        return self

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.scheduled_at and self.expires_at and self.expires_at <= self.scheduled_at:
            raise ValueError("expires_at is not after scheduled_at")
        return self
