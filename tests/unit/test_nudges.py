"""What is typed into a terminal, and whether it still stands at the input there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.models.agent_mail import Priority
from mailroom.models.nudges import batch_line, nudge_line, typeable
from mailroom.models.panes import Screen, can_be_found, stands_typed, still_stands

ID = "1a2b3c4d" * 4
TEXT = "# Mail from mayor/: hello - read it with: mailroom agent read 1a2b3c4d"


def test_a_nudge_says_who_what_and_how_to_read_it() -> None:
    urgent = nudge_line("mayor/", "The bridge is closed", ID, Priority.URGENT)
    assert urgent == (
        "# Mail from mayor/ (urgent): The bridge is closed - "
        "read it with: mailroom agent read 1a2b3c4d"
    )
    assert nudge_line("mayor/", " ", ID, Priority.NORMAL) == (
        "# Mail from mayor/: no subject - read it with: mailroom agent read 1a2b3c4d"
    )


def test_a_long_subject_is_cut() -> None:
    line = nudge_line("mayor/", "x" * 500, ID, Priority.NORMAL)
    assert line.count("x") == 120


@pytest.mark.parametrize(
    ("priorities", "line"),
    [
        ("low", "# 1 letter waits for you: mailroom agent inbox"),
        ("normal high low", "# 3 letters wait for you (1 high): mailroom agent inbox"),
        ("high urgent high", "# 3 letters wait for you (1 urgent, 2 high): mailroom agent inbox"),
    ],
)
def test_one_line_for_all_that_wait(priorities: str, line: str) -> None:
    assert batch_line([Priority(each) for each in priorities.split()]) == line


def test_what_a_sender_wrote_means_nothing_to_a_shell() -> None:
    line = nudge_line("mayor/", 'don\'t ("x"; `y` && $(z) | !w > v < u \\)', ID, Priority.NORMAL)
    assert "don’t [”x”, ’y’ ++ [z] / w › v ‹ u /]" in line


@given(st.text(), st.text(), st.sampled_from(Priority))
def test_every_nudge_is_one_harmless_line(sender: str, subject: str, priority: Priority) -> None:
    line = nudge_line(sender, subject, ID, priority)
    assert line.startswith("# ")
    assert typeable(line).split(" ") == line.split()
    assert not set(line.replace(f"({priority})", "")) & set("`$;&|<>!'\"\\()")
    assert all(each == " " or each.isprintable() or not each.isascii() for each in line)
    assert line.endswith("mailroom agent read 1a2b3c4d")


def screen(*rows: str, shown: bool = True) -> Screen:
    """The cursor is where `█` is."""
    (y,) = [n for n, row in enumerate(rows) if "█" in row]
    x = rows[y].index("█")
    return Screen(rows=tuple(row.replace("█", "") for row in rows), x=x, y=y, cursor_shown=shown)


SHELL = screen(f"$ {TEXT}█")
BOX = screen("", "╭──╮", f"│ > {TEXT}█ │", "╰──╯", "? for help")
HIDDEN = screen("", "╭──╮", f"│ > {TEXT} │", "╰──╯", "? for help█", shown=False)
BARE = screen("", f"▌ {TEXT}", "", "█", shown=False)


@pytest.mark.parametrize(
    ("typed", "now"),
    [
        (SHELL, SHELL),
        (SHELL, screen("a job has ended", f"$ {TEXT}█")),
        (SHELL, screen(f"$ (completed) {TEXT} █")),
        (screen(TEXT, "█"), screen(TEXT, "█")),
        (BOX, screen("", "╭──╮", f"│ > {TEXT} │", "│   █ │", "╰──╯", "? for help")),
        (HIDDEN, HIDDEN),
        (HIDDEN, screen("", "╭──╮", f"│ > {TEXT} │", "╰──╯", "2 s█", shown=False)),
        (HIDDEN, screen("", "╭──╮", f"│ > {TEXT} │", "│    │", "╰──╯", "?█", shown=False)),
    ],
)
def test_it_still_stands(typed: Screen, now: Screen) -> None:
    assert still_stands(TEXT, typed, now)


@pytest.mark.parametrize(
    ("typed", "now"),
    [
        (SHELL, screen(f"$ {TEXT}", "$ █")),
        (SHELL, screen(f"$ {TEXT}", "█")),
        (SHELL, screen("$ █")),
        (SHELL, screen(f"$ {TEXT}", "sh: #: not found", "$ █")),
        (screen(TEXT[:40], f"{TEXT[40:]}█"), screen(TEXT[:40], TEXT[40:], "█")),
        # At the right edge, and on.
        (screen(TEXT, "█"), screen(TEXT, "", "$ █")),
        (BOX, screen(f"> {TEXT}", "", "╭──╮", "│ > █ │", "╰──╯", "? for help")),
        (BOX, screen("", "╭──╮", "│ > █ │", "╰──╯", "? for help")),
        (HIDDEN, screen(f"> {TEXT}", "", "╭──╮", "│ > │", "╰──╯", "?█", shown=False)),
        (HIDDEN, screen("", f"> {TEXT}", "", "╭──╮", "│ > │", "╰──╯", "?█", shown=False)),
        (HIDDEN, screen("", "╭──╮", "│ > │", "╰──╯", "? for help█", shown=False)),
        (BARE, screen("", f"> {TEXT}", "", "", "▌", "█", shown=False)),
        (BARE, screen("Hello.", f"▌ {TEXT}", "", "", "▌", "█", shown=False)),
    ],
)
def test_it_was_submitted(typed: Screen, now: Screen) -> None:
    assert not still_stands(TEXT, typed, now)


def test_a_text_is_typed_once_its_end_is_at_the_cursor() -> None:
    before = screen(f"$ {TEXT}", "$ █")
    assert not stands_typed(TEXT, before, before)
    assert not stands_typed(TEXT, before, screen(f"$ {TEXT}", f"$ {TEXT[:9]}█"))
    assert stands_typed(TEXT, before, screen(f"$ {TEXT}", f"$ {TEXT}█"))
    assert not stands_typed(TEXT, SHELL, SHELL)
    # The other one has left the screen.
    assert stands_typed(TEXT, before, screen(f"$ {TEXT}█"))
    assert stands_typed(TEXT, before, screen(f"$ {TEXT}", f"$ {TEXT}", "█"))


def test_a_text_is_typed_once_it_is_shown_where_the_cursor_is_hidden() -> None:
    before = screen(f"> {TEXT}", "│ > │", "█", shown=False)
    assert not stands_typed(TEXT, before, screen(f"> {TEXT}", "│ > # │", "█", shown=False))
    assert stands_typed(TEXT, before, screen(f"> {TEXT}", f"│ > {TEXT} │", "█", shown=False))


def test_a_text_of_signs_alone_can_not_be_found() -> None:
    assert can_be_found("# a")
    assert not can_be_found("# !?")
    assert not can_be_found("")
