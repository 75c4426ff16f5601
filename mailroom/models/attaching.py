"""Which attachments the owner names: "report.pdf", "report and photo", "terms and conditions.pdf".

A name has to mean one file. What means none or several attaches nothing, and the answer says which
files there are.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from mailroom.models.attached import MEGABYTE, Attachment, files_line, name_shown, size_words
from mailroom.models.sms_segments import quotable

# Gmail takes mails of 25 MB (support.google.com/mail/answer/6584); base64 makes four bytes of
# three, and a line end for each 76 (RFC 2045 §6.8).
MOST_BYTES = 18 * MEGABYTE
SHORTEST_BEGINNING = 3
# Of one name: four times "and" or a comma within it. Odd, as it begins and ends with a word.
MOST_PIECES = 9
MOST_NAMED = 40

_BETWEEN = re.compile(r"(\s*[,;&+\n]\s*|\s+and\s+)", re.IGNORECASE)
_AROUND = re.compile(r"\A[\s\W_]+|[\s\W_]+\Z")


class NotAttached(ValueError):
    """What was named can't be attached; a sentence for the owner."""


def named(said: str, attached: Sequence[Attachment]) -> tuple[str, ...]:
    """The names of the files that the owner's words are about. Raises `NotAttached`."""
    if not attached:
        raise NotAttached("This mail has no attachments. Nothing was sent; 1 sends the reply.")
    # Every second piece is what stands between two names, and may be a part of one.
    pieces = _BETWEEN.split(said)
    found: list[str] = []
    while pieces and len(found) <= MOST_NAMED:
        length, name = _longest(pieces, attached)
        found += [name] if name else []
        del pieces[: length + 1]
    if not found:
        raise _unknown(said, attached)
    return checked(tuple(dict.fromkeys(found)), attached)


def checked(names: tuple[str, ...], attached: Sequence[Attachment]) -> tuple[str, ...]:
    """`names` if the mail has them all, and a reply can carry them. Raises `NotAttached`."""
    sizes = {one.name: one.size for one in attached}
    for name in names:
        if name not in sizes:
            raise _unknown(name, attached)
    size = sum(sizes[name] for name in names)
    if size > MOST_BYTES:
        raise NotAttached(
            f"That is {size_words(size)} to attach; a reply carries {size_words(MOST_BYTES)} at "
            "most. Nothing was sent."
        )
    return names


def _longest(pieces: Sequence[str], attached: Sequence[Attachment]) -> tuple[int, str | None]:
    """How many pieces make the next name, and whose it is; the longest that is one wins."""
    for length in range(min(len(pieces), MOST_PIECES), 0, -2):
        key = _key("".join(pieces[:length]))
        if found := [one.name for one in attached if key and _key(one.name) == key]:
            return length, _only(found, "".join(pieces[:length]), attached)
    return 1, _loosely(pieces[0], attached)


def _loosely(said: str, attached: Sequence[Attachment]) -> str | None:
    """By its name without the extension, or by how its name begins."""
    key = _key(said)
    if not key:
        return None
    for means in (_is_stem, _begins):
        if found := [one.name for one in attached if means(key, one.name)]:
            return _only(found, said, attached)
    raise _unknown(said, attached)


def _is_stem(key: str, name: str) -> bool:
    return _key(PurePosixPath(name).stem) == key


def _begins(key: str, name: str) -> bool:
    return len(key) >= SHORTEST_BEGINNING and _key(name).startswith(key)


def _only(found: Sequence[str], said: str, attached: Sequence[Attachment]) -> str:
    if len(found) == 1:
        return found[0]
    raise NotAttached(
        f"{name_shown(said)} is the name of {len(found)} attachments. Nothing was sent. "
        + files_line(attached)
    )


def _unknown(said: str, attached: Sequence[Attachment]) -> NotAttached:
    return NotAttached(
        f"No attachment is called {name_shown(said)}. Nothing was sent. {files_line(attached)}"
    )


def _key(name: str) -> str:
    """What is compared of a name: a phone shows and types other quotes, dashes and capitals."""
    return _AROUND.sub("", quotable(name)).casefold()
