"""What the owner may say, and that nothing else is ever an approval."""

import re
from datetime import time, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from timing import checked_within

from mailroom.models.words import (
    Approve,
    Command,
    Edit,
    Ignore,
    Reserved,
    Said,
    Unclear,
    parse_word,
)

APPROVE, IGNORE = Approve(), Ignore()


def edit(instructions: str) -> Edit:
    return Edit(instructions=instructions)


def unclear(why: str) -> Unclear:
    return Unclear(why=why)


@pytest.mark.parametrize("text", ["1", "1.", "1!", " 1 ", '"1"', "(1)", "１", "1\u200b", "\xa01"])
@pytest.mark.parametrize("form", ["{}", "{}\n"])
def test_one_approves(text: str, form: str) -> None:
    assert parse_word(form.format(text)) == Said(command=APPROVE)


@pytest.mark.parametrize("text", ["approve", "Send", "SEND!", "send.", "ｓｅｎｄ", "*send*"])
def test_so_do_its_words(text: str) -> None:
    assert parse_word(text) == Said(command=APPROVE)


@pytest.mark.parametrize("text", ["3", "ignore", "Skip.", "IGNORE", "３"])
def test_three_ignores(text: str) -> None:
    assert parse_word(text) == Said(command=IGNORE)


@pytest.mark.parametrize("sign", [" ", ": ", ") ", ". ", ".", " - ", ", ", "=", "\n\n", "\xa0"])
@pytest.mark.parametrize("two", ["2", "edit", "Edit", "２", "\u200b2"])
def test_two_edits(two: str, sign: str) -> None:
    assert parse_word(f"{two}{sign}warmer") == Said(command=edit("warmer"))


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("1 K7M4", APPROVE),
        ("1 #K7M4", APPROVE),
        ("1, k7m4.", APPROVE),
        ("K7M4 1", APPROVE),
        ("#k7m4: send!", APPROVE),
        ("K7M4 1 k7m4", APPROVE),
        ("skip K7M4", IGNORE),
        ("k7m4: 2 make it warmer", edit("make it warmer")),
        ("2 K7M4 make it warmer", edit("make it warmer")),
        ("2 k7m4: make it warmer", edit("make it warmer")),
        ("2 make it warmer K7M4", edit("make it warmer")),
        ("2 make it warmer (#k7m4).", edit("make it warmer")),
        ("2 K7M4 mention flight B2C3", edit("mention flight B2C3")),
        ("K7M4", unclear("a code without a command")),
        ("2 K7M4", unclear("edit without instructions")),
        ("K7M4 2", unclear("edit without instructions")),
        ("2 K7M4 1", unclear("two commands")),
    ],
)
def test_with_a_code(text: str, command: Command) -> None:
    assert parse_word(text) == Said(command=command, code="K7M4")


FREE_TEXT = """
1 yes please
send it to Bob
don't send
send?
skip this one?
ok
okay, 1
yes send
not 1
STOP 1
11
1 1
1 2
1?
-1
+1
<1
1st
1:30
1.5
1K7M4
1 K7M4 1
1 K7M4 please
👍
1 👍
①
1\u0301
ſend
s\u212aip
sk\u0131p
2nd draft
2.5 percent
2:30 is better
2-3 days is fine
3 days later
"""


@pytest.mark.parametrize("text", FREE_TEXT.strip().split("\n"))
def test_free_text_is_never_an_approval(text: str) -> None:
    assert parse_word(text) == Said(
        command=unclear("not a command; free text is never an approval")
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "an empty text"),
        (" \u200b\n", "an empty text"),
        ("...", "an empty text"),
        ("\ud800", "an empty text"),
        ("2", "edit without instructions"),
        ("edit:", "edit without instructions"),
        ("2 ...", "edit without instructions"),
        ("2 1", "two commands"),
        ("2 send!", "two commands"),
        ("2 2", "two commands"),
        ("2=Edit", "two commands"),
        ("K7M4 1 J5T6", "two codes"),
        ("1" * 2_001, "longer than 2,000 characters"),
        ("1" + " " * 2_000, "longer than 2,000 characters"),
    ],
)
def test_the_rest_says_why(text: str, why: str) -> None:
    assert parse_word(text) == Said(command=unclear(why))


OPT_OUT = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"]
OPT_IN = ["START", "YES", "UNSTOP", "HELP", "INFO"]


@pytest.mark.parametrize("word", [*OPT_OUT, *OPT_IN])
def test_the_carriers_words_are_theirs(word: str) -> None:
    for text in (word, word.lower(), f" {word.title()}! "):
        assert parse_word(text) == Said(command=Reserved(keyword=word))


def test_instructions_keep_case_line_breaks_and_signs() -> None:
    said = parse_word("2 say:\u202e Dear Ann,\r\n\r\n20 m² \x07at\t½ price\n")
    assert said.command == edit("say: Dear Ann,\n\n20 m² at ½ price")


def test_two_thousand_characters_are_accepted() -> None:
    assert parse_word("2 " + "a" * 1_998) == Said(command=edit("a" * 1_998))


def test_a_command_survives_json_and_can_be_matched() -> None:
    adapter = TypeAdapter[Command](Command)
    match adapter.validate_json(adapter.dump_json(edit("warmer"))):
        case Edit(instructions):
            assert instructions == "warmer"
        case _:
            pytest.fail("not an edit")


EXACT = re.compile(
    r"[^\w?#+-]*(#?K7M4[^\w?#+-]+)?(1|approve|send)([^\w?#+]+#?K7M4)?[^\w?#+]*", re.IGNORECASE
)
PIECES = [
    "-",
    "1",
    "2",
    "3",
    "send",
    "approve",
    "skip",
    "edit",
    "ok",
    "K7M4",
    "#K7M4",
    "?",
    ".",
    " ",
    "\n",
]


@settings(max_examples=200)
@given(st.text())
def test_any_text_has_a_meaning(text: str) -> None:
    said = parse_word(text)
    assert not isinstance(said.command, Approve) or EXACT.fullmatch(text)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
def test_what_is_not_exactly_a_command_never_approves(text: str) -> None:
    assert isinstance(parse_word(text).command, Approve) == bool(EXACT.fullmatch(text))


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(PIECES), max_size=6),
    st.sampled_from([" ", "\n", " \t ", "\xa0", "\u3000", "\u200b "]),
)
def test_case_and_spacing_do_not_matter(pieces: list[str], space: str) -> None:
    plain = parse_word(" ".join(pieces))
    loud = parse_word(space.join(pieces).upper() + space)
    assert (loud.command.kind, loud.code) == (plain.command.kind, plain.code)


# With attachments


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 with report.pdf", Said(command=APPROVE, files="report.pdf")),
        ("Send with: a.pdf and b.pdf.", Said(command=APPROVE, files="a.pdf and b.pdf")),
        ("1\nwith\n a.pdf\nb.pdf", Said(command=APPROVE, files="a.pdf b.pdf")),
        ("1 K7M4 with a.pdf", Said(command=APPROVE, code="K7M4", files="a.pdf")),
        ("1 with a.pdf (#k7m4)", Said(command=APPROVE, code="K7M4", files="a.pdf")),
        ("K7M4: 1 with a.pdf k7m4", Said(command=APPROVE, code="K7M4", files="a.pdf")),
        ("1 with a.pdf at 9:00", Said(command=Approve(at=time(9)), files="a.pdf")),
        ("1 at 9:00 with a.pdf", Said(command=Approve(at=time(9)), files="a.pdf")),
        (
            "1 with a.pdf in 2h K7M4",
            Said(command=Approve(after=timedelta(hours=2)), code="K7M4", files="a.pdf"),
        ),
        ("2 with love", Said(command=edit("with love"))),
        ("1 with", unclear("not a command; free text is never an approval")),
        ("1 with  ", unclear("the names of attachments are missing")),
        ("1 at 9 with a.pdf at 10", unclear("two times")),
        ("1 with a.pdf at 25:00", unclear("a time that can't be; up to 30 days can")),
        ("K7M4 1 with a.pdf B2C3", unclear("two codes")),
        ("3 with a.pdf", unclear("not a command; free text is never an approval")),
        ("don't send with a.pdf", unclear("not a command; free text is never an approval")),
        ("1? with a.pdf", unclear("not a command; free text is never an approval")),
    ],
)
def test_an_approval_with_attachments(text: str, said: Said | Unclear) -> None:
    expected = said if isinstance(said, Said) else Said(command=said)
    assert parse_word(text) == expected


@pytest.mark.parametrize("run", [" ", ".", " .", "K7M4 ", " in 2h", " with", '"', "x "])
def test_no_text_keeps_the_parser_busy(run: str) -> None:
    for text in (f"1 with x{run * (1_900 // len(run))}?", f"1{run * (1_900 // len(run))} with x?"):
        checked_within(0.5, partial(parse_word, text))
