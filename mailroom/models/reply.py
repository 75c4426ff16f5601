"""The reply: who gets it, which thread it belongs to, and the bytes that leave.

All but the text comes from code (RFC 5322 §3.6.4), and one request always makes the same bytes.
"""

import hashlib
import re
from email.message import EmailMessage
from email.utils import quote
from functools import lru_cache

import idna
from email_validator import EmailNotValidError, validate_email
from pydantic import AwareDatetime, Field

from mailroom.models.addresses import Address
from mailroom.models.attached import AttachedFile
from mailroom.models.base import Frozen
from mailroom.models.decoding import guarded
from mailroom.models.header_folding import ASCII, UTF8, encoded, is_plain
from mailroom.models.mail import MESSAGE_ID, MESSAGE_ID_LENGTH, SUBJECT_LENGTH
from mailroom.models.reply_html import reply_html
from mailroom.models.text import one_line, printable

MAX_RECIPIENTS = 10
NAME_LENGTH = 200
REPLY = "reply"
"""The step of a mail's workflow that its reply is named after."""
REFERENCES_LENGTH = 900

# What ends a line for somebody: RFC 5322 §2.2 and str.splitlines.
_LINE_END = re.compile("[\0\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")
# A domain of no special use: tests and home networks have others.
_COMMON = ".example.com"
_REPLY = re.compile(
    r"^(?:(?:re|aw|antw|sv|odp|res|rif|ynt|回复|答复|回覆)\s*(?:\[\d{1,4}\])?\s*[:：]\s*)+",
    re.IGNORECASE,
)


class UnsafeHeader(ValueError):
    """A value that must get neither into a header nor into an SMTP command; says why."""


class NoRecipient(ValueError):
    """There is nobody to answer."""


class ReplyRequest(Frozen):
    """An answer, and what it needs to know of the mail it answers."""

    original_message_id: str
    message_id_derived: bool = False
    subject: str = ""
    sender: Address | None = None
    reply_to: list[Address] = Field(default_factory=list)
    references: list[str] = Field(default_factory=list)
    in_reply_to: str | None = None
    from_address: str
    from_name: str | None = None
    text: str
    message_id: str
    date: AwareDatetime
    unattended: bool = False
    html: bool = Field(default=False, description="the text as HTML too, beside it")
    attach: tuple[AttachedFile, ...] = ()


def build_reply(request: ReplyRequest) -> bytes:
    """The mail as it leaves: CRLF line ends, ASCII unless `needs_smtputf8`.

    Raises UnsafeHeader or NoRecipient, with a sentence for the owner.
    """
    message = EmailMessage(policy=UTF8 if needs_smtputf8(request) else ASCII)
    sender = Address(name=request.from_name or "", address=request.from_address)
    message["From"] = _mailbox(sender, "From")
    message["To"] = mailboxes(_answered(request.sender, request.reply_to), "To")
    message["Subject"] = encoded(_subject(request.subject), "Subject")
    message["Date"] = request.date
    message["Message-ID"] = _message_id(request.message_id)
    if not request.message_id_derived:
        message["In-Reply-To"] = _message_id(request.original_message_id)
    if references := _references(request):
        message["References"] = "\t ".join(references)
    if request.unattended:
        # RFC 3834 §5; a reply that a person approved is no automatic one.
        message["Auto-Submitted"] = "auto-replied"
    _write(message, request)
    return message.as_bytes()


def _write(message: EmailMessage, request: ReplyRequest) -> None:
    text = printable(request.text)
    charset = "us-ascii" if text.isascii() else "utf-8"
    message.set_content(text, charset=charset)
    if request.html:
        message.add_alternative(reply_html(text), subtype="html", charset=charset)
    for file in request.attach:
        kind, _, subtype = file.kind.partition("/")
        message.add_attachment(file.data, kind, subtype, filename=file.name)
    if message.is_multipart():
        bind_parts(message, f"{request.message_id}\0{text}")


def bind_parts(message: EmailMessage, seed: str) -> None:
    """Boundaries that follow from the reply, so that its bytes are the same every time. They occur
    in no part: no encoding has "=_" (RFC 2045 §6.7, §6.8), and nobody writes a digest of it."""
    digest = hashlib.sha256(seed.encode()).hexdigest()[:32]
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_{digest}_{number}")


def recipients(request: ReplyRequest) -> list[str]:
    """The envelope recipients, as RCPT takes them."""
    return answer_addresses(request.sender, request.reply_to)


def answer_addresses(sender: Address | None, reply_to: list[Address]) -> list[str]:
    """Where an answer goes: Reply-To, else From (RFC 5322 §3.6.2)."""
    return list(dict.fromkeys(sendable(one.address) for one in _answered(sender, reply_to)))


def needs_smtputf8(mail: ReplyRequest | bytes) -> bool:
    """Whether an address needs RFC 6531; in the bytes of a reply nothing else is beyond ASCII."""
    if isinstance(mail, bytes):
        return not mail.isascii()
    return not all(one.isascii() for one in (*recipients(mail), sendable(mail.from_address)))


def reply_message_id(workflow_id: str, step: str, domain: str) -> str:
    """The Message-ID of one step: the same for every attempt, and telling nobody's address."""
    host = guarded(b"", idna.encode, domain.lower(), uts46=True).decode()
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", host):
        raise UnsafeHeader(f"{_shown(domain)} is no domain for a Message-ID.")
    return f"<{_digest(workflow_id, step)}@{host}>"


def is_our_reply(message_id: str, workflow_id: str) -> bool:
    """Whether this is the Message-ID of the reply that the workflow sends, at any domain."""
    return message_id.startswith(f"<{_digest(workflow_id, REPLY)}@")


def _digest(workflow_id: str, step: str) -> str:
    return hashlib.sha256(f"{workflow_id}\0{step}".encode()).hexdigest()[:32]


def _answered(sender: Address | None, reply_to: list[Address]) -> list[Address]:
    answered = reply_to or ([sender] if sender else [])
    if not answered:
        raise NoRecipient("The mail names nobody to answer.")
    if len(answered) > MAX_RECIPIENTS:
        raise UnsafeHeader(
            f"An answer would go to {len(answered)} addresses; {MAX_RECIPIENTS} are allowed."
        )
    return answered


# The steps of one mail ask nine times.
@lru_cache(maxsize=1024)
def sendable(address: str) -> str:
    """`address` with its domain in ASCII; RFC 5321 §4.1.2 without quoted local parts."""
    try:
        found = validate_email(address + _COMMON, check_deliverability=False, allow_smtputf8=True)
    except EmailNotValidError as error:
        raise UnsafeHeader(f"{_shown(address)} is no address to send to. {error}") from error
    return f"{found.local_part}@{found.ascii_domain.removesuffix(_COMMON)}"


def _safe(value: str) -> str:
    if _LINE_END.search(value):
        raise UnsafeHeader(f"{_shown(value)} has a line end, which no header may have.")
    return value


def _shown(value: str) -> str:
    return f"“{one_line(value, 100)}”"


def _subject(subject: str) -> str:
    words = one_line(_safe(subject), SUBJECT_LENGTH)
    return f"Re: {_REPLY.sub('', words, count=1)}".strip()


def _message_id(value: str) -> str:
    if not MESSAGE_ID.fullmatch(value) or len(value) > MESSAGE_ID_LENGTH:
        raise UnsafeHeader(f"{_shown(value)} is no Message-ID.")
    return value


def _references(request: ReplyRequest) -> list[str]:
    """RFC 5322 §3.6.4: the parent's References, or its In-Reply-To, and the parent."""
    parent = [] if request.message_id_derived else [request.original_message_id]
    known = request.references or ([request.in_reply_to] if request.in_reply_to else [])
    older = [one for one in dict.fromkeys(known) if one not in parent]
    return _bounded([_message_id(one) for one in (*older, *parent)])


def _bounded(ids: list[str]) -> list[str]:
    """The first, which names the thread, and as many of the last as there is room for."""
    room = REFERENCES_LENGTH - len("".join(ids[:1]))
    last: list[str] = []
    for one in reversed(ids[1:]):
        room -= len(one) + 1
        if room < 0:
            break
        last.insert(0, one)
    return ids[:1] + last


def mailboxes(found: list[Address], header: str) -> str:
    return ",\t ".join(_mailbox(one, header) for one in found)


def _mailbox(one: Address, header: str) -> str:
    name, address = one_line(_safe(one.name), NAME_LENGTH), sendable(one.address)
    if not name:
        return address
    words = f'"{quote(name)}"' if is_plain(name) else encoded(name, header) + "\t"
    return f"{words} <{address}>"
