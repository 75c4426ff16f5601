"""What an edit changed: short enough to show, whatever the letters are."""

from hypothesis import given
from hypothesis import strategies as st

from mailroom.models.draft_diff import CUT, LENGTH, LINE, LINES, draft_diff


def test_only_what_changed_is_shown_with_its_surroundings() -> None:
    before = "Hi John,\n\nYes.\nSee you.\n\nBest regards,\nOwner\n"
    after = "Hi John,\n\nYes, gladly.\nSee you.\n\nBest regards,\nOwner\n"
    assert draft_diff(before, after) == " \n-Yes.\n+Yes, gladly.\n See you."


def test_the_same_letter_has_no_diff() -> None:
    assert draft_diff("Hi\n", "Hi\n") == ""


def test_lines_that_look_like_file_names_are_kept() -> None:
    shown = draft_diff("-- \nOwner", "++ \nOwner")
    assert shown.splitlines() == ["--- ", "+++ ", " Owner"]


def test_long_letters_are_cut() -> None:
    shown = draft_diff("a\n" * (2 * LINES), "b\n" * (2 * LINES))
    assert shown.count("\n") <= 2 * LINES + 1
    assert draft_diff("", "x" * 10_000) == "+" + "x" * (LINE - 2) + CUT


@given(st.text(max_size=2_000), st.text(max_size=2_000))
def test_it_is_never_longer_than_the_limit(before: str, after: str) -> None:
    assert len(draft_diff(before * 5, after * 5)) <= LENGTH
