"""Which mail the owner answered by themselves (RFC 5322 §3.6.4)."""

import pytest
from world import mail

from mailroom.models.mail import read_mail
from mailroom.models.names import email_reply_id
from mailroom.models.own_answers import answered_by_owner
from mailroom.models.reply import REPLY, reply_message_id

ASKED = "<question@example.com>"


def answered(
    subject: str = "Re: Meeting", message_id: str = "<own@x.example>", **headers: str
) -> str | None:
    raw = mail(sender="owner@mailroom.test", subject=subject, message_id=message_id, **headers)
    return answered_by_owner(read_mail(raw), "owner")


def test_the_parent_is_what_was_answered() -> None:
    assert answered(In_Reply_To=ASKED, References=f"<first@example.com> {ASKED}") == ASKED


def test_without_in_reply_to_it_is_the_last_reference() -> None:
    assert answered(References=f"<first@example.com> {ASKED}") == ASKED


def test_a_mail_of_its_own_answers_nothing() -> None:
    assert answered() is None


def test_an_automatic_answer_is_not_the_owners() -> None:
    assert answered(In_Reply_To=ASKED, Auto_Submitted="auto-replied") is None
    assert answered(In_Reply_To=ASKED, Auto_Submitted="no") == ASKED


@pytest.mark.parametrize("subject", ["Fwd: Meeting", "FW: Meeting", "WG: Treffen", "转发：会议"])
def test_what_was_passed_on_is_not_answered(subject: str) -> None:
    """Gmail and Outlook put it into the thread all the same."""
    assert answered(subject, In_Reply_To=ASKED) is None


@pytest.mark.parametrize("subject", ["Forward planning", "I agree", "Re: Fwd: Meeting"])
def test_a_subject_that_only_looks_like_it_is_an_answer(subject: str) -> None:
    assert answered(subject, In_Reply_To=ASKED) == ASKED


@pytest.mark.parametrize("domain", ["mailroom.test", "another.example"])
def test_our_own_reply_is_not_the_owners_answer(domain: str) -> None:
    ours = reply_message_id(email_reply_id("owner", ASKED), REPLY, domain)
    assert answered(message_id=ours, In_Reply_To=ASKED) is None
    assert answered(message_id=ours, In_Reply_To="<another@example.com>") is not None
