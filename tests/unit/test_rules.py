"""An owner's own triage rules."""

import pytest
from pydantic import ValidationError

from mailroom.models.rules import Action, Facts, Rule, any_sender, rule_for

MAIL = Facts(
    sender="Shop@News.example",
    subject="Your Invoice for October",
    headers=(("X-Mailer", "BulkMailer 2"), ("Subject", "Your Invoice for October")),
    size=5_000,
)


def rule(**conditions: object) -> Rule:
    return Rule.model_validate({"name": "r", "action": "ignore", **conditions})


@pytest.mark.parametrize(
    "conditions",
    [
        {"sender": ["shop@news.example"]},
        {"sender": ["@news.example"]},
        {"sender": ["somebody@else.example", "@NEWS.EXAMPLE"]},
        {"subject": ["invoice"]},
        {"subject": ["receipt", "october"]},
        {"header": {"x-mailer": "bulkmailer"}},
        {"larger_than": 4_999},
        {"sender": ["@news.example"], "subject": ["invoice"], "larger_than": 1},
    ],
)
def test_what_matches(conditions: dict[str, object]) -> None:
    assert rule(**conditions).matches(MAIL)


@pytest.mark.parametrize(
    "conditions",
    [
        {"sender": ["@ws.example"]},
        {"sender": ["news.example"]},
        {"sender": ["@example"]},
        {"subject": ["reminder"]},
        {"header": {"x-mailer": "other"}},
        {"header": {"x-other": "bulkmailer"}},
        {"larger_than": 5_000},
        {"sender": ["@news.example"], "subject": ["reminder"]},
    ],
)
def test_what_does_not(conditions: dict[str, object]) -> None:
    assert not rule(**conditions).matches(MAIL)


def test_the_first_rule_that_matches_decides() -> None:
    friend = rule(name="friend", action="draft", sender=["shop@news.example"])
    others = rule(name="others", action="notify", sender=["@news.example"])
    found = rule_for((friend, others), MAIL)
    assert found is not None
    assert found.action is Action.DRAFT


def test_a_rule_without_a_condition_is_refused() -> None:
    with pytest.raises(ValidationError, match="match every mail"):
        rule()


def test_no_address_is_of_no_domain() -> None:
    assert not any_sender(["@news.example", ""], "nobody")
