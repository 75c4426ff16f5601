"""What is typed into an agent's terminal: one line about its mail, harmless wherever it lands."""

from mailroom.models.agent_mail import Priority
from mailroom.models.text import one_line, unescaped

MOST_SUBJECT = 120
MOST_LINE = 1_000
"""Characters: with UTF-8's four bytes each it stays below the 4,096 that a terminal takes for one
line (Linux, N_TTY_BUF_SIZE)."""
SHORT_ID = 8

# `# ` makes a comment of it in POSIX shells and fish; an agent reads past it.
_COMMENT = "# "
# Interactive zsh and csh have no comments by default and read on, and `!` is history even there:
# so nothing a sender chose may mean anything to a shell. Quotes stay quotes to the eye.
_MEANS_NOTHING = str.maketrans(
    {"'": "’", '"': "”", "`": "’", "\\": "/", ";": ",", "&": "+", "|": "/"}
    | {"(": "[", ")": "]", "<": "‹", ">": "›", "$": None, "!": None}
)


def nudge_line(sender: str, subject: str, letter_id: str, priority: Priority) -> str:
    """About one letter. The command comes last, where a narrow terminal still shows it."""
    said = _harmless(subject, MOST_SUBJECT) or "no subject"
    return (
        f"{_COMMENT}Mail from {_harmless(sender)}{_how(priority)}: {said}"
        f" - read it with: {read_command(letter_id)}"
    )


def read_command(letter_id: str) -> str:
    return f"mailroom agent read {letter_id[:SHORT_ID]}"


def batch_line(priorities: list[Priority]) -> str:
    """About all that wait, of which there is at least one."""
    letters = "1 letter waits" if len(priorities) == 1 else f"{len(priorities)} letters wait"
    counted = ((each, priorities.count(each)) for each in Priority if each.interrupts)
    pressing = ", ".join(f"{number} {each}" for each, number in counted if number)
    return (
        f"{_COMMENT}{letters} for you{f' ({pressing})' if pressing else ''}: mailroom agent inbox"
    )


def typeable(line: str) -> str:
    """One line without control characters: nothing in it is a key, an escape or an Enter."""
    return one_line(unescaped(line), MOST_LINE)


def _harmless(text: str, limit: int | None = None) -> str:
    return typeable(text).translate(_MEANS_NOTHING)[:limit].strip()


def _how(priority: Priority) -> str:
    return "" if priority is Priority.NORMAL else f" ({priority})"
