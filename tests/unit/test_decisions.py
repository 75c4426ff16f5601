"""The owner's word: which one counts."""

from datetime import UTC, datetime, time

import pytest
from pydantic import ValidationError

from mailroom.models.attached import Attachment
from mailroom.models.attaching import MOST_BYTES
from mailroom.models.decisions import judge
from mailroom.models.email_reply import (
    MAX_EDITS,
    Draft,
    Heard,
    Outcome,
    OwnersWord,
    Progress,
    Verdict,
)
from mailroom.models.names import REASON_SEND_UNKNOWN
from mailroom.models.states import MailState, Stage
from mailroom.models.words import Approve, Edit, Ignore

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def draft(revision: int = 1, code: str = "K7M4") -> Draft:
    return Draft(revision=revision, code=code, blob="b", length=5, excerpt="Hello")


def waiting(**changes: object) -> Progress:
    """A mail whose first draft waits for its owner."""
    known = {"state": MailState.AWAITING_USER, "draft": draft(), "texted_revision": 1}
    return Progress.model_validate(known | changes)


def say(progress: Progress, text: str, revision: int | None = None) -> tuple[Outcome, Heard | None]:
    return judge(OwnersWord(text=text, revision=revision, via="sms"), progress, NOW)


def test_one_approves_the_current_draft() -> None:
    outcome, heard = say(waiting(), "1")
    assert outcome.verdict is Verdict.ACCEPTED
    assert heard == Heard(command=Approve(), at=NOW, via="sms")


def test_two_edits_and_three_ignores() -> None:
    assert say(waiting(), "2 make it warmer")[1].command == Edit(instructions="make it warmer")  # type: ignore[union-attr]
    assert say(waiting(), "3")[1].command == Ignore()  # type: ignore[union-attr]


def test_the_first_valid_word_wins() -> None:
    taken = waiting(word=Heard(command=Approve(), at=NOW, via="page"))
    outcome, heard = say(taken, "3")
    assert heard is None
    assert outcome.text == "This was answered already (send)."


@pytest.mark.parametrize(("text", "revision"), [("1", 1), ("1 K7M4", None)])
def test_a_word_about_an_older_revision_decides_nothing(text: str, revision: int | None) -> None:
    progress = waiting(draft=draft(2, "B2C3"), wanted_revision=2)
    outcome, heard = say(progress, text, revision)
    assert heard is None
    assert "older draft" in outcome.text
    assert "B2C3" in outcome.text


def test_a_word_while_the_draft_is_made_anew_decides_nothing() -> None:
    outcome, heard = say(waiting(wanted_revision=2), "1")
    assert heard is None
    assert "no draft" in outcome.text


def test_the_eleventh_edit_is_told_to_send_or_ignore() -> None:
    progress = waiting(edits=MAX_EDITS)
    outcome, heard = say(progress, "2 shorter")
    assert heard is None
    assert "send it (1) or ignore it (3)" in outcome.text
    assert say(progress, "1")[1] is not None


def test_an_answer_before_the_text_has_left_counts() -> None:
    assert say(waiting(state=MailState.SMS_SENDING), "1")[1] is not None


@pytest.mark.parametrize("text", ["yes please", "ok", "1 2", "STOP", "send it to Bob"])
def test_free_text_and_reserved_words_decide_nothing(text: str) -> None:
    outcome, heard = say(waiting(), text)
    assert heard is None
    assert outcome.verdict is Verdict.REFUSED


@pytest.mark.parametrize("state", [MailState.REPLY_SENT, MailState.USER_IGNORED, MailState.TIMEOUT])
def test_a_closed_mail_says_so(state: MailState) -> None:
    outcome, heard = say(waiting(state=state), "1")
    assert heard is None
    assert "closed already" in outcome.text


def test_a_failed_draft_can_only_be_dropped() -> None:
    progress = Progress(state=MailState.FAILED, failed_stage=Stage.DRAFT)
    assert say(progress, "1")[1] is None
    assert say(progress, "3")[1] is not None


def test_an_untexted_draft_can_be_answered_all_the_same() -> None:
    progress = waiting(state=MailState.FAILED, failed_stage=Stage.SMS)
    assert say(progress, "1")[1] is not None


def test_a_refused_reply_waits_for_retry_or_the_end() -> None:
    progress = waiting(state=MailState.FAILED, failed_stage=Stage.REPLY, reason="reply failed")
    assert "retry" in say(progress, "1")[0].text
    assert say(progress, "3")[1] is not None


def test_an_unknown_send_is_the_owners_to_decide() -> None:
    progress = waiting(state=MailState.FAILED, failed_stage=Stage.REPLY, reason=REASON_SEND_UNKNOWN)
    assert say(progress, "1")[1] is not None
    assert say(progress, "3")[1] is not None
    outcome, heard = say(progress, "2 warmer")
    assert heard is None
    assert "may have been sent" in outcome.text


def test_plain_json_is_a_word() -> None:
    assert OwnersWord.model_validate("1").text == "1"
    assert OwnersWord.model_validate({"text": "1", "revision": 2, "id": "x"}).revision == 2


@pytest.mark.parametrize("bad", ["", "  ", "x" * 2001, {"text": "1", "colour": "red"}, 1, None])
def test_malformed_words_are_refused_before_they_are_heard(bad: object) -> None:
    with pytest.raises(ValidationError):
        OwnersWord.model_validate(bad)


# With attachments

FILES = (Attachment(name="report.pdf", size=9), Attachment(name="plan.pdf", size=MOST_BYTES + 1))


def with_files(**changes: object) -> Progress:
    return waiting(draft=draft().model_copy(update={"attachments": FILES}), **changes)


def attaching(heard: Heard | None) -> tuple[str, ...]:
    assert heard
    assert isinstance(heard.command, Approve)
    return heard.command.attach


def approved(**changes: object) -> Heard:
    return Heard(command=Approve(attach=("report.pdf",), **changes), at=NOW, via="sms")


def test_an_approval_carries_what_it_names() -> None:
    outcome, heard = say(with_files(), "1 with Report")
    assert outcome.text == "The reply with report.pdf is on its way."
    assert attaching(heard) == ("report.pdf",)
    assert attaching(say(with_files(), "1")[1]) == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 with other.pdf", "No attachment is called other.pdf. Nothing was sent. There are: rep"),
        ("1 with plan", "a reply carries 18.0 MB at most. Nothing was sent."),
    ],
)
def test_what_cannot_be_attached_sends_nothing(text: str, why: str) -> None:
    outcome, heard = say(with_files(), text)
    assert (outcome.verdict, heard) == (Verdict.REFUSED, None)
    assert why in outcome.text
    assert say(waiting(), "1 with a.pdf")[0].text.startswith("This mail has no attachments.")


def test_names_that_a_page_gives_are_whole_names() -> None:
    def said(text: str, *names: str) -> tuple[Outcome, Heard | None]:
        return judge(OwnersWord(text=text, attach=names), with_files(), NOW)

    assert attaching(said("1", "report.pdf")[1]) == ("report.pdf",)
    assert attaching(said("1 with report.pdf", "report.pdf")[1]) == ("report.pdf",)
    assert said("1", "report")[1] is None
    assert said("3", "report.pdf")[1] is None


def test_said_while_it_waits_an_approval_keeps_its_attachments() -> None:
    progress = with_files(approved=approved(at=time(9)), send_at=NOW, state=MailState.USER_APPROVED)
    assert attaching(say(progress, "1")[1]) == ("report.pdf",)
    assert attaching(say(progress, "1 in 2h")[1]) == ("report.pdf",)


def test_a_reply_that_failed_can_go_without_its_attachments() -> None:
    progress = with_files(
        approved=approved(), state=MailState.FAILED, failed_stage=Stage.REPLY, reason="reply failed"
    )
    assert attaching(say(progress, "1")[1]) == ()
    assert say(progress, "1 at 9:00")[1] is None
    plain = progress.model_copy(update={"approved": Heard(command=Approve(), at=NOW, via="sms")})
    assert say(plain, "1")[1] is None


def test_what_may_have_been_sent_is_sent_again_as_it_was() -> None:
    progress = with_files(
        approved=approved(),
        state=MailState.FAILED,
        failed_stage=Stage.REPLY,
        reason=REASON_SEND_UNKNOWN,
    )
    assert attaching(say(progress, "1")[1]) == ("report.pdf",)
    outcome, heard = say(progress, "1 with report.pdf")
    assert heard is None
    assert outcome.text == "The reply may have been sent as it is: 1 sends it again, 3 leaves it."
