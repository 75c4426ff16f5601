"""What a model answers becomes plain text: nothing hidden, no link, no header, and not too long.

The text of a mail may have talked the model into anything; recipients, headers and attachments
come from code in any case (mailroom/models/reply.py).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from mailroom.models.html import html_to_text
from mailroom.models.link_words import links_in, without_links
from mailroom.models.text import printable, visible

LONGEST_ANSWER = 32_000
LONGEST_REPLY = 8_000
# What isn't plain after so many rounds was built not to become so.
ROUNDS = 20
# An image in a link in a link.
NESTED = 3

_CUT_MARK = " ..."
_LAST_WORD = re.compile(r"\s\S*\Z")
_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*>|<!--")
_BLOCKS = re.compile(r"(?i)<(?:p|br|html|body)\b[^<>]*>")
_BEGUN_TAG = re.compile(r"<(?=[a-zA-Z/!?])")
_NO_TAG = re.compile(r"<(?![a-zA-Z/!?])")
_TARGET = r"(?:\([^()\[\]]*(?:\([^()]*\)[^()\[\]]*)*\)|\[[^\[\]]*\])"
_IMAGE = re.compile(rf"!\[[^\[\]]*\]{_TARGET}")
_LINK = re.compile(rf"\[([^\[\]]*)\]{_TARGET}")
_DEFINITION = re.compile(r"(?m)^[ \t>]{0,6}\[[^\[\]\n]{1,200}\]:[ \t]*\S.*$")
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_FENCE = re.compile(r"(?m)^[ \t]*(?:```|~~~)\w*[ \t]*$\n?")
_HEADERS = re.compile(
    r"(?i)\A(?:\s*(?:to|cc|bcc|from|sender|reply-to|return-path|subject|date|message-id|"
    r"in-reply-to|references|mime-version|importance|list-[a-z-]{2,30}|content-[a-z-]{2,30}|"
    r"x-[a-z-]{2,30}|an|von|betreff|de|à|objet|para|asunto)[ \t]*:[^\n]*(?:\n|\Z))+"
)
_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")
_BEFORE_STOP = re.compile(r"(?<=\w) +(?=[.,)](?:\s|\Z))")
_EMPTY_BRACKETS = re.compile(r"\(\s*\)|\[\s*\]|<\s*>")


class PlainText(NamedTuple):
    """`text` is "" where nothing is left; `links` is how many were taken out."""

    text: str
    links: int


def plain_text(answer: str, own_words: str = "") -> PlainText:
    """Only links that stand in the owner's `own_words` stay."""
    text, links, allowed = printable(answer[:LONGEST_ANSWER]), 0, links_in(own_words)
    for _ in range(ROUNDS):
        before = text
        text, removed = _plainer(text, allowed)
        links += removed
        if text == before:
            return PlainText(text, links)
    return PlainText("", links)


def own_words(instructions: str | None, previous: str | None, others: Iterable[str]) -> str:
    """Where links may come from: the owner's instructions, and the draft that the owner had
    before, except those that somebody else brought in."""
    brought = frozenset[str]().union(*map(links_in, others))
    kept = links_in(previous or "") - brought
    return " ".join((instructions or "", *sorted(kept)))


def _plainer(text: str, allowed: frozenset[str]) -> tuple[str, int]:
    text = visible(printable(text.replace("\u2028", "\n").replace("\u2029", "\n")))
    text = _without_markdown(_without_html(text))
    text = _HEADERS.sub("", text)
    text, links = without_links(text, allowed)
    return _cut(_tidy(_EMPTY_BRACKETS.sub("", text))), links


def _without_html(text: str) -> str:
    if _TAG.search(text):
        # An answer that is no HTML as a whole has its own lines.
        lines = text if _BLOCKS.search(text) else text.replace("\n", "<br>\n")
        text = html_to_text(_NO_TAG.sub("&lt;", lines))
    return _BEGUN_TAG.sub("< ", text)


def _without_markdown(text: str) -> str:
    text = _DEFINITION.sub("", _FENCE.sub("", text))
    for _ in range(NESTED):
        text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    return _BOLD.sub(r"\1", text).replace("](", "] (")


def _tidy(text: str) -> str:
    lines = (_GAP.sub(" ", line).rstrip() for line in _BEFORE_STOP.sub("", text).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _cut(text: str) -> str:
    """Within the rounds, because the rest of a word may be a link that the word was not."""
    if len(text) <= LONGEST_REPLY:
        return text
    beginning = text[: LONGEST_REPLY - len(_CUT_MARK)]
    return (_LAST_WORD.sub("", beginning) or beginning).rstrip() + _CUT_MARK
