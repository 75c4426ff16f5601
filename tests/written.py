"""What another process writes, while it writes."""

from pathlib import Path


def whole_lines(file: Path) -> list[str]:
    """Without the last one where it isn't ended: a read may meet a write that is half done."""
    return file.read_text().rpartition("\n")[0].splitlines()
