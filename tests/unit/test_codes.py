import pytest

from mailroom.models.codes import CODE, SPACE, code_for, find_code


def test_a_code_repeats_only_after_the_whole_space() -> None:
    codes = [code_for(number) for number in range(SPACE)]
    assert len(set(codes)) == SPACE == 14_400
    assert code_for(SPACE) == codes[0]


def test_consecutive_drafts_differ_in_every_character() -> None:
    pairs = ((code_for(number), code_for(number + 1)) for number in range(SPACE))
    assert all(a != b for one, next_one in pairs for a, b in zip(one, next_one, strict=True))


def test_near_drafts_differ_in_two_characters_at_least() -> None:
    for number in range(500):
        for distance in range(1, 20):
            pair = zip(code_for(number), code_for(number + distance), strict=True)
            assert sum(a != b for a, b in pair) >= 2


def test_codes_have_a_shape_without_look_alikes() -> None:
    for number in range(SPACE):
        assert CODE.fullmatch(code_for(number))
        assert not set(code_for(number)) & set("01AEIOUYBGQSZ")


@pytest.mark.parametrize("token", ["K7M4", "k7m4", "#K7M4", "#k7m4,", "K7M4:", "K7M4!?", "K7M4)"])
def test_a_token_that_is_a_code(token: str) -> None:
    assert find_code(token) == "K7M4"


def test_a_mistyped_letter_is_still_of_code_shape() -> None:
    assert find_code("s7b4") == "S7B4"


@pytest.mark.parametrize(
    "token",
    ["", "#", "K7M", "K7M44", "KK77", "K1M4", "A7M4", "7K4M", "##K7M4", "\u212a7M4", "K7 M4"],
)
def test_a_token_that_is_none(token: str) -> None:
    assert find_code(token) is None
