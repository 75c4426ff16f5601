"""What can be changed in a draft without an AI, and that the rest is said."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.models.edits import Edited, apply_edit
from mailroom.models.letters import Letter, read_letter

MEETING = "Thanks for the invitation. That time works for me. See you then!"
DECLINED = "Thank you for asking, but I have to decline."
ILL = "Thank you for asking, but I'm not feeling well and have to decline."
AWAY = "Thank you for asking, but I will be travelling and have to decline."
BUSY = "Thank you for asking, but my schedule is full and I have to decline."


def letter(body: str, greeting: str = "Hi John,", closing: str = "Best regards,") -> str:
    return f"{greeting}\n\n{body}\n\n{closing}\nAnn"


def edited(draft: str, instructions: str) -> Edited:
    return apply_edit(draft, instructions, "John", "Ann")


@pytest.mark.parametrize(
    ("instructions", "draft", "expected"),
    [
        ("decline", letter(MEETING), letter(DECLINED)),
        ("Say no politely.", letter(MEETING), letter(DECLINED)),
        ("I can’t make it", letter(MEETING), letter(DECLINED)),
        ("not available", letter(MEETING), letter(DECLINED)),
        ("cancel the meeting", letter(MEETING), letter(DECLINED)),
        ("reject meeting with health reason", letter(MEETING), letter(ILL)),
        ("decline the invitation due to travel", letter(MEETING), letter(AWAY)),
        ("refuse because of a scheduling conflict", letter(MEETING), letter(BUSY)),
        ("decline, I'm sick tomorrow", letter(MEETING), letter(ILL)),
        ("tell them I'm on vacation", letter(DECLINED), letter(AWAY)),
        (
            "decline because i'm moving house and have no car",
            letter(MEETING),
            letter(
                "Thank you for asking, but I have to decline because "
                "I'm moving house and have no car."
            ),
        ),
        ("accept the invitation", letter(DECLINED), letter("Thank you. That works for me.")),
        ("shorter", letter(MEETING), letter("That time works for me.")),
        ("make it shorter", letter("One. Two.\n\nThree. Four."), letter("One. Two.")),
        (
            "a bit warmer please",
            letter(MEETING),
            letter(f"I hope you are doing well. {MEETING}", closing="Warm regards,"),
        ),
        (
            "friendlier",
            letter(f"I hope you are doing well. {MEETING}", closing="Warm regards,"),
            letter(
                f"I hope you are doing well. {MEETING} It was good to hear from you.",
                closing="Warm regards,",
            ),
        ),
        (
            "make it more formal",
            letter("Thanks! I'm sorry, but I can't come and don't know when it's over."),
            letter(
                "Thank you. I am sorry, but I cannot come and do not know when it is over.",
                "Dear John,",
                "Kind regards,",
            ),
        ),
        (
            "make it more casual",
            letter(ILL),
            letter(
                "Thanks for asking, but I'm not feeling well and have to decline.",
                "Hey John,",
                "Cheers,",
            ),
        ),
        (
            "thank them for their patience",
            letter("I am late."),
            letter("Thank you for your patience. I am late."),
        ),
        ("thank them", letter(MEETING), letter(f"{MEETING} Thank you again.")),
        ("say: See you at 5, and warmer.", letter(MEETING), letter("See you at 5, and warmer.")),
        ("reply: One.\n\nTwo m².", letter(MEETING), letter("One.\n\nTwo m².")),
        (
            "propose Tuesday, 3pm or 4pm",
            letter(MEETING),
            letter("Thank you for your message. Would Tuesday, 3pm or 4pm work for you instead?"),
        ),
        (
            "suggest we meet on 10 March at 3 p.m. in Berlin",
            letter(DECLINED),
            letter(f"{DECLINED} Would 10 March at 3 p.m. in Berlin work for you instead?"),
        ),
        (
            "propose Friday",
            letter(f"{DECLINED} Would Tuesday work for you instead?"),
            letter(f"{DECLINED} Would Friday work for you instead?"),
        ),
        (
            "ask for another time",
            letter(MEETING),
            letter("Thank you for your message. Could we find another time?"),
        ),
        (
            "decline and reschedule, make it more casual",
            letter(MEETING),
            letter(
                "Thanks for asking, but I have to decline. Could we find another time?",
                "Hey John,",
                "Cheers,",
            ),
        ),
        ("decline", "Yes, 2pm works!", letter(DECLINED)),
        ("decline", "Hi Jo, yes 2pm works. See you then!", letter(DECLINED, "Hi Jo,")),
        (
            "shorter",
            "Dear Dr. Roe,\nThank you. Mr. Poe comes at 3 p.m. Monday. See you.\n\nBest,\nAnn",
            "Dear Dr. Roe,\n\nMr. Poe comes at 3 p.m. Monday.\n\nBest,\nAnn",
        ),
        (
            "say: Nein.",
            "Sehr geehrter Herr Roe,\n\nja.\n\nMit freundlichen Grüßen\nAnn",
            "Sehr geehrter Herr Roe,\n\nNein.\n\nMit freundlichen Grüßen\nAnn",
        ),
    ],
)
def test_an_instruction_that_is_followed(instructions: str, draft: str, expected: str) -> None:
    assert edited(draft, instructions) == Edited(text=expected)


@pytest.mark.parametrize(
    ("instructions", "note"),
    [
        ("translate to German", "I can't follow “translate to German” without an AI"),
        ("decline's meaning", "I can't follow “decline's meaning” without an AI"),
        ("don't decline", "I can't follow “don't decline” without an AI"),
        ("I'm sick", "I can't follow “I'm sick” without an AI"),
        ("tell them I'm free at that time", "I can't follow “tell them I'm free at that time” w"),
        ("ask for the invoice by Monday", "I can't follow “ask for the invoice by Monday” with"),
        ("short notice is a problem", "I can't follow “short notice is a problem” without an AI"),
        ("translate it, with care, soon", "I can't follow “translate it, with care, soon” withou"),
        ("x" * 100, f"I can't follow “{'x' * 57}...” without an AI"),
        ("mention A and add B", "“mention A” without an AI; I can't follow “add B” without an AI"),
        ("", "the draft is unchanged"),
    ],
)
def test_an_instruction_that_is_not_understood(instructions: str, note: str) -> None:
    said = edited(letter(MEETING), instructions)
    assert said.text == letter(MEETING)
    assert said.note is not None
    assert note in said.note
    assert said.note.endswith("the draft is unchanged")


@pytest.mark.parametrize(
    ("instructions", "body", "note"),
    [
        ("decline, mention the budget", DECLINED, "“mention the budget” without an AI"),
        ("decline but keep the door open", DECLINED, "“keep the door open” without an AI"),
        ("decline for budget reasons", DECLINED, "“budget reasons” without an AI"),
        ("decline due to travel until Friday", DECLINED, "“travel until Friday” without an AI"),
        ("no, shorter", "That time works for me.", "“no” without an AI"),
    ],
)
def test_what_can_be_done_is_done(instructions: str, body: str, note: str) -> None:
    assert edited(letter(MEETING), instructions) == Edited(
        text=letter(body), note=f"I can't follow {note}; the rest is done"
    )


@pytest.mark.parametrize(
    ("instructions", "note"),
    [
        ("shorter", "I can't make it shorter"),
        ("more formal", "I can't make it more formal"),
        ("decline", "it says that already"),
    ],
)
def test_an_instruction_that_changes_nothing_says_so(instructions: str, note: str) -> None:
    draft = letter(DECLINED, "Dear John,", "Kind regards,")
    said = edited(draft, instructions)
    assert said == Edited(text=draft, note=f"{note}; the draft is unchanged")


def test_warmth_has_an_end() -> None:
    once = edited(letter(MEETING), "warmer")
    twice = edited(once.text, "warmer")
    assert len({letter(MEETING), once.text, twice.text}) == 3
    assert edited(twice.text, "warmer").note == "I can't make it warmer; the draft is unchanged"


@pytest.mark.parametrize(
    ("draft", "parts"),
    [
        (letter("A.\nB.\n\nC."), ("Hi John,", ("A.\nB.", "C."), "Best regards,\nAnn")),
        ("Yes, 2pm works!", ("", ("Yes, 2pm works!",), "")),
        ("Hello\nYes.\nCheers\nAnn", ("Hello", ("Yes.",), "Cheers\nAnn")),
        ("Hi Jo! Yes.\n--\nAnn", ("Hi Jo!", ("Yes.",), "--\nAnn")),
        ("Yes.\n\nAnn", ("", ("Yes.",), "Ann")),
        ("Thanks!\n\nAnn", ("", ("Thanks!",), "Ann")),
        ("Thanks,\nAnn", ("Thanks,", ("Ann",), "")),
        ("Hola Juan,\n\nSí.\n\nUn saludo,\nAnn", ("Hola Juan,", ("Sí.",), "Un saludo,\nAnn")),
        ("田中様、\n\nはい。\n\nアン", ("田中様、", ("はい。",), "アン")),
        ("Buy apples, pears,\nand plums", ("", ("Buy apples, pears,\nand plums",), "")),
        ("Liebe Ann,\nJa.", ("Liebe Ann,", ("Ja.",), "")),
        ("We have tea,\n\nmilk,\nand plums.\n", ("We have tea,", ("milk,\nand plums.",), "")),
        ("", ("", (), "")),
    ],
)
def test_reading_a_draft(draft: str, parts: tuple[str, tuple[str, ...], str]) -> None:
    greeting, paragraphs, sign_off = parts
    assert read_letter(draft) == Letter(greeting=greeting, paragraphs=paragraphs, sign_off=sign_off)


KNOWN = ["decline", "warmer", "shorter", "formal", "casual", "thank them", "accept", "x y z"]
DRAFTS = st.lists(
    st.sampled_from(["Hi Jo,", "Yes.", "Thanks!", "\n", "\n\n", "Best,", "Ann", " ", "é"]),
    max_size=12,
).map("".join)


@settings(max_examples=200)
@given(DRAFTS | st.text(), st.lists(st.sampled_from(KNOWN), max_size=4).map(" and ".join))
def test_either_the_draft_changes_or_a_note_says_why_not(draft: str, instructions: str) -> None:
    said = edited(draft, instructions)
    assert (said.text == draft) == (said.note or "").endswith("the draft is unchanged")
    assert "x y z" not in said.text.replace(draft, "")


@settings(max_examples=200)
@given(DRAFTS | st.text())
def test_reading_loses_no_word(draft: str) -> None:
    assert str(read_letter(draft)).split() == draft.split()


@settings(max_examples=200)
@given(st.text(), st.text())
def test_any_instruction_is_answered(draft: str, instructions: str) -> None:
    said = edited(draft, instructions)
    assert said.text != draft or said.note
