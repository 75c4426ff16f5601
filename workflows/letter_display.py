"""What the Temporal UI shows of a letter. Its text is data: it may not become markup."""

from mailroom.models.agent_mail import Letter, LetterProgress


def summary(letter: Letter) -> str:
    return _line(f"{letter.sender} to {letter.to}: {letter.subject}")


def details(letter: Letter, progress: LetterProgress) -> str:
    lines = [
        f"**From** `{_line(letter.sender)}` **to** `{_line(letter.to)}`",
        f"**Subject** `{_line(letter.subject)}`",
        f"**State** {progress.state}, {progress.attempts} failed attempts",
    ]
    if progress.rests_until:
        lines.append(f"**Until** {progress.rests_until:%Y-%m-%d %H:%M:%S} UTC")
    if progress.error:
        lines.append(f"**Why** `{_line(progress.error)}`")
    return "\n\n".join(lines)


def _line(text: str) -> str:
    return " ".join(text.replace("`", "'").split())[:180]
