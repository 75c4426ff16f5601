"""Drafts without an AI: the first template that matches the mail.

Mail text is data: it is put in where a placeholder stands, and never read as a template itself.
"""

import re
from collections.abc import Iterable
from datetime import datetime

from pydantic import Field, field_validator

from mailroom.models.base import Frozen
from mailroom.models.edits import apply_edit
from mailroom.models.sms_segments import short
from mailroom.models.text import one_line

PLACEHOLDERS = ("first_name", "subject", "owner_name")
NOTE = "template"

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PREFIX = re.compile(r"(?i)\A(?:(?:re|fwd?|aw|wg|sv|tr)\s*(?:\[\d+\])?\s*:\s*)+")
_TITLE = re.compile(r"(?i)\A(?:(?:dr|mr|mrs|ms|prof|herr|frau|sir)\.?\s+)+")


class Template(Frozen):
    """Words or phrases, any case, whole words: of each list that isn't empty, one must occur."""

    name: str = Field(min_length=1)
    subject: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    sender: tuple[str, ...] = Field(default=(), description="in the sender's name or address")
    text: str = Field(min_length=1, description="with {first_name}, {subject}, {owner_name}")

    @field_validator("text")
    @classmethod
    def _known_placeholders(cls, text: str) -> str:
        for name in _PLACEHOLDER.findall(text):
            if name not in PLACEHOLDERS:
                known = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
                raise ValueError(f"{{{name}}} is no placeholder of a template; there are {known}.")
        return text

    @field_validator("subject", "body", "sender")
    @classmethod
    def _no_empty_phrase(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        if not all(phrase.strip() for phrase in phrases):
            raise ValueError("An empty phrase would match every mail.")
        return phrases


class EarlierMail(Frozen):
    """A mail of the same conversation, or the owner's answer to it."""

    sender: str = Field(description="display form")
    subject: str
    text: str
    at: datetime
    by_owner: bool = False


class OwnersEdit(Frozen):
    """What the owner once wanted changed in a draft, and what came of it."""

    before: str
    instructions: str
    after: str


class DraftRequest(Frozen):
    """The mail to answer, or with `edit_instructions` the `previous_draft` to change.

    `source` is that of the previous draft; `thread` is what came before the mail, oldest first;
    without a `language` the mail's own is meant. Templates know nothing of these.
    """

    sender_name: str
    sender_address: str
    subject: str
    body: str
    owner_name: str
    previous_draft: str | None = None
    edit_instructions: str | None = None
    source: str | None = None
    message_id: str = ""
    thread: tuple[EarlierMail, ...] = ()
    examples: tuple[OwnersEdit, ...] = ()
    language: str | None = None
    templates: tuple[Template, ...] = Field(default=(), description="the owner's own")


class Drafted(Frozen):
    """`note` is shown to the owner beside the draft; tokens are what the provider counted."""

    text: str
    source: str
    note: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


def draft_from_templates(request: DraftRequest, templates: Iterable[Template] = ()) -> Drafted:
    """By the first of `templates`, then of the built-in ones, that matches; then edited."""
    draft = _previous(request) or _first(request, (*request.templates, *templates, *BUILT_IN))
    if not request.edit_instructions:
        return draft
    edited = apply_edit(
        draft.text, request.edit_instructions, first_name(request.sender_name), request.owner_name
    )
    return Drafted(text=edited.text, source=draft.source, note=edited.note or draft.note)


def _previous(request: DraftRequest) -> Drafted | None:
    if not request.previous_draft or not request.edit_instructions:
        return None
    source = request.source or "edit"
    note = NOTE if source.startswith("template") else None
    return Drafted(text=request.previous_draft, source=source, note=note)


def _first(request: DraftRequest, templates: Iterable[Template]) -> Drafted:
    template = next(template for template in templates if matches(template, request))
    return Drafted(text=filled(template, request), source=f"template {template.name}", note=NOTE)


def matches(template: Template, request: DraftRequest) -> bool:
    sender = f"{request.sender_name} {request.sender_address}"
    return (
        _occurs(template.subject, request.subject)
        and _occurs(template.body, request.body)
        and _occurs(template.sender, sender)
    )


def _occurs(phrases: tuple[str, ...], text: str) -> bool:
    return not phrases or any(_phrase(phrase).search(text) for phrase in phrases)


def _phrase(phrase: str) -> re.Pattern[str]:
    words = r"\s+".join(map(re.escape, phrase.split()))
    # A phrase may begin or end with a sign ("?", "@example.com"), where no word ends.
    before = r"(?<!\w)" if phrase.strip()[0].isalnum() else ""
    after = r"(?!\w)" if phrase.strip()[-1].isalnum() else ""
    return re.compile(f"{before}{words}{after}", re.IGNORECASE)


def filled(template: Template, request: DraftRequest) -> str:
    values = {
        "first_name": first_name(request.sender_name) or "there",
        "subject": short(_PREFIX.sub("", one_line(request.subject)), 100) or "your message",
        "owner_name": one_line(request.owner_name),
    }
    text = _PLACEHOLDER.sub(lambda found: values[found[1]], template.text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def first_name(sender_name: str) -> str:
    """What to call the sender; "" if the name doesn't say."""
    name = one_line(sender_name).strip("\"'")
    last, comma, first = name.partition(",")
    words = _TITLE.sub("", first.strip() if comma else last).split()
    return short(words[0], 40) if words and re.fullmatch(r"[^\W\d_][\w.'’-]*", words[0]) else ""


def _built_in(name: str, words: tuple[str, ...], sentences: str) -> tuple[Template, Template]:
    """Twice, because subject and body must both match where both are given."""
    text = f"Hi {{first_name}},\n\n{sentences}\n\nBest regards,\n{{owner_name}}"
    return Template(name=name, subject=words, text=text), Template(name=name, body=words, text=text)


_MEETING = ("meeting", "meet", "appointment", "invitation", "invite", "lunch", "coffee", "a call")
_THANKS = ("thank you so much", "many thanks for", "thank you for your help", "thanks for your")

BUILT_IN: tuple[Template, ...] = (
    *_built_in(
        "invoice",
        ("invoice", "invoices", "payment", "payments", "receipt"),
        "Thank you for your message. I have received it.",
    ),
    *_built_in(
        "introduction",
        ("introduction", "introduce", "introducing"),
        "Thank you for the introduction. It is good to be in touch.",
    ),
    *_built_in(
        "meeting",
        _MEETING,
        "Thanks for the invitation. That time works for me. See you then!",
    ),
    *_built_in(
        "thanks",
        _THANKS,
        "You are very welcome. Thank you for letting me know.",
    ),
    _built_in("thanks", ("thanks", "thank you"), "You are very welcome.")[0],
    *_built_in(
        "question",
        ("?", "could you", "can you", "question"),
        "Thank you for your question. I need to look into it before I can answer.",
    ),
    _built_in("default", (), "Thank you for your message. I have received it.")[0],
)
