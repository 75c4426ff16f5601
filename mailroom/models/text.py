"""Text from strangers, made fit to store, to show and to put into a prompt."""

import re
import unicodedata

_LINE_END = re.compile("\r\n?")
# PostgreSQL stores no NUL, and the other controls have no meaning in a letter (RFC 5198 §2).
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Nothing to see either, and yet of other categories than `visible` removes: fillers, blanks,
# variation selectors (Unicode, Default_Ignorable_Code_Point; U+2800 besides).
_BLANKS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f"
    "\uffa0\U000e0000-\U000e0fff]"
)
# ECMA-48 §5.4 (control sequences) and §8.3.89 (operating system commands).
_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*")


def printable(text: str) -> str:
    """`text` as PostgreSQL and UTF-8 can hold it, with `\\n` for every line end.

    Lone surrogates become U+FFFD.
    """
    text = _CONTROL.sub("", _LINE_END.sub("\n", text))
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def visible(text: str) -> str:
    """Without what nobody sees: control, bidirectional, zero-width and tag characters.

    They can hide words from a reader that a model reads (UTS #39 §5; UTR #36 §3); joined emoji
    and some scripts lose their joiners with them.
    """
    kept = (c for c in text if c.isspace() or unicodedata.category(c) not in {"Cc", "Cf", "Cs"})
    return _BLANKS.sub("", "".join(kept))


def unescaped(text: str) -> str:
    """Without escape sequences of terminals: what `visible` would leave of them is no text."""
    return _ESCAPES.sub("", text)


def one_line(text: str, limit: int | None = None) -> str:
    """`text` without line breaks and what nobody sees, for a list, a header or a quotation."""
    seen = visible(_SURROGATE.sub("\ufffd", text))
    return " ".join(seen.split())[:limit].rstrip()
