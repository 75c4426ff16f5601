"""What the pages say of letters and rules."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.bridge.pages_agent_words import (
    conditions,
    effects,
    letter_state,
    letter_timeline,
    letter_tone,
    sent_notice,
)
from mailroom.models.agent_mail import Channel, Event, LetterState
from mailroom.models.agent_rules import MailRule
from mailroom.models.letter_rows import LetterEvent, LetterRow

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ABOUT_SESSIONS = {
    Event.REGISTERED,
    Event.UNREGISTERED,
    Event.PROCESSING_STARTED,
    Event.PROCESSING_COMPLETED,
}


def a_letter(**known: Any) -> LetterRow:
    values: dict[str, Any] = dict.fromkeys(LetterRow.model_fields)
    values |= {
        "id": "0" * 32,
        "sender": "mayor/",
        "to": "rig/worker",
        "subject": "Work",
        "priority": "normal",
        "delivery": "queue",
        "status": "queued",
        "thread_id": "0" * 32,
        "pinned": False,
        "attempts": 0,
        "sent_at": NOW,
    }
    return LetterRow.model_validate(values | known)


def an_event(type: str, **detail: object) -> LetterEvent:
    return LetterEvent(id=1, type=type, at=NOW + timedelta(seconds=1), detail=detail)


def told(*events: LetterEvent, **known: Any) -> list[str]:
    """The timeline without its first line, which is about the sending."""
    first, *others = letter_timeline(a_letter(**known), events)
    assert (first.at, first.text) == (NOW, "mayor/ sent it.")
    return [line.text for line in others]


@pytest.mark.parametrize("event", [each for each in Event if each not in ABOUT_SESSIONS])
def test_everything_that_happens_to_a_letter_is_a_sentence(event: Event) -> None:
    [said] = told(an_event(event))
    assert re.fullmatch(r"[A-Z].*\.", said)
    assert event.value not in said


def test_what_nobody_foresaw_is_shown_as_it_is() -> None:
    assert told(an_event("message.carried_by_pigeon")) == ["message carried by pigeon"]


def test_a_try_that_arrived_is_told_once() -> None:
    tried, arrived = an_event(Event.DELIVERING), an_event(Event.ROUTED, session_id="s-1")
    assert told(tried, tried, arrived) == [
        "A delivery was tried.",
        "It was delivered to a session (s-1).",
    ]
    assert told(tried) == ["A delivery was tried."]


@pytest.mark.parametrize("channel", Channel)
def test_the_way_by_which_it_arrived_is_said(channel: Channel) -> None:
    """By the event, or where that does not say it by the letter."""
    [said] = told(an_event(Event.ROUTED, channel=channel.value))
    assert told(an_event(Event.ROUTED), channel=channel) == [said]
    assert said != "It was delivered."
    assert told(an_event(Event.ROUTED, channel="pigeon")) == ["It was delivered."]


def test_reasons_are_told() -> None:
    assert told(an_event(Event.DEAD, reason="Nobody took it.")) == [
        "It became a dead letter: Nobody took it."
    ]
    assert told(an_event(Event.ESCALATED, channel="tmux"))[0].endswith("again in the terminal.")
    assert told(an_event(Event.ESCALATED))[0].endswith("is open to nudge.")


@pytest.mark.parametrize("state", LetterState)
def test_every_state_has_words_and_a_colour(state: LetterState) -> None:
    assert letter_state(state)
    assert letter_tone(state)


def test_a_rule_is_told_by_its_parts() -> None:
    match = {"from": ["rig/*", "mayor/"], "subject": "alarm", "priority": ["high", "urgent"]}
    does = {"redirect": "night/worker", "copy": ["mayor/", "overseer"], "delay": "90m"}
    rule = MailRule.model_validate({"name": "night", "match": match, "stop": True, **does})
    assert conditions(rule) == [
        ("from", "rig/* or mayor/"),
        ("subject has", "“alarm”"),
        ("priority", "high or urgent"),
    ]
    assert effects(rule) == [
        ("redirect to", "night/worker"),
        ("copy to", "mayor/, overseer"),
        ("delay", "1h30m"),
        ("then", "no rules after it"),
    ]


@pytest.mark.parametrize("state", LetterState)
def test_what_came_of_a_letter_that_was_written(state: LetterState) -> None:
    said = sent_notice([("rig/worker", state, None)], spooled=False)
    assert "rig/worker" in said
    assert said.endswith(".")
    several = sent_notice([("a/", state, None), ("b/", state, None)], spooled=False)
    assert several == "2 letters are on their way."
    assert "is kept" in sent_notice([("a/", state, None)], spooled=True)
