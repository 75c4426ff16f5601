"""The newest words of a mail, and that no text stalls their search."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing import checked_within

from mailroom.models.quotes import newest_text

OLD = "On Mon, 1 Jun 2026 at 12:00, Bob <bob@example.com> wrote:"


@pytest.mark.parametrize(
    ("text", "newest"),
    [
        (f"Yes, noon.\n\n{OLD}\n> Lunch?\n> Bob\n", "Yes, noon."),
        ("Yes.\n\nOn Mon, 1 Jun 2026 at 12:00, Bob\n<bob@example.com> wrote:\n> Lunch?", "Yes."),
        (f"{OLD}\n> Lunch?\n\nYes, noon.\n-- \nJane\nACME", "Yes, noon."),
        (f"{OLD}\n> Lunch?\nYes.\n> When?\nNoon.\n", "Yes.\nNoon."),
        ("See below.\n\n" + "_" * 32 + "\nFrom: Bob\nSent: Monday\nTo: Jane\n\nold", "See below."),
        ("Hi\n\n-----Original Message-----\nFrom: Bob\nSent: x\nTo: y\n\nold", "Hi"),
        ("FYI\n\n---------- Forwarded message ----------\nFrom: B <b@x>\nDate: Mon\n\nold", "FYI"),
        ("Ja.\n\nAm 1. Juni 2026 um 12:00 schrieb Bob <bob@example.com>:\n> alt", "Ja."),
        ("Oui.\n\nLe lun. 1 juin 2026 à 12:00, Bob <b@x> a écrit :\n\n> vieux", "Oui."),
        ("Ok!\n\nSent from my iPhone", "Ok!"),
        ("Ok!\n\nBest regards\nJane Doe\nACME Inc.", "Ok!"),
        ("x" * 5_000 + f"\n\n{OLD}\nold", "x" * 5_000),
        ("a line\n" * 4_000 + f"\n{OLD}\nold", "\n".join(["a line"] * 4_000)),
    ],
)
def test_the_history_and_the_signature_are_left_out(text: str, newest: str) -> None:
    assert newest_text(text) == newest
    assert newest_text(text.replace("\n", "\r\n")) == newest


@pytest.mark.parametrize(
    "text",
    [
        "Please bring:\n- apples\n- pears\n\nThank you, I need them on Friday. Is that possible?",
        "Thanks, works great now.",
        "First.\n\n" + "-" * 40 + "\nSecond.",
        "def f():\n    return 1",
        "--\n" + "a line\n" * 19 + "a line",
    ],
)
def test_words_are_not_taken_for_a_signature(text: str) -> None:
    assert newest_text(text) == text


@pytest.mark.parametrize("text", ["> a\n> b", "-- \nJane", OLD, "", "Thank you,\nJane"])
def test_all_is_kept_where_nothing_would_be_left(text: str) -> None:
    assert newest_text(text) == text


HOSTILE = [
    ">", "> ", ">\n", "\n", " \n", "\r", "\u2028", "\xa0\n", " ", "\t", "On ", "On\n", "On a\n",
    "On On wrote", "a >On\n", "On " * 53 + "\n", "From: a\n", "From:\nTo:\n", "From: \n\n", "* ",
    "* * From: ", "_", "-", "\n_", "--\n", "Am schrieb ", "Am schrieb \n", "Le a écrit\n",
    "Den a skrev b\n", "2020年1月1日(a) 1:11a <b>:\n", "Thanks,\n", "Best regards\n", "Warning:\n",
    "Disclaimer: mail ", "Sent from my \n", ". ", "a\n", "a b ", "-----Original Message-----\n",
]  # fmt: skip


@pytest.mark.parametrize("pattern", HOSTILE)
def test_hostile_text_takes_no_half_second(pattern: str) -> None:
    text = (pattern * 200_000)[:200_000]
    checked_within(0.5, lambda: newest_text(text))


@given(st.lists(st.sampled_from([*HOSTILE, OLD, "Hello", "\n"]), max_size=400))
@settings(max_examples=100, deadline=None)
def test_any_mixture_is_read_in_time(pieces: list[str]) -> None:
    text = "".join(pieces)
    newest = checked_within(0.5, lambda: newest_text(text))
    assert set(newest.split()) <= set(text.split())
