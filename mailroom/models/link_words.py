"""Which words of a text a mail program makes a link of; more rather than fewer."""

import re
import unicodedata
from itertools import pairwise

# Where no scheme says so, programs take for a link what ends in a top-level domain. These ends of
# file names are none (IANA root zone), and letters name files.
_FILES = re.compile(
    r"(?i)bmp|csv|docx?|eml|gif|html|ics|jpe?g|js|json|od[pst]|pdf|png|pptx?|rtf|svg|tex|txt|webp"
    r"|xlsx?|xml|yaml"
)
_SCHEME = re.compile(
    r"[a-z][a-z0-9+.-]{0,30}://|\bwww\.\w|\b(?:https?|ftps?|mailto|tel|sms|smsto|sip|xmpp|skype|callto|"
    r"facetime|whatsapp|geo|news|magnet|bitcoin|file|javascript|vbscript|data|about|cid|mid|"
    r"intent|market|webcal|ms-[a-z]{2,20}):[^\s]",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^\s@]@[^\s@]")
_NUMERIC = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\d)|//\[[0-9a-fA-F:.]+\]")
_RUN = re.compile(r"[\w.-]+")
_TOP_LEVEL = re.compile(r"(?:xn--[a-z0-9-]+|[^\W\d_]{2,})(?![^\W_])", re.IGNORECASE)
# Two sentences without a space between them.
_JOINT = re.compile(r"([\w’'-]*[^\W\d_]{2})\.([A-Z][^\W\d_A-Z]+)")

# Words of scripts without spaces are no part of a link, but may stand right beside one.
_UNSPACED = (
    "\u3000-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uff01\uff08\uff09\uff0c\uff1a-\uff1f"
)
_WORD = re.compile(f"[^\\s{_UNSPACED}]+")
_BESIDE = re.compile(
    f"(?<=[{_UNSPACED}])[.．․@](?=\\w)|(?<=\\w)[.．․@](?=[{_UNSPACED}])|(?<=[a-zA-Z]):(?=[{_UNSPACED}])"
)
_OPENING, _CLOSING = "([{<\"'“‘«*_", ".,;:!?)]}>\"'”’»*_"


def without_links(text: str, allowed: frozenset[str] = frozenset()) -> tuple[str, int]:
    """`text` without the words that are links, and how many there were; `allowed` ones stay."""
    count = 0

    def kept(found: re.Match[str]) -> str:
        nonlocal count
        word = found[0]
        if core(word) in allowed:
            return word
        if joint := _JOINT.fullmatch(word.rstrip(_CLOSING)):
            return f"{joint[1]}. {word[joint.start(2) :]}"
        if not is_link(word):
            return word
        count += 1
        return _punctuation_after(word)

    text = _WORD.sub(kept, text)
    return _BESIDE.sub(lambda found: f"{found[0]} ", text), count


def links_in(text: str) -> frozenset[str]:
    return frozenset(core(word) for word in _WORD.findall(text) if is_link(word))


def core(word: str) -> str:
    """A word without the marks around it."""
    return word.lstrip(_OPENING).rstrip(_CLOSING)


def is_link(word: str) -> bool:
    """Whether some program would make a link of this word, or of a part of it."""
    # Full-width letters and other dots than "." are mapped before a name is looked up (UTS #46).
    plain = unicodedata.normalize("NFKC", word)
    if _SCHEME.search(plain) or _ADDRESS.search(plain) or _NUMERIC.search(plain):
        return True
    whole = core(plain)
    return any(_is_host(run, whole) for run in _RUN.findall(plain))


def _is_host(run: str, word: str) -> bool:
    labels = run.strip(".").split(".")
    if len(labels) == 2 and _FILES.fullmatch(labels[1]) and word == run.strip("."):
        return False
    return any(before and _TOP_LEVEL.match(label) for before, label in pairwise(labels))


def _punctuation_after(word: str) -> str:
    """What ends the sentence, or a bracket that was opened before the link."""
    ending = word[len(word.rstrip(").,:;!?")) :]
    bracket = ")" if ending.startswith(")") and "(" not in word else ""
    return bracket + (ending[-1] if ending and ending[-1] != ")" else "")
