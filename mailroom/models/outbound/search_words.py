"""Words by which messages are found, and labels that stay with a message as long as it is there.

The words of recipient, sender and subject are split at punctuation, so that parts of addresses are
words; each word that is searched for is the beginning of one. PostgreSQL does the same for rows
(migration 0013).
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

LONGEST_WORD, LONGEST_LABEL, MOST_WORDS = 64, 200, 20
SEPARATORS = (
    "\t\n\r!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
    "\u00a0\u00a1\u00ab\u00b7\u00bb\u00bf\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2026"
    "\u3000\u3001\u3002\uff01\uff0c\uff1a\uff1f"
)
# The small sigma at the end of a word is another letter, of which the capital one knows nothing.
_TO_SPACES = str.maketrans(dict.fromkeys(SEPARATORS, " ") | {"\u03c2": "\u03c3"})
# Labels of a row by the field of a filter; several of `domains` are alternatives.
LABELS = {
    "recipient": "to",
    "sender": "from",
    "domain": "domain",
    "domains": "domain",
    "routing_domain": "route",
    "campaign_id": "campaign",
    "tenant_id": "tenant",
    "pool_name": "pool",
    "tags": "tag",
}

SCHEDULED = "=is=scheduled"
"""The label of messages that have a time from which on they may be sent."""


def words_of(text: str) -> list[str]:
    """Each once, in the order in which they come. PostgreSQL makes them small."""
    words = unicodedata.normalize("NFC", text).translate(_TO_SPACES).split(" ")
    return list(dict.fromkeys(word[:LONGEST_WORD] for word in words if word))


def tsqueries_of(
    words: Iterable[str], known: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> list[str]:
    """One for each word, that finds rows which have a word that begins like it: syntax of
    PostgreSQL's tsquery, of which nothing in `words` is left. `known` are all the words that begin
    so, where they are."""
    return [_beginning(word, known.get(word, ())) for word in words]


def _beginning(word: str, known: Sequence[str]) -> str:
    return f"({' | '.join(map(_quoted, known))})" if known else f"'{word}':*"


def labels_of(given: Mapping[str, object], also: str | None = None) -> list[str]:
    """A tsquery for each field. Rows that such a filter means fit them all (others may, where
    values are long)."""
    found = [_label(name, given[name]) for name in LABELS if given.get(name)]
    return [*found, _quoted(also)] if also else found


def is_whole(value: object) -> bool:
    """Whether a label says all of it."""
    values = value if isinstance(value, list) else [value]
    return all(len(str(one)) < LONGEST_LABEL for one in values)


def _label(name: str, value: object) -> str:
    if isinstance(value, list):
        how = " | " if name == "domains" else " & "
        return f"({how.join(_label(name, one) for one in value)})"
    text = str(value)[:LONGEST_LABEL]
    # No word begins with a separator: who searches for "t" doesn't find tenants.
    return _quoted(f"={LABELS[name]}={text}")


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
