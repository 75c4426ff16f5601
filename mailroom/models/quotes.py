"""The newest words of a mail: without the history it quotes, and without its signature."""

import re
from collections.abc import Sequence
from itertools import accumulate

from mailparser_reply.parser import EmailMessage, EmailReply

from mailroom.models.decoding import guarded

LENGTH = 200_000
# The library takes quadratic time in long lines, in runs of blank ones and in the whole.
PROBE_LENGTH = 16_000
PROBE_LINE = 160
# Not Polish: there a single line that begins with "Do:" is taken for the head of a quoted mail.
LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "da", "sv", "cs", "ja", "ko", "zh")
SIGNATURE_LINES, DELIMITED_LINES = 8, 15

_RULE = re.compile("[_-]{32}")
_SEPARATOR = re.compile("(?:[-_=*]{5,}(?:.*[-_=*]{5,})?)?")
_ATTRIBUTION = re.compile("On .{5,150} wrote:|-{5,} ?Original Message ?-{5,}", re.IGNORECASE)
_CLOSING = re.compile("[^,?!]{2,80}[,.!]?")


def newest_text(text: str) -> str:
    """What the sender wrote last; all of `text` where nothing else is left of it."""
    lines = _unquoted(text[:LENGTH])
    newest = _unsigned(_newest(lines))
    while newest and _SEPARATOR.fullmatch(newest[-1].strip()):
        newest.pop()
    return "\n".join(newest).strip() or text[:LENGTH].strip()


def _unquoted(text: str) -> list[str]:
    """The lines that are not marked as quoted, never two blank ones in a row."""
    lines: list[str] = []
    for line in text.splitlines():
        kept = "" if line.isspace() else line
        if not line.startswith(">") and (kept or (lines and lines[-1])):
            lines.append(kept)
    return lines


def _newest(lines: list[str]) -> list[str]:
    probe = _probe(lines)
    replies = guarded((), _replies, "\n".join(probe))
    if not replies:
        return lines[: _attribution(lines, 0)]
    first = replies[0]
    begin = first.headers.count("\n") + 1 if first.headers else 0
    end = first.content.count("\n") + 1
    if len(replies) == 1 and len(probe) < len(lines):
        end = _attribution(lines, len(probe))
    elif _is_closing(first.signatures):
        end -= first.signatures.count("\n") + 1
    return lines[begin:end]


def _replies(probe: str) -> Sequence[EmailReply]:
    message = EmailMessage(text=probe, languages=list(LANGUAGES), keep_hyphen_lists=True)
    return tuple(message.read().replies)


def _probe(lines: list[str]) -> list[str]:
    """The beginning of `lines`, each so short that the library copes with it."""
    short = ["=" if _RULE.match(line) else line[:PROBE_LINE].strip() for line in lines]
    lengths = accumulate(len(line) + 1 for line in short)
    return [line for line, length in zip(short, lengths, strict=True) if length <= PROBE_LENGTH]


def _attribution(lines: list[str], begin: int) -> int:
    """Where the history begins after `begin`, for what the library did not see."""
    found = (n for n in range(begin, len(lines)) if _ATTRIBUTION.fullmatch(lines[n].strip()))
    return next(found, len(lines))


def _is_closing(signature: str) -> bool:
    """The library takes all that follows a line like "Thanks, ..." for a signature."""
    lines = signature.splitlines()
    opening = lines[0] if lines else "?"
    few = len(opening.split()) <= 4 and sum(map(bool, lines)) <= SIGNATURE_LINES
    return few and _CLOSING.fullmatch(opening) is not None


def _unsigned(lines: list[str]) -> list[str]:
    """RFC 3676 §4.3: a signature follows a line "-- "; some mailers drop the space."""
    for n, line in enumerate(lines):
        if line == "-- " or (line.strip() == "--" and len(lines) - n <= DELIMITED_LINES):
            return lines[:n]
    return lines
