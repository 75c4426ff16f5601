"""Rules redirect, copy, delay and raise letters, each rule once, and say what they did."""

import fnmatch
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timing import checked_within

from mailroom.models.agent_addresses import address_of
from mailroom.models.agent_mail import Delivery, Letter, Priority
from mailroom.models.agent_rules import MailRule, copy_id, routed
from mailroom.models.patterns import matches, pattern_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def letter(**other: Any) -> Letter:
    about: dict[str, Any] = {
        "id": "a" * 32, "sender": "rig/worker", "to": "mayor/", "subject": "The build is BROKEN",
        "body": "see above", "thread": "b" * 32, "sent_at": NOW, "delivery": Delivery.AUTO,
    }  # fmt: skip
    return Letter.model_validate(about | other)


def rule(name: str = "rule", match: dict[str, Any] | None = None, **does: Any) -> MailRule:
    return MailRule.model_validate({"name": name, "match": match or {"to": "*"}} | does)


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        ({"from": "rig/*"}, True),
        ({"from": "other/*"}, False),
        ({"from": ["other/*", "*/worker"]}, True),
        ({"to": "Mayor"}, True),
        ({"to": "rig/*"}, False),
        ({"subject": "broken"}, True),
        ({"subject": ["mended", "THE BUILD"]}, True),
        ({"subject": "*"}, False),
        ({"priority": "normal"}, True),
        ({"priority": ["urgent", "high"]}, False),
        ({"from": "rig/*", "to": "mayor/", "subject": "build", "priority": "normal"}, True),
        ({"from": "rig/*", "to": "deacon/"}, False),
    ],
)
def test_every_condition_has_to_hold(match: dict[str, Any], holds: bool) -> None:
    done = routed(letter(), [rule(match=match, priority="low")])
    assert (done.letters[0].priority is Priority.LOW) is holds
    assert bool(done.applied) is holds


def test_a_letter_is_redirected_and_keeps_what_it_is() -> None:
    done = routed(letter(), [rule("night shift", redirect="Night/Worker")])
    assert done.applied == ("rule 1 (night shift): redirected to night/worker",)
    [moved] = done.letters
    assert moved == letter(to="night/worker", delivery=Delivery.QUEUE)


def test_a_redirected_letter_is_not_matched_again() -> None:
    there, back = rule(match={"to": "mayor/"}, redirect="a/"), rule(match={"to": "a"}, redirect="b")
    assert routed(letter(), [there, back]).letters[0].to == "a/"
    assert routed(letter(to="a/"), [there, back]).letters[0].to == "b/"
    circle = [there, rule(match={"to": "a/"}, redirect="mayor/")]
    assert routed(letter(), circle).letters[0].to == "a/"


def test_all_rules_that_match_apply_in_order_until_one_stops() -> None:
    rules = [
        rule("first", priority="high", delay="10m"),
        rule("other", match={"to": "nobody/"}, redirect="z/"),
        rule("second", priority="low", delay="5m", redirect="a/", stop=True),
        rule("third", redirect="b/"),
    ]
    done = routed(letter(), rules)
    assert done.applied == (
        "rule 1 (first): priority high, delayed by 10m",
        "rule 3 (second): redirected to a/, priority low, no rules after it",
    )
    [moved] = done.letters
    assert (moved.to, moved.priority) == ("a/", Priority.LOW)
    assert moved.not_before == NOW + timedelta(minutes=10), "the longest delay counts"


def test_a_delay_never_shortens_what_the_sender_said() -> None:
    later = letter(not_before=NOW + timedelta(hours=1))
    assert routed(later, [rule(delay="1m")]).letters == routed(later, []).letters
    assert routed(later, [rule(delay="2h")]).letters[0].not_before == NOW + timedelta(hours=2)


def test_auto_is_decided_by_the_priority_that_the_rules_gave() -> None:
    assert routed(letter(), []).letters[0].delivery is Delivery.QUEUE
    assert routed(letter(), [rule(priority="urgent")]).letters[0].delivery is Delivery.INTERRUPT
    asked = letter(delivery=Delivery.QUEUE)
    assert routed(asked, [rule(priority="urgent")]).letters[0].delivery is Delivery.QUEUE


def test_copies_are_letters_of_their_own_and_routed_twice_the_same() -> None:
    rules = [rule(copy=["overseer", "Deacon"], priority="high"), rule(copy="overseer", delay="1m")]
    done = routed(letter(), rules)
    first, overseers, deacons = done.letters
    assert (first.id, first.to) == ("a" * 32, "mayor/")
    assert (overseers.to, deacons.to) == ("overseer", "deacon/")
    assert overseers == letter(
        id=copy_id("a" * 32, "overseer"), to="overseer", priority="high", delivery="interrupt"
    )
    assert len({first.id, overseers.id, deacons.id}) == 3
    assert routed(letter(), rules) == done
    assert done.applied[0] == "rule 1 (rule): copied to overseer, deacon/, priority high"


def test_nobody_gets_a_letter_and_its_copy() -> None:
    assert len(routed(letter(), [rule(copy="mayor/")]).letters) == 1
    moved = routed(letter(), [rule(copy="a/"), rule(redirect="a/")]).letters
    assert [each.to for each in moved] == ["a/"]
    assert moved[0].id == "a" * 32


def test_a_rule_that_finds_all_as_it_wants_it_says_so() -> None:
    done = routed(letter(), [rule(redirect="mayor/", priority="normal", copy="mayor/")])
    assert done.applied == ("rule 1 (rule): nothing to change",)


# --- patterns


@pytest.mark.parametrize("written", ["rig *", "@staff*", "r\0*", "*" * 201, "rig/[a]*", "é*"])
def test_what_is_no_pattern_is_told_what_one_is(written: str) -> None:
    with pytest.raises(ValueError, match=r"is no pattern: .* such as rig/\*") as told:
        pattern_of(written)
    assert str(told.value).isprintable()


ALPHABET = st.text("ab/-", max_size=12)


@given(st.lists(ALPHABET, min_size=1, max_size=5).map("*".join), ALPHABET)
def test_a_star_stands_for_any_text_as_in_fnmatch(pattern: str, address: str) -> None:
    assert matches(pattern, address) == fnmatch.fnmatchcase(address, pattern)


def test_a_hostile_pattern_takes_no_time() -> None:
    pattern = pattern_of("a*" * 100)
    assert not checked_within(0.01, lambda: matches(pattern, "a" * 99 + "b"))


@pytest.mark.parametrize(
    ("written", "pattern"),
    [("Mayor", "mayor/"), ("Rig/*", "rig/*"), ("**", "*"), ("*/witness", "*/witness")],
)
def test_a_pattern_has_one_form(written: str, pattern: str) -> None:
    assert pattern_of(written) == pattern


@given(st.text(max_size=300) | st.text("ab*/@ .", max_size=300))
def test_any_text_is_a_pattern_or_refused(written: str) -> None:
    try:
        pattern = pattern_of(written)
    except ValueError:
        return
    assert pattern_of(pattern) == pattern
    assert "*" in pattern or address_of(pattern) == pattern
