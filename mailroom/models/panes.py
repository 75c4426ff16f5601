"""What a terminal shows, and whether a line that was typed there still stands at its input.

Borders, prompts and line breaks lie between the characters of a text once a program has drawn it,
so only letters and digits are compared, and only those of its end: a narrow input scrolls.
"""

from mailroom.models.base import Frozen

LOOKED_AT = 24
"""Characters of the end of a text."""
_MARGIN = " │┃║|▌▐▎▏"


class Screen(Frozen):
    """`x` and `y` are the cursor's; programs that draw their own hide it and park it anywhere."""

    rows: tuple[str, ...]
    x: int
    y: int
    cursor_shown: bool = True

    def row(self, y: int) -> str:
        return self.rows[y].rstrip() if 0 <= y < len(self.rows) else ""


def can_be_found(text: str) -> bool:
    return bool(_end_of(text))


def stands_typed(text: str, before: Screen, now: Screen) -> bool:
    """Whether the text has been drawn since `before`, at the cursor where there is one."""
    last = _last_row(text, now)
    if last is None:
        return False
    # A text that ends at the right edge has the cursor at the begin of the next row.
    at_cursor = now.cursor_shown and (last == now.y or (last, 0) == (now.y - 1, now.x))
    drawn = at_cursor and before.rows != now.rows
    return drawn or _times_shown(text, before) < _times_shown(text, now)


def still_stands(text: str, typed: Screen, now: Screen) -> bool:
    """Whether Enter has not submitted it: it stands where it stood, or got a line break."""
    last, was = _last_row(text, now), _last_row(text, typed)
    if last is None or was is None:
        return False
    if now.cursor_shown and typed.cursor_shown:
        return _at_the_cursor(last, now, was, typed)
    return _among_the_same(last, now, was, typed)


def _at_the_cursor(last: int, now: Screen, was: int, typed: Screen) -> bool:
    unmoved = (now.y - last, now.x) == (typed.y - was, typed.x)
    # Under a prompt a shell is at the left edge, or shows its prompt again; an editor that took
    # Enter for a line break indents the new line as far as the first.
    broken = now.y == last + 1 and now.x > 0 and not now.row(now.y)[: now.x].strip(_MARGIN)
    return last == now.y or unmoved or broken


def _among_the_same(last: int, now: Screen, was: int, typed: Screen) -> bool:
    below = typed.row(was + 1)
    if now.row(last) != typed.row(was) or now.row(last - 1) != typed.row(was - 1):
        return False
    broken = below != "" and not now.row(last + 1).strip(_MARGIN) and now.row(last + 2) == below
    return now.row(last + 1) == below or broken


def _times_shown(text: str, screen: Screen) -> int:
    return _squeezed("".join(screen.rows)).count(_end_of(text))


def _last_row(text: str, screen: Screen) -> int | None:
    """Where the text ends that is shown last."""
    end, found = _end_of(text), ""
    for y in range(len(screen.rows) - 1, -1, -1):
        found = _squeezed(screen.rows[y]) + found
        if end in found:
            return _row_after(screen, y, found.rindex(end) + len(end))
    return None


def _row_after(screen: Screen, y: int, characters: int) -> int:
    """The row in which that many letters and digits, counted from row `y` on, are reached."""
    while characters > (here := len(_squeezed(screen.rows[y]))):
        characters -= here
        y += 1
    return y


def _end_of(text: str) -> str:
    return _squeezed(text)[-LOOKED_AT:]


def _squeezed(text: str) -> str:
    return "".join(filter(str.isalnum, text))
