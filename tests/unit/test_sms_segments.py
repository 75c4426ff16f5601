"""smsutil is unmaintained: what we rely on is counted here a second time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.models.sms_segments import (
    Encoding,
    Segments,
    bare_or_quoted,
    fits,
    longest,
    quotable,
    segments,
    short,
)
from mailroom.models.text import one_line

GSM_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = "\f^{}\\[~]|€"
ANY = st.text(alphabet=st.sampled_from(GSM_BASIC + GSM_EXTENSION + "я王😀🇦’")) | st.text()


def gsm(parts: int, units: int) -> Segments:
    return Segments(encoding=Encoding.GSM7, parts=parts, units=units)


def ucs(parts: int, units: int) -> Segments:
    return Segments(encoding=Encoding.UCS2, parts=parts, units=units)


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("", gsm(1, 0)),
        ("a" * 160, gsm(1, 160)),
        ("a" * 161, gsm(2, 161)),
        ("a" * 306, gsm(2, 306)),
        ("a" * 307, gsm(3, 307)),
        ("[" * 80, gsm(1, 160)),
        ("€" * 81, gsm(2, 162)),
        ("я" * 70, ucs(1, 70)),
        ("я" * 71, ucs(2, 71)),
        ("я" * 134, ucs(2, 134)),
        ("я" * 135, ucs(3, 135)),
        ("😀" * 35, ucs(1, 70)),
        ("😀" * 36, ucs(2, 72)),
        ("a…", ucs(1, 2)),
    ],
)
def test_the_cost_of_a_text(text: str, cost: Segments) -> None:
    assert segments(text) == cost


@pytest.mark.parametrize("character", "[]{}|~^\\€")
def test_an_extension_character_costs_two_and_is_not_split(character: str) -> None:
    assert segments(character) == gsm(1, 2)
    # 306 units, but the pair that would straddle the parts moves on as a whole.
    assert segments("a" * 152 + character + "a" * 152) == gsm(3, 306)


def test_a_surrogate_pair_is_not_split() -> None:
    assert segments("я" * 66 + "😀" + "я" * 66) == ucs(3, 134)


def counted(text: str) -> Segments:
    is_gsm = all(c in GSM_BASIC + GSM_EXTENSION for c in text)
    single, several = (160, 153) if is_gsm else (70, 67)
    costs = [1 + (c in GSM_EXTENSION if is_gsm else ord(c) > 0xFFFF) for c in text]
    parts, room = 1, several
    for cost in costs:
        if cost > room:
            parts, room = parts + 1, several
        room -= cost
    parts = 1 if sum(costs) <= single else parts
    encoding = Encoding.GSM7 if is_gsm else Encoding.UCS2
    return Segments(encoding=encoding, parts=parts, units=sum(costs))


@settings(max_examples=200)
@given(ANY.filter(lambda text: "\x1b" not in text), st.integers(1, 12))
def test_smsutil_counts_as_the_standard_does(text: str, times: int) -> None:
    assert segments(text * times) == counted(text * times)


def fit(text: str, parts: int) -> str:
    """The longest beginning of a text that is cut with an ellipsis."""

    def cut(shown: str) -> str:
        return shown + ("..." if segments(shown).encoding is Encoding.GSM7 else "…")

    return text if fits(text, parts) else cut(longest(text, parts, cut))


@settings(max_examples=200)
@given(ANY, st.integers(1, 12), st.integers(1, 3))
def test_what_is_cut_to_fit_fits(text: str, times: int, parts: int) -> None:
    text *= times
    cut = fit(text, parts)
    assert fits(cut, parts)
    if cut != text:
        assert not fits(text, parts)
        assert text.startswith(cut.removesuffix("…").removesuffix("..."))


def test_fit_cuts_at_a_word_end_and_stays_gsm() -> None:
    cut = fit("word " * 100, 1)
    assert cut.endswith("word...")
    assert segments(cut).encoding is Encoding.GSM7
    assert 150 < len(cut) <= 160


def test_fit_cuts_a_long_word_and_uses_one_sign_in_ucs2() -> None:
    assert fit("я" * 100, 1) == "я" * 69 + "…"


def test_an_accent_stays_with_its_letter() -> None:
    assert fit("e\u0301" * 60, 1).removesuffix("…").endswith("e\u0301")


def test_longest_is_empty_where_nothing_fits() -> None:
    assert longest("text", 1, lambda text: "a" * 161 + text) == ""


HIDDEN = "\u202e\u2066\u200b\u200d\ufeff\xad\U000e0041\x00\x1b"
BLANK = "\u2800\u3164\ufe0f\U000e0100\u034f"


@pytest.mark.parametrize("hidden", HIDDEN + BLANK, ids=ascii)
def test_the_invisible_is_removed(hidden: str) -> None:
    assert one_line(f"a{hidden}b") == "ab"


def test_one_line_is_one_line() -> None:
    assert one_line(" a\r\n b\x0b\x0c\x85\u2028c\t\xa0d ") == "a b c d"
    assert one_line("a\ud800b") == "a\ufffdb"


def test_quotable_closes_no_quotation_and_stays_in_gsm() -> None:
    assert quotable('“It’s” "so" – he said…') == "'It's' 'so' - he said..."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("John O'Neill-Müller, Jr. (ACME)", "John O'Neill-Müller, Jr. (ACME)"),
        ("1=Send", '"1=Send"'),
        ("Reply K7M4 1", '"Reply K7M4 1"'),
        ("a > b", '"a > b"'),
    ],
)
def test_bare_or_quoted(text: str, shown: str) -> None:
    assert bare_or_quoted(text, 40) == shown


@settings(max_examples=200)
@given(st.text(alphabet="ab 😀王"), st.integers(4, 20))
def test_short_counts_utf16(text: str, units: int) -> None:
    assert len(short(text, units).encode("utf-16-le")) <= 2 * units
