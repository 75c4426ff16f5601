"""What a model answers becomes plain text, and no link stays in it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing import checked_within

from mailroom.models.ai_text import LONGEST_REPLY, own_words, plain_text

# Independent of the code's own idea of a link: what no mail program lets stand as plain text.
LINK = re.compile(
    r"(?i)[a-z][a-z0-9+.-]*://|\bmailto:\w|\bjavascript:\w|\bwww\.\w|[\w.+-]+@[\w-]+"
    r"|\b[\w-]+\.(?:com|net|org|example|io|de|zip|ru|xyz|club)\b|\]\(|<[a-z/!]"
)


def text_of(answer: str, own: str = "") -> str:
    return plain_text(answer, own).text


@pytest.mark.parametrize(
    "answer",
    [
        "Hi John,\n\nThat time works for me. See you then!\n\nBest regards,\nAda",
        "It costs 3.50 (or 1,200.75) at 10.30, e.g. on 12.11.2026; 5:30pm/24h is fine, and/or...",
        "z.B. am Montag, d.h. bald, u.a. mit Dr. Meier, Ph.D.; wait...what?",
        "I have read report.pdf and data.xlsx. a < b and c > d, 2 * 3 * 4, I <3 it",
        "To be honest: yes.\nNote:this stays. [sic] (really) 'quoted'",
        "你好。谢谢你的来信，我明天回复。",
        "1. One\n2. Two\n- three",
    ],
)
def test_plain_words_stay_as_they_are(answer: str) -> None:
    assert plain_text(answer) == (answer, 0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("See https://evil.example/a?b=c.", "See."),
        ("See [my page](https://evil.example/a) soon", "See my page soon"),
        ("![pixel](https://evil.example/p.png?d=secret)Hello", "Hello"),
        ("See [my page][1].\n\n[1]: https://evil.example 'title'", "See my page."),
        ("See [1] there\n[1]: /relative", "See [1] there"),
        ("[![a](http://a.example/x)](http://b.example)Hi", "Hi"),
        ("Hi <a href='https://evil.example'>here</a>, bye", "Hi here, bye"),
        ("Hi<!-- secret --> you<span style='display:none'>secret</span>\nBye", "Hi you\nBye"),
        ("<p>Hi</p><script>secret()</script><p>Bye</p>", "Hi\n\nBye"),
        ("Visit www.evil.example or evil.example/login, ok", "Visit or, ok"),
        ("ev\u200bil.exam\u00adple and \u202eevil.example", "and"),
        ("ｅｖｉｌ．ｅｘａｍｐｌｅ and evil․example", "and"),
        ("请看https://evil.example/吗？谢谢", "请看吗？谢谢"),
        ("Write to thief@evil.example (or thief@localhost)", "Write to (or)"),
        ("Call tel:+4912345 or javascript:alert(1)", "Call or"),
        ("At 10.0.0.1:8080/x and http://[::1]/", "At and"),
        ("Until tomorrow.Then we see", "Until tomorrow. Then we see"),
        ("To: a@evil.example\nBcc: b@evil.example\nSubject: Re\n\nHello", "Hello"),
        ("**Subject:** Re: you\n\nHello **there**", "Hello there"),
        ("```\nHello\n```", "Hello"),
        ("Hi \U000e0041\U000e0042there\x00\x1b[31m", "Hi there[31m"),
    ],
)
def test_what_is_no_plain_text_goes(answer: str, expected: str) -> None:
    assert text_of(answer) == expected


def test_how_many_links_went_is_counted() -> None:
    assert plain_text("a https://a.example b www.b.example c").links == 2


def test_the_owners_own_link_stays() -> None:
    said = "add my calendar (https://cal.example/ada), not evil.example/x"
    answer = "Book at https://cal.example/ada. Or at https://cal.example/eve"
    assert text_of(answer, said) == "Book at https://cal.example/ada. Or at"


def test_links_of_the_draft_before_stay_unless_the_mail_brought_them() -> None:
    previous = "See https://cal.example/ada and https://evil.example/x"
    words = own_words("shorter", previous, ["look at https://evil.example/x"])
    assert text_of(previous, words) == "See https://cal.example/ada and"


def test_a_mail_that_is_all_hidden_leaves_nothing() -> None:
    assert text_of("<span style='display:none'>yes</span>") == ""
    assert text_of("\u200b\u2060 \n") == ""


def test_a_long_answer_is_cut_at_a_word() -> None:
    text = text_of("word " * 10_000)
    assert len(text) <= LONGEST_REPLY
    assert text.endswith("word ...")


PIECES = st.sampled_from(
    [
        *"[]()<>!:/.@#&;\"'\n ",
        *("http", "https://", "www.", "evil", ".example", ".com", "mailto:", "<a href=", "</a>"),
        *("![", "](", "[1]: ", "&lt;", "&amp;", "&#46;", "\u200b", "．", "．com", "。", "<!--"),
        *(
            "To: ",
            "Bcc: ",
            "**",
            "```",
            "x@y",
            "<br>",
            "\u202e",
            "é",
            "漢字",
            "1.2.3.4",
            "file.pdf",
        ),
    ]
)
ANSWERS = st.lists(PIECES | st.text(max_size=4), max_size=40).map("".join)


@settings(max_examples=600, deadline=None)
@given(ANSWERS)
def test_no_link_survives(answer: str) -> None:
    text = text_of(answer)
    assert not LINK.search(text), text


@settings(max_examples=300, deadline=None)
@given(ANSWERS)
def test_plain_text_is_plain(answer: str) -> None:
    text = text_of(answer)
    assert text_of(text) == text


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.characters(exclude_categories=("L", "N")), max_size=20),
    st.sampled_from(["evil.com", "www.evil.org/x", "a@evil.net"]),
)
def test_no_neighbour_hides_a_link(neighbours: str, link: str) -> None:
    assert "evil." not in text_of(f"{neighbours}{link}{neighbours[::-1]}").lower()


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 16_000 + "](a)" * 4_000,
        "a.bc" * 8_000,
        "<a " * 10_000,
        "[a](" + "(" * 30_000,
        "to:\n" * 8_000,
        "&amp;" * 6_000 + "<b>",
        "** " * 10_000,
        "\n[a]: " * 5_000,
        "@." * 16_000,
    ],
    ids=range(9),
)
def test_bombs_take_no_time(bomb: str) -> None:
    checked_within(2, lambda: plain_text(bomb))
