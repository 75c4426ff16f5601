"""Text from strangers, made fit to store, to show and to put into a prompt."""

import re
from collections.abc import Callable, Iterator
from email import policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from itertools import islice
from typing import ParamSpec, TypeVar

from inscriptis import get_text
from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.html_properties import Display
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement
from inscriptis.model.tag import CustomHtmlTagHandlerMapping
from lxml.etree import LxmlError  # type: ignore[import-untyped]

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D")

TEXT_LENGTH = 200_000
TEXT_PARTS = 20
NAMES = 100
HTML_PARTS = 4
HTML_LENGTH = 500_000
# inscriptis takes 6 µs a tag.
HTML_TAGS = 10_000

# What the standard library raises for headers and parts that are not what they claim to be.
BROKEN = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
    MessageError,
)

_PLAIN, _SHOWN = "text/plain", {"text/plain", "text/html"}
_HIDING = re.compile(
    r"display:none|visibility:hidden|mso-hide:all|(?:font-size|opacity):0(?![.\d]*[1-9])"
)

_LINE_END = re.compile("\r\n?")
# PostgreSQL stores no NUL, and the other controls have no meaning in a letter (RFC 5198 §2).
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Directions, zero widths, fillers, variation selectors and tags can hide words from a reader
# that a model reads (UTS #39 §5; UTR #36 §3).
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)

# Codecs of Python that are no charset of mail (IANA), and slow or raising.
_NO_CHARSET = {"punycode", "idna", "undefined", "unicode_escape", "raw_unicode_escape"}
_ASCII = {"ascii", "us-ascii"}
# What senders mean who write the left: the superset (WHATWG Encoding §4.2).
_SUPERSET = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252"}


def guarded(otherwise: D, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | D:
    """What `read` returns, or `otherwise` where the standard library gives up."""
    try:
        return read(*args, **kwargs)
    except BROKEN:
        return otherwise


def printable(text: str, *, keep_invisible: bool = True) -> str:
    """`text` as PostgreSQL and UTF-8 can hold it, with `\\n` for every line end.

    Lone surrogates become U+FFFD. `keep_invisible=False` also removes what takes no room on
    a screen; joined emoji and some scripts lose their joiners by it.
    """
    text = _CONTROL.sub("", _LINE_END.sub("\n", text))
    text = text if text.isascii() else _SURROGATE.sub("\ufffd", text)
    return text if keep_invisible else _INVISIBLE.sub("", text)


def one_line(text: str, limit: int) -> str:
    """`text` without line breaks and invisible characters, for a list or a header."""
    line = " ".join(text[: 4 * limit].split())
    return printable(line, keep_invisible=False)[:limit].strip()


def decoded(data: bytes, charset: str | None) -> str:
    """`data` as text, whatever its sender called the charset."""
    named = (charset or "ascii").lower()
    name = _SUPERSET.get(named, named)
    readings = ((name, "strict"), ("utf-8", "strict"), (name, "replace"))
    for codec, errors in readings[: 2 if named in _ASCII else 3]:
        known = codec.replace("-", "_") not in _NO_CHARSET
        if known and (text := guarded(None, data.decode, codec, errors)) is not None:
            return text
    return data.decode("cp1252", "replace")


def words(value: str) -> str:
    """A header's text with its encoded words (RFC 2047) read."""
    value = value[:8_192]
    if "=?" not in value:
        return value
    # The older function joins characters that were split between words; the newer never fails.
    text = guarded(None, lambda: str(make_header(decode_header(value))))
    return text or str(guarded(value, policy.default.header_factory, "subject", value))


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
    attached = (leaf for leaf in _leaves(mail) if not _is_letter(leaf))
    return [guarded("?", _name, leaf) for leaf in islice(attached, NAMES)]


def _letter(part: Message) -> Iterator[Message]:
    if part.get_content_type() == "multipart/alternative":
        # RFC 2046 §5.1.4: one is enough, and the plain one hides nothing.
        plain_first = sorted(children(part), key=lambda one: one.get_content_type() != _PLAIN)
        yield from next(filter(None, (_written(one) for one in plain_first)), [])
    elif children(part):
        for child in children(part):
            yield from _letter(child)
    elif _is_letter(part):
        yield part


def _written(part: Message) -> list[Message]:
    return [leaf for leaf in _letter(part) if str(leaf.get_payload()).strip()]


def _leaves(part: Message) -> Iterator[Message]:
    for child in children(part):
        yield from _leaves(child)
    if not children(part):
        yield part


def children(part: Message) -> list[Message]:
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
    return one_line(words(name or ""), 255) or one_line(leaf.get_content_type(), 255)


def html_to_text(html: str) -> str:
    """The words a reader of `html` sees; "" where there are none."""
    html = _within_bounds(printable(html))
    try:
        text = str(get_text(html, _layout()))
    except (*BROKEN, LxmlError, SyntaxError):
        text = re.sub("<[^<>]*>", " ", html)
    return printable(text)


def _within_bounds(html: str) -> str:
    pieces = html[:HTML_LENGTH].split("<", HTML_TAGS)
    return "<".join(pieces[:HTML_TAGS])


def _layout() -> ParserConfig:
    """Tables and paddings are not drawn: columns of a hostile width would fill the memory.

    One for each conversion, because inscriptis writes into the body element it is given.
    """
    block, cell = HtmlElement(display=Display.block), HtmlElement(suffix=" ")
    css = STRICT_CSS_PROFILE | dict.fromkeys(("ul", "ol", "table", "tr"), block)
    css |= {"body": HtmlElement(), "td": cell, "th": cell}
    undrawn = dict.fromkeys(("table", "tr", "td", "th"))
    tags = CustomHtmlTagHandlerMapping(undrawn, undrawn)
    layout = ParserConfig(css=css, custom_html_tag_handler_mapping=tags)
    layout.attribute_handler.attribute_mapping = {"style": _hide_styled, "hidden": _hide}
    return layout


def _hide_styled(style: str, element: HtmlElement) -> None:
    if _HIDING.search("".join(style.lower().split())):
        _hide(style, element)


def _hide(_: str, element: HtmlElement) -> None:
    element.display = Display.none
