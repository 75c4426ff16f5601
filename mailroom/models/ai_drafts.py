"""A draft out of what an AI answered."""

from mailroom.models.ai_text import own_words, plain_text
from mailroom.models.templates import Drafted, DraftRequest

NOTE = "AI"


def ai_draft(answer: str, request: DraftRequest, source: str) -> Drafted | None:
    """None where nothing is left of the answer once it is plain text."""
    found = plain_text(answer, _own_words(request))
    if not found.text:
        return None
    return Drafted(text=found.text, source=source, note=_note(found.links))


def _own_words(request: DraftRequest) -> str:
    """Where links may come from: the owner's instructions, and the draft that is edited."""
    others = (
        request.sender_name,
        request.sender_address,
        request.subject,
        request.body,
        *(part for mail in request.thread for part in (mail.sender, mail.subject, mail.text)),
    )
    return own_words(request.edit_instructions, request.previous_draft, others)


def _note(links: int) -> str:
    if not links:
        return NOTE
    return f"{NOTE}; {links} links left out" if links > 1 else f"{NOTE}; a link left out"
