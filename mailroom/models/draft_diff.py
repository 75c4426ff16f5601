"""What an edit changed, as a unified diff."""

from difflib import unified_diff
from itertools import islice

# Comparing can take the square of the number of lines.
LINES = 200
LINE = 600
LENGTH = 4_000
FILE_NAMES = 2
CUT = "…"


def draft_diff(before: str, after: str) -> str:
    """Without file names and line numbers; empty where nothing changed. Long letters, lines and
    diffs are cut."""
    compared = unified_diff(_lines(before), _lines(after), lineterm="", n=1)
    kept = [
        _cut(line, LINE)
        for line in islice(compared, FILE_NAMES, None)
        if not line.startswith("@@")  # a line of a letter has a sign or a space before it
    ]
    return _cut("\n".join(kept), LENGTH)


def _lines(text: str) -> list[str]:
    lines = text.splitlines()
    return lines[:LINES] + [CUT] * (len(lines) > LINES)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + CUT
