"""Bytes and headers of mail, decoded whatever their sender made of them."""

from collections.abc import Callable
from email import policy
from email.errors import MessageError
from email.header import decode_header, make_header
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D")

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


def decoded_header(value: str) -> str:
    """A header's text with its encoded words (RFC 2047) read."""
    value = value[:8_192]
    if "=?" not in value:
        return value
    # The older function joins characters that were split between words; the newer never fails.
    text = guarded(None, lambda: str(make_header(decode_header(value))))
    return text or str(guarded(value, policy.default.header_factory, "subject", value))
