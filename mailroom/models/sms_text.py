"""The texts to the owner: seed 003, "SMS Notification Format".

What others wrote (names, subjects, mail, and drafts that a model made of mail) stands on one line,
in quotes that it cannot close: it cannot imitate the command line under it.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from unicodedata import normalize

from mailroom.models.attached import Attachment, attached_line
from mailroom.models.base import Frozen
from mailroom.models.sms_segments import (
    bare_or_quoted,
    fits,
    longest,
    quotable,
    segments,
    short,
    with_subject,
)

AUTO_SEGMENTS = 2
CONDENSED_SEGMENTS = 4
# Of each of several texts; one more where code, note and link leave little of it.
TEXT_SEGMENTS = 2
MOST_DRAFT_TEXTS = 4

# How long the line about the attachments may be; at last it only counts them.
FILES_UNITS = (100, 50, 0)

_ROOM = 40
_NUMBER = " [6/6]"


class SmsFormat(StrEnum):
    AUTO = "auto"
    CONDENSED = "condensed"
    MULTIPART = "multipart"


class DraftNotice(Frozen):
    """A draft and the mail it answers; `body` is the plain text of the newest mail, `attached` the
    line that names its attachments, which is made here."""

    sender_name: str
    sender_address: str
    subject: str
    body: str
    draft: str
    code: str
    revision: int = 1
    note: str | None = None
    link: str | None = None
    edits_left: int = 10
    attachments: tuple[Attachment, ...] = ()
    attached: str = ""


def draft_texts(notice: DraftNotice, format: SmsFormat) -> list[str]:
    """The texts about a draft, in order: one, or three to six that are numbered."""
    n = _readable(notice)
    parts = CONDENSED_SEGMENTS if format is SmsFormat.CONDENSED else AUTO_SEGMENTS
    if format is not SmsFormat.MULTIPART and (whole := _whole(n, parts)):
        return [_with_icon(whole)]
    if format is SmsFormat.CONDENSED:
        return [_with_icon(_cut_condensed(n))]
    texts = [_notification(n), _preview(n), *_drafts(n)]
    numbered = [f"{text} [{i}/{len(texts)}]" for i, text in enumerate(texts, 1)]
    return [_with_icon(numbered[0]), *numbered[1:]]


def _whole(n: DraftNotice, parts: int) -> str | None:
    """Mail and draft in one text, if they fit; the attachments are condensed to make room."""
    for units in FILES_UNITS:
        text = _condensed(_naming(n, units), _mail(n), n.draft)
        if fits(text, parts):
            return text
    return None


def _naming(n: DraftNotice, units: int) -> DraftNotice:
    """With a line about the attachments, of `units` if it names any."""
    return n.model_copy(update={"attached": attached_line(n.attachments, units)})


def _readable(n: DraftNotice) -> DraftNotice:
    seen = {
        "sender_name": short(quotable(n.sender_name), 200),
        "sender_address": re.sub(r"[\s<>]", "", quotable(n.sender_address)),
        "subject": quotable(n.subject),
        "body": quotable(n.body),
        "draft": quotable(n.draft),
        "note": short(quotable(n.note), 130) if n.note else None,
        "link": n.link if n.link and len(n.link) <= 120 else None,
    }
    return n.model_copy(update=seen)


def _with_icon(text: str) -> str:
    # One emoji turns a text into UCS-2: only where that costs no part (mail-rules, SMS).
    icon = f"📧 {text}"
    return icon if segments(icon).parts <= segments(text).parts else text


def _name_pretends(n: DraftNotice) -> bool:
    """Does the name show another address than the mail came from?"""
    named = re.findall(r"[^\s<>()',;:]+@[^\s<>()',;:]+", normalize("NFKC", n.sender_name))
    return any(address.casefold() != n.sender_address.casefold() for address in named)


def _address(n: DraftNotice) -> str:
    # A long local part must not push the domain out.
    text = n.sender_address
    return text if short(text, 64) == text else f"...{short(text[-60:], 60)}"


def _who(n: DraftNotice) -> str:
    if n.sender_name and not _name_pretends(n):
        return bare_or_quoted(n.sender_name, 40)
    return bare_or_quoted(_address(n), 64)


def _mail(n: DraftNotice) -> str:
    if not n.body or n.subject.casefold() in n.body.casefold():
        return n.body or n.subject
    return f"{n.subject} - {n.body}"


def _commands(n: DraftNotice) -> str:
    return f"1=Send {'2=Edit ' if n.edits_left > 0 else ''}3=Ignore {n.code}"


def _label(n: DraftNotice) -> str:
    draft = "Draft" if n.revision == 1 else f"Draft {n.revision}"
    left = f"edits left: {n.edits_left}" if n.edits_left <= 2 else None
    notes = "; ".join(filter(None, (n.note, left)))
    return f"{draft} ({notes})" if notes else draft


def _unseen(text: str, shown: str, where: str) -> str:
    left = len(text[len(shown) :].lstrip())
    return f" (+{left:,} characters{where})" if left else ""


def _where(n: DraftNotice) -> str:
    return f": {n.link}" if n.link else ", see the page"


def _condensed(n: DraftNotice, mail: str, draft: str) -> str:
    where = "" if draft != n.draft else _where(n)
    said = f'{_who(n)}: "{mail}"{_unseen(_mail(n), mail, where)}'
    answer = f'{_label(n)}: "{draft}"{_unseen(n.draft, draft, _where(n))}'
    return "\n".join(filter(None, (said, n.attached, answer, _commands(n))))


def _cut_condensed(n: DraftNotice) -> str:
    """The draft has precedence; what is worth least goes first: mail, link, note."""
    some, n = _naming(n, FILES_UNITS[1]), _naming(n, FILES_UNITS[-1])
    plain = n.model_copy(update={"link": None})
    bare = plain.model_copy(update={"note": short(n.note, _ROOM) if n.note else None})
    for kept, room in ((some, 80), (n, 20), (plain, 20), (bare, 20)):
        mail = _mail(n)[:room].rstrip()
        if fits(_condensed(kept, mail, n.draft[:_ROOM]), CONDENSED_SEGMENTS):
            break
    draft = longest(n.draft, CONDENSED_SEGMENTS, lambda shown: _condensed(kept, mail, shown))
    mail = longest(_mail(n), CONDENSED_SEGMENTS, lambda shown: _condensed(kept, shown, draft))
    return _condensed(kept, mail, draft)


def _text(text: str, render: Callable[[str], str]) -> tuple[str, str]:
    """The longest beginning of `text` that fits, and the text message around it."""
    tight = not fits(render(text[:_ROOM]) + _NUMBER, TEXT_SEGMENTS)
    shown = longest(text, TEXT_SEGMENTS + tight, lambda shown: render(shown) + _NUMBER)
    return shown, render(shown)


def _notification(n: DraftNotice) -> str:
    address = _address(n)
    name = bare_or_quoted(n.sender_name, 40)
    sender = f"{name} <{address}>" if n.sender_name else address

    files = _naming(n, FILES_UNITS[0]).attached

    def render(subject: str) -> str:
        about = f"Email from: {sender}\nSubject: {bare_or_quoted(subject, 400)}"
        return "\n".join(filter(None, (about, files, f"{n.code}{_NUMBER}")))

    text = with_subject(n.subject or "(none)", TEXT_SEGMENTS, render)
    return text.removesuffix(_NUMBER)


def _preview(n: DraftNotice) -> str:
    def render(shown: str) -> str:
        return f'Email: "{shown}"{_unseen(n.body, shown, _where(n))}\n{n.code}'

    return _text(n.body, render)[1] if n.body else f"Email: (no text)\n{n.code}"


def _drafts(n: DraftNotice) -> list[str]:
    """The draft over as many texts as it takes, the last of them with the commands."""
    texts: list[str] = []
    label, rest = _label(n), n.draft

    def more(shown: str) -> str:
        return f'{label}: "{shown}"\n{n.code}'

    def last(shown: str) -> str:
        return f'{label}: "{shown}"{_unseen(rest, shown, _where(n))}\n{_commands(n)}'

    while len(texts) < MOST_DRAFT_TEXTS - 1 and not fits(last(rest) + _NUMBER, TEXT_SEGMENTS):
        # Without its last word, so that something is left for the text with the commands.
        shown, text = _text(rest.rpartition(" ")[0] or rest, more)
        texts.append(text)
        label, rest = "Draft, continued", rest[len(shown) :].lstrip()
    return [*texts, _text(rest, last)[1]]
