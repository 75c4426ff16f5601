"""What waits in the spool: one entry a file. A file is JSON with the checksum of what follows it;
its name has what lists and orders need, so that nobody opens a hundred thousand files for those."""

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple
from uuid import uuid4

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, JsonValue, ValidationError

from mailroom.models.arrival import Arrival
from mailroom.models.base import Frozen
from mailroom.models.queues import Kind as Kind  # noqa: PLC0414  a name of here, too
from mailroom.models.queues import Queue as Queue  # noqa: PLC0414
from mailroom.models.receipts import Receipt

URGENT, VIP, NORMAL, LATER = 1, 2, 3, 4
"""1 goes first, as Temporal has it."""


def _in_utf8(text: str) -> str:
    return text.encode(errors="replace").decode()


# JSON and SMTP bring halves of characters (RFC 8259 §8.2), which UTF-8 can't hold: they become "?",
# so that the rest can be kept.
Theirs = Annotated[str, AfterValidator(_in_utf8)]


class SpooledMail(Frozen):
    """A mail and its envelope, as `Arrival` has it; `raw` is base64 in JSON."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    kind: Literal[Kind.MAIL] = Kind.MAIL
    raw: bytes
    sender: Theirs | None
    recipients: tuple[Theirs, ...]
    why_not: str | None = None

    @classmethod
    def of(cls, arrival: Arrival) -> "SpooledMail":
        return cls(
            raw=arrival.raw,
            sender=arrival.sender,
            recipients=tuple(arrival.recipients),
            why_not=arrival.why_not,
        )

    @property
    def arrival(self) -> Arrival:
        return Arrival(self.raw, self.sender, self.recipients, self.why_not)


class SpooledText(Frozen):
    """A text from an owner whose signature and number were checked."""

    kind: Literal[Kind.TEXT] = Kind.TEXT
    owner: str
    number: str
    body: Theirs
    provider_id: str
    keyword: str | None = None


class SpooledReceipt(Frozen):
    """What a provider said of a text of ours; `stopped` is a number that wants no more texts."""

    kind: Literal[Kind.RECEIPT] = Kind.RECEIPT
    receipt: Receipt | None
    stopped: str | None = None


class SpooledLetter(Frozen):
    """An agent's letter, with the fields that its writer gave it."""

    kind: Literal[Kind.LETTER] = Kind.LETTER
    message: dict[str, JsonValue]


class SpooledSubmission(Frozen):
    """An outbound message with the fields that its submitter gave it, checked; `id` is what the
    submitter was told."""

    kind: Literal[Kind.SUBMISSION] = Kind.SUBMISSION
    id: str = Field(pattern=r"\A[0-9a-f]{32}\z")
    message: dict[str, JsonValue]


Message = Annotated[
    SpooledMail | SpooledText | SpooledReceipt | SpooledLetter | SpooledSubmission,
    Field(discriminator="kind"),
]


class Entry(Frozen):
    """`queue` is where it came from, and goes back to when it is replayed; `error` is a sentence
    about the last attempt."""

    version: Literal[1] = 1
    id: str = Field(default_factory=lambda: uuid4().hex, pattern=r"\A[0-9a-f]{32}\z")
    queue: Queue
    priority: int = Field(ge=1, le=9)
    queued_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    attempts: int = 0
    last_attempt: AwareDatetime | None = None
    error: str | None = None
    message: Message

    @property
    def name(self) -> "EntryName":
        return EntryName(self.priority, self.queued_at, Kind(self.message.kind), self.id)

    def failed(self, error: str, at: datetime) -> "Entry":
        """After one more attempt."""
        known = {"attempts": self.attempts + 1, "last_attempt": at, "error": error}
        return self.model_copy(update=known)

    def again(self) -> "Entry":
        """As if it had never been tried; its age stays."""
        return self.model_copy(update={"attempts": 0, "last_attempt": None, "error": None})


_FILE = re.compile(
    rf"(?P<priority>[1-9])-(?P<time>\d{{8}}T\d{{6}}\.\d{{6}}Z)"
    rf"-(?P<kind>{'|'.join(Kind)})-(?P<id>[0-9a-f]{{32}})\.json",
    re.ASCII,  # other scripts have digits too
)


# To ISO 8601's basic format, which has no colons: some file systems and tools mind those.
_TO_BASIC = str.maketrans("", "", "-:")


class EntryName(NamedTuple):
    """Sorted, the order in which entries go on: by priority, then by age."""

    priority: int
    queued_at: datetime
    kind: Kind
    id: str

    @property
    def file(self) -> str:
        time = self.queued_at.astimezone(UTC).isoformat(timespec="microseconds")
        basic = time.translate(_TO_BASIC).removesuffix("+0000")
        return f"{self.priority}-{basic}Z-{self.kind}-{self.id}.json"


def is_entry(file: str) -> bool:
    return _FILE.fullmatch(file) is not None


def kind_of(file: str) -> Kind | None:
    """None of a file that is no entry."""
    found = _FILE.fullmatch(file)
    return Kind(found["kind"]) if found else None


def name_of(file: str) -> EntryName | None:
    """What a file's name says; None of one that is no entry."""
    found = _FILE.fullmatch(file)
    if found is None:
        return None
    try:
        queued_at = datetime.fromisoformat(found["time"])
    except ValueError:
        return None
    return EntryName(int(found["priority"]), queued_at, Kind(found["kind"]), found["id"])


class Damaged(ValueError):
    """A file is not what was written; the message says how that shows."""


_BEFORE, _BETWEEN, _AFTER = b'{"sha256":"', b'","entry":', b"}\n"
_DIGEST = slice(len(_BEFORE), len(_BEFORE) + 64)
_CONTENT = slice(_DIGEST.stop + len(_BETWEEN), -len(_AFTER))


def encoded(entry: Entry) -> bytes:
    """`{"sha256": ..., "entry": {...}}`; the checksum is that of the entry's very bytes."""
    content = entry.model_dump_json().encode()
    return b"".join((_BEFORE, _digest(content), _BETWEEN, content, _AFTER))


def decoded(data: bytes) -> Entry:
    """Raises `Damaged`."""
    content = data[_CONTENT]
    framed = data.startswith(_BEFORE) and data.endswith(_AFTER)
    if not framed or data[_DIGEST.stop : _CONTENT.start] != _BETWEEN:
        raise Damaged("it does not have the form of an entry, or not all of it is there")
    if data[_DIGEST] != _digest(content):
        raise Damaged("its checksum is wrong: it was changed, or the disk lost a part of it")
    try:
        return Entry.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "entry"
        raise Damaged(f"{field}: {first['msg']}") from None


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
