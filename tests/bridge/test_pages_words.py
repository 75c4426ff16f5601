"""What pages say of times, states and what happened; and what they offer."""

from datetime import timedelta

import pytest
from page_world import NOW, a_row, an_entry

from mailroom.bridge.pages_offers import Offer, offers
from mailroom.bridge.pages_words import age, sender, state_words, timeline, tone
from mailroom.models.email_reply import MAX_EDITS
from mailroom.models.names import REASON_BY_OPERATOR, REASON_BY_OWNER, REASON_SEND_UNKNOWN
from mailroom.models.states import MailState, Stage

SEND, EDIT, IGNORE, RETRY, EXPIRE = Offer


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=-3), "now"),
        (timedelta(seconds=59), "now"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=23), "23 h"),
        (timedelta(days=1), "1 d"),
        (timedelta(days=4_000), "4,000 d"),
    ],
)
def test_age(passed: timedelta, said: str):
    assert age(NOW - passed, NOW) == said


@pytest.mark.parametrize(
    ("shown", "parts"),
    [
        ("John Doe <john@example.com>", ("John Doe", "john@example.com")),
        ('"Doe, John" <john@example.com>', ("Doe, John", "john@example.com")),
        ("john@example.com", ("john@example.com", "")),
        ("a <b@c> <d@e>", ("a <b@c>", "d@e")),
        (None, ("(no sender)", "")),
    ],
)
def test_sender(shown: str | None, parts: tuple[str, str]):
    assert sender(shown) == parts


def test_every_state_has_words_and_a_colour():
    for state in MailState:
        assert state_words(a_row(current_state=state))
        assert tone(state)


def test_the_timeline_tells_a_story():
    entries = [
        an_entry("pending"),
        an_entry("ai_generating"),
        an_entry("ai_generated", revision=1, code="K7M4", source="template meeting"),
        an_entry("sms_sending"),
        an_entry("sms_sent", texts=3, revision=1),
        an_entry("awaiting_user", texts=3, revision=1),
        an_entry("user_edit_requested", via="sms", instructions="warmer"),
        an_entry("ai_generating"),
        an_entry("ai_generated", revision=2, code="P4F5", source="edit"),
        an_entry("user_approved", via="page"),
        an_entry("reply_sent", response="250 OK"),
    ]
    assert [(line.text, line.detail) for line in timeline(entries)] == [
        ("The mail arrived.", None),
        ("Draft 1 was made (code K7M4, template meeting).", None),
        ("You were texted in 3 parts.", None),
        ("You asked for a change by text message.", "warmer"),
        ("Draft 2 was made (code P4F5, edit).", None),
        ("You approved the draft on the page.", None),
        ("The reply was sent.", "250 OK"),
    ]


@pytest.mark.parametrize(
    ("type", "detail", "said"),
    [
        ("ai_generating", {}, "A draft is being made."),
        ("awaiting_user", {}, "Waiting for your answer."),
        ("ai_generated", {}, "Draft 1 was made."),
        ("sms_sent", {}, "You were texted."),
        ("user_approved", {"via": None}, "You approved the draft."),
        ("user_approved", {"via": "pigeon"}, "You approved the draft through pigeon."),
        ("user_ignored", {"reason": REASON_BY_OWNER}, "You left it unanswered."),
        ("user_ignored", {"reason": "a mailing list"}, "Left unanswered: a mailing list."),
        ("timeout", {"reason": "no answer"}, "No answer came in time; it was left unanswered."),
        (
            "timeout",
            {"reason": REASON_BY_OPERATOR},
            "The wait for your answer was ended by hand.",
        ),
        ("failed", {"stage": "draft"}, "No draft could be made."),
        ("failed", {"stage": "sms"}, "You could not be texted."),
        ("failed", {"stage": "reply"}, "The reply could not be sent."),
        (
            "failed",
            {"stage": "reply", "reason": REASON_SEND_UNKNOWN},
            "The connection was lost while sending: the reply may have been sent.",
        ),
        ("failed", {"code": "K7M4"}, "You are asked whether to send it again (code K7M4)."),
        ("something_new", {}, "something new"),
    ],
)
def test_a_line(type: str, detail: dict[str, object], said: str):
    assert timeline([an_entry(type, **detail)])[-1].text == said


@pytest.mark.parametrize(
    ("known", "offered"),
    [
        ({"current_state": MailState.PENDING}, set()),
        ({"current_state": MailState.AI_GENERATING}, set()),
        ({"current_state": MailState.AI_GENERATED}, {SEND, EDIT, IGNORE}),
        ({"current_state": MailState.SMS_SENDING}, {SEND, EDIT, IGNORE}),
        ({"current_state": MailState.AWAITING_USER}, {SEND, EDIT, IGNORE, EXPIRE}),
        (
            {"current_state": MailState.AWAITING_USER, "edit_iteration": MAX_EDITS},
            {SEND, IGNORE, EXPIRE},
        ),
        ({"current_state": MailState.USER_APPROVED}, set()),
        ({"current_state": MailState.REPLY_SENT}, set()),
        ({"current_state": MailState.USER_IGNORED}, set()),
        ({"current_state": MailState.TIMEOUT}, set()),
        ({"current_state": MailState.FAILED, "failed_stage": Stage.DRAFT}, {RETRY, IGNORE}),
        (
            {"current_state": MailState.FAILED, "failed_stage": Stage.SMS},
            {SEND, EDIT, IGNORE, RETRY},
        ),
        ({"current_state": MailState.FAILED, "failed_stage": Stage.REPLY}, {RETRY, IGNORE}),
        (
            {
                "current_state": MailState.FAILED,
                "failed_stage": Stage.REPLY,
                "reason": REASON_SEND_UNKNOWN,
            },
            {SEND, IGNORE},
        ),
    ],
)
def test_what_is_offered(known: dict[str, object], offered: set[Offer]):
    assert offers(a_row(**known)) == offered
