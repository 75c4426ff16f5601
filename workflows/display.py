"""What the Temporal UI shows of a waiting mail. Mail text is data: it may not become markup."""

from mailroom.models.decisions import describe
from mailroom.models.email_reply import MailRef, Progress


def summary(mail: MailRef) -> str:
    """One line for lists."""
    return _line(f"{mail.sender}: {mail.subject}")


def details(mail: MailRef, progress: Progress) -> str:
    """Markdown: who, what about, where it stands, and the draft."""
    lines = [
        f"**From** `{_line(mail.sender)}`",
        f"**Subject** `{_line(mail.subject)}`",
        f"**State** {describe(progress).replace('`', '')}",
    ]
    if progress.draft:
        lines += [
            f"**Draft** revision {progress.draft.revision}, code `{progress.draft.code}`",
            _quoted(progress.draft.excerpt),
        ]
    if progress.error:
        lines += ["**Error**", _quoted(progress.error)]
    return "\n\n".join(lines)


def _line(text: str) -> str:
    return " ".join(text.replace("`", "'").split())[:180]


def _quoted(text: str) -> str:
    return "```\n" + text.replace("```", "'''") + "\n```"
