"""The parts of a mail: the letter, what is attached to it, and what reports a delivery."""

from collections.abc import Iterator
from email.message import Message
from itertools import islice

from mailroom.models.decoding import decoded, decoded_header, guarded
from mailroom.models.html import html_to_text
from mailroom.models.text import one_line, printable

TEXT_LENGTH = 200_000
TEXT_PARTS, HTML_PARTS = 20, 4
NAMES = 100

_PLAIN, _SHOWN = "text/plain", {"text/plain", "text/html"}


def letter_text(mail: Message) -> str:
    """The letter in a mail, as plain text; attachments and attached mails are not looked into."""
    texts: list[str] = []
    html_room = HTML_PARTS
    for leaf in list(islice(_letter(mail), TEXT_PARTS)) or _named_letter(mail):
        is_html = leaf.get_content_type() == "text/html"
        html_room -= is_html
        if not is_html or html_room >= 0:
            text = guarded("", _content, leaf)
            texts.append(html_to_text(text) if is_html else printable(text[:TEXT_LENGTH]))
    return "\n\n".join(text.strip("\n") for text in texts if text.strip())[:TEXT_LENGTH]


def _named_letter(mail: Message) -> list[Message]:
    """The first text of a mail that calls all its texts files."""
    texts = (leaf for leaf in _leaves(mail) if leaf.get_content_maintype() == "text")
    return [leaf for leaf in texts if _is_inline(leaf)][:1]


def attachment_names(mail: Message) -> list[str]:
    """The names of what is attached; its content type where it has no name."""
    return [guarded("?", _name, leaf) for leaf in attached_parts(mail, NAMES)]


def attached_parts(mail: Message, most: int) -> list[Message]:
    """The first of what is attached, in the order of the mail."""
    attached = (leaf for leaf in _leaves(mail) if not _is_letter(leaf))
    return list(islice(attached, most))


def is_delivery_report(mail: Message) -> bool:
    """RFC 3464 §2; also where the parameter is missing."""
    if mail.get_content_type() != "multipart/report":
        return False
    kind = str(mail.get_param("report-type")).lower()
    kinds = [part.get_content_type() for part in _children(mail)]
    return kind == "delivery-status" or "message/delivery-status" in kinds


def _letter(part: Message) -> Iterator[Message]:
    if part.get_content_type() == "multipart/alternative":
        # RFC 2046 §5.1.4: one is enough, and the plain one hides nothing.
        plain_first = sorted(_children(part), key=lambda one: one.get_content_type() != _PLAIN)
        yield from next(filter(None, (_written(one) for one in plain_first)), [])
    elif _children(part):
        for child in _children(part):
            yield from _letter(child)
    elif _is_letter(part):
        yield part


def _written(part: Message) -> list[Message]:
    return [leaf for leaf in _letter(part) if str(leaf.get_payload()).strip()]


def _leaves(part: Message) -> Iterator[Message]:
    for child in _children(part):
        yield from _leaves(child)
    if not _children(part):
        yield part


def _children(part: Message) -> list[Message]:
    is_open = part.is_multipart() and part.get_content_maintype() == "multipart"
    return list(part.get_payload()) if is_open else []  # type: ignore[arg-type]


def _is_letter(leaf: Message) -> bool:
    if not _is_inline(leaf) or guarded(None, leaf.get_filename):
        return False
    # A multipart without parts is what a broken mailer calls its text.
    return leaf.get_content_type() in _SHOWN or leaf.get_content_maintype() == "multipart"


def _is_inline(leaf: Message) -> bool:
    return guarded(None, leaf.get_content_disposition) != "attachment"


def _content(leaf: Message) -> str:
    data = leaf.get_payload(decode=True)
    charset = guarded(None, leaf.get_content_charset)
    return decoded(data, charset) if isinstance(data, bytes) else ""


def _name(leaf: Message) -> str:
    name = guarded(None, leaf.get_filename)
    return one_line(decoded_header(name or ""), 255) or one_line(leaf.get_content_type(), 255)
