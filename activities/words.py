"""The owner's word as the row keeps it."""

from mailroom.models.email_reply import Heard
from mailroom.models.rows import Columns
from mailroom.models.words import Approve, Edit


def said(word: Heard, edits: int | None = None) -> Columns:
    columns: dict[str, object] = {
        "user_command": word.command.kind,
        "user_responded_at": word.at,
        "send_at": None,
        "snoozed_until": None,
    }
    if isinstance(word.command, Edit):
        columns["user_edit_instructions"] = word.command.instructions
    if edits is not None:
        columns["edit_iteration"] = edits
    return Columns.model_validate(columns)


def attached(word: Heard | None) -> tuple[str, ...]:
    """Names of what the owner wants attached to the reply."""
    return word.command.attach if word and isinstance(word.command, Approve) else ()


def heard_detail(word: Heard | None) -> dict[str, str | int | None]:
    """The word as the timeline tells of it."""
    names = attached(word)
    detail: dict[str, str | int | None] = {"via": word.via if word else None}
    return detail | ({"attached": ", ".join(names)} if names else {})
