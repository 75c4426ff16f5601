"""Addresses are written in one form; what is mistyped is found; tmux sessions have safe names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timing import checked_within

from mailroom.models.agent_addresses import (
    OVERSEER,
    address_of,
    is_announcement,
    is_group,
    members_of,
    nearest,
    recipient_of,
    tmux_names,
    tmux_template,
)
from mailroom.models.distance import distance

SEGMENTS = st.from_regex(r"\A[a-z0-9][a-z0-9_.-]{0,12}\Z")
ADDRESSES = st.lists(SEGMENTS, min_size=1, max_size=4).map(
    lambda parts: address_of("/".join(parts))
)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("mayor/", "mayor/"),
        ("mayor", "mayor/"),
        ("  Mayor ", "mayor/"),
        ("Rig/Worker", "rig/worker"),
        ("rig/worker/", "rig/worker"),
        ("rig/crew/ann.b_c-1", "rig/crew/ann.b_c-1"),
        ("overseer", OVERSEER),
        ("Overseer/", OVERSEER),
        ("overseer/x", "overseer/x"),
        ("a" * 199, "a" * 199 + "/"),
    ],
)
def test_an_address_has_one_form(typed: str, address: str) -> None:
    assert address_of(typed) == address


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "/", "//", "/mayor", "mayor//", "rig//worker", "..", "rig/../x", ".hidden",
        "rig/-x", "a b", "rig/wörker", "\u212aay", "mayor/\0", "may\nor", "a" * 200,
        "a" * 1_000_000, "@staff", "rig/*", "*", "a@b.org", "mayor:1", "\udcff", "rig/$(id)",
    ],
)  # fmt: skip
def test_what_is_no_address_is_told_the_form(typed: str) -> None:
    with pytest.raises(ValueError, match=r"is no address: .* mayor/ or rig/worker") as told:
        address_of(typed)
    assert len(str(told.value)) < 500
    assert str(told.value).isprintable()


@given(st.text())
def test_whatever_is_typed_is_an_address_or_a_sentence(typed: str) -> None:
    try:
        address = address_of(typed)
    except ValueError:
        return
    assert address_of(address) == address
    assert re.fullmatch(r"[a-z0-9_./-]{1,200}", address), "no other error, and no other form"


def test_groups_and_announcements_are_told_apart() -> None:
    assert is_group("@staff")
    assert is_group("@Staff")
    assert is_announcement("rig/*")
    assert is_announcement("rig/crew/*")
    assert is_announcement("*")
    for other in ("staff", "@", "@a/b", "@@a", "rig*", "*/rig", "rig/**", "/*", "@" + "a" * 200):
        assert not is_group(other)
        assert not is_announcement(other)


@pytest.mark.parametrize(
    ("typed", "recipient"),
    [("Mayor", "mayor/"), ("@Staff ", "@staff"), ("Rig/*", "rig/*"), ("*", "*")],
)
def test_a_recipient_is_any_of_the_three(typed: str, recipient: str) -> None:
    assert recipient_of(typed) == recipient


def test_an_announcement_reaches_all_under_it_but_its_sender() -> None:
    known = ["rig/b", "rig/a", "rig/crew/ann", "rig/", "rigging/x", "mayor/", OVERSEER, "rig/a"]
    assert members_of("rig/*", known, sender="rig/b") == ["rig/", "rig/a", "rig/crew/ann"]
    assert members_of("rig/crew/*", known) == ["rig/crew/ann"]
    assert members_of("*", known, sender=OVERSEER) == sorted(set(known) - {OVERSEER})
    assert members_of("nowhere/*", known) == []


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("rig/wroker", "rig/worker"),
        ("worker/", "rig/worker"),
        ("rgi/worker", "rig/worker"),
        ("other/worker", "rig/worker"),
        ("worker/rig", "rig/worker"),
        ("major/", "mayor/"),
        ("oversear/", OVERSEER),
    ],
)
def test_a_mistyped_address_finds_the_one_that_was_meant(mistyped: str, meant: str) -> None:
    known = ["mayor/", "rig/worker", "rig/witness", "deacon/", "rig/refinery", OVERSEER]
    assert nearest(mistyped, known)[0] == meant


def test_the_nearest_are_few_ordered_and_none_where_all_are_far() -> None:
    known = [f"rig/worker-{n}" for n in range(50)]
    assert nearest("rig/worker-", known) == ["rig/worker-0", "rig/worker-1", "rig/worker-2"]
    assert nearest("rig/worker-", known, most=1) == ["rig/worker-0"]
    assert nearest("qqqqqqqq/", known) == []
    assert nearest("rig/worker-7", ["rig/worker-7"]) == []


@pytest.mark.parametrize("length", [12, 199])
def test_ten_thousand_known_addresses_are_searched_within_a_bounded_time(length: int) -> None:
    known = [f"{'ab' * (length // 2 - 3)}/{n:04}" for n in range(10_000)]
    wrong = known[0].replace("ab", "ba", 1)
    assert checked_within(3, lambda: nearest(wrong, known))[0] == known[0]


@given(st.text("abc", max_size=9), st.text("abc", max_size=9), st.integers(0, 9))
def test_the_distance_is_that_of_the_textbook(a: str, b: str, furthest: int) -> None:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    assert distance(a, b, furthest) == min(row[-1], furthest + 1)


@pytest.mark.parametrize(
    ("template", "of_mayor", "of_ann"),
    [
        ("{address}", ["mayor"], ["rig-crew-ann_b"]),
        ("gt-{rig}-{worker}", [], ["gt-rig-ann_b"]),
        ("hq-{first}", ["hq-mayor"], ["hq-rig"]),
        ("{last}", ["mayor"], ["ann_b"]),
        ("HQ_{name}", ["HQ_mayor"], []),
        ("gt-{first}-{rest}", [], ["gt-rig-crew-ann_b"]),
        ("one", ["one"], ["one"]),
    ],
)
def test_a_template_names_the_session_of_an_address_that_can_fill_it(
    template: str, of_mayor: list[str], of_ann: list[str]
) -> None:
    assert tmux_template(template) == template
    assert tmux_names([template], "mayor/") == of_mayor
    assert tmux_names([template], "rig/crew/ann.b") == of_ann


def test_names_stand_in_the_order_of_the_templates_and_once() -> None:
    assert tmux_names(["hq-{name}", "{last}", "{address}"], "mayor/") == ["hq-mayor", "mayor"]


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{rigg}", "{rigg} is no placeholder"),
        ("{}", "{} is no placeholder"),
        ("{first.__class__}", "is no placeholder"),
        ("a:{first}", "can't name a tmux session"),
        ("-{first}", "can't name a tmux session"),
        ("={first}", "can't name a tmux session"),
        ("{first", "can't name a tmux session"),
        ("", "can't name a tmux session"),
        ("a" * 201, "can't name a tmux session"),
    ],
)
def test_a_template_that_cannot_name_a_session_is_refused(template: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        tmux_template(template)
    assert tmux_names([template], "rig/worker") == [] or len(template) > 200


@given(st.lists(st.text("{}afirstlen=:.-$%@\n", max_size=20)), ADDRESSES)
def test_only_what_a_session_may_be_called_comes_out(templates: list[str], address: str) -> None:
    for name in tmux_names([*templates, "{address}", "{rest}-{last}"], address):
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name)
