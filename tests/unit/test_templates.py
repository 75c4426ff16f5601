"""Drafts without an AI: which template, what is put in, and what never is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mailroom.models.templates import (
    BUILT_IN,
    Drafted,
    DraftRequest,
    Template,
    draft_from_templates,
    first_name,
)


def request(**changed: str | None) -> DraftRequest:
    mail = DraftRequest(
        sender_name="John Doe",
        sender_address="john@example.com",
        subject="Hello",
        body="Some words.",
        owner_name="Ann",
    )
    return mail.model_copy(update=changed)


def letter(sentences: str) -> str:
    return f"Hi John,\n\n{sentences}\n\nBest regards,\nAnn"


@pytest.mark.parametrize(
    ("subject", "body", "name", "sentences"),
    [
        (
            "Meeting tomorrow",
            "2pm?",
            "meeting",
            "Thanks for the invitation. That time works for me. See you then!",
        ),
        (
            "Tomorrow",
            "Hi, can we meet at 2pm?",
            "meeting",
            "Thanks for the invitation. That time works for me. See you then!",
        ),
        (
            "A detail",
            "Which colour is it?",
            "question",
            "Thank you for your question. I need to look into it before I can answer.",
        ),
        (
            "Done",
            "Many thanks for the quick answer.",
            "thanks",
            "You are very welcome. Thank you for letting me know.",
        ),
        ("Thanks!", "Great work.", "thanks", "You are very welcome."),
        ("Invoice 12", "Attached.", "invoice", "Thank you for your message. I have received it."),
        (
            "Bob, meet Ann",
            "Let me introduce Bob.",
            "introduction",
            "Thank you for the introduction. It is good to be in touch.",
        ),
        ("News", "Nothing.", "default", "Thank you for your message. I have received it."),
        ("Meetings", "A helmet.", "default", "Thank you for your message. I have received it."),
    ],
)
def test_the_built_in_templates(subject: str, body: str, name: str, sentences: str) -> None:
    drafted = draft_from_templates(request(subject=subject, body=body))
    assert drafted == Drafted(text=letter(sentences), source=f"template {name}", note="template")


def test_the_owners_templates_come_first_and_in_order() -> None:
    mine = [
        Template(name="one", subject=["absent"], text="1"),
        Template(name="two", subject=["hello"], body=["SOME   words"], text="2"),
        Template(name="three", text="3"),
    ]
    assert draft_from_templates(request(), mine).source == "template two"
    assert draft_from_templates(request(body="x"), mine).source == "template three"


@pytest.mark.parametrize(
    ("template", "does"),
    [
        (Template(name="t", text="t"), True),
        (Template(name="t", subject=["no", "HELLO"], text="t"), True),
        (Template(name="t", subject=["hell"], text="t"), False),
        (Template(name="t", subject=["hello"], body=["absent"], text="t"), False),
        (Template(name="t", sender=["doe"], text="t"), True),
        (Template(name="t", sender=["@example.com"], text="t"), True),
        (Template(name="t", sender=["@example.co"], text="t"), False),
        (Template(name="t", body=["words."], text="t"), True),
        (Template(name="t", body=[".*"], text="t"), False),
    ],
)
def test_all_lists_must_match_on_whole_words(template: Template, does: bool) -> None:
    assert (draft_from_templates(request(), [template]).source == "template t") is does


def test_placeholders_are_filled_and_mail_text_is_data() -> None:
    mine = Template(name="t", text="{first_name}|{subject}|{owner_name}\n")
    hostile = request(subject="Re: AW: {owner_name} {0.__class__} \\1 $x\u202e\r\nBcc: a@b")
    text = draft_from_templates(hostile, [mine]).text
    assert text == "John|{owner_name} {0.__class__} \\1 $x Bcc: a@b|Ann"


@pytest.mark.parametrize("text", ["{foo}", "{}", "{first_name.__class__}", "{0}", "{ subject }"])
def test_an_unknown_placeholder_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Template(name="t", text=f"Hi {text}")
    known = "there are {first_name}, {subject}, {owner_name}."
    assert f"{text} is no placeholder of a template; {known}" in str(refused.value)


def test_an_empty_phrase_is_refused() -> None:
    with pytest.raises(ValidationError, match="An empty phrase would match every mail"):
        Template(name="t", body=["x", " "], text="t")


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("John Doe", "John"),
        ("Doe, John", "John"),
        ("Dr. Élodie Martin", "Élodie"),
        ("Jean-Luc", "Jean-Luc"),
        ('"O\'Neill"', "O'Neill"),
        ("", ""),
        ("john@example.com", ""),
        ("1=Send", ""),
        ("{owner_name}", ""),
    ],
)
def test_first_name(name: str, first: str) -> None:
    assert first_name(name) == first


def test_without_names_the_letter_is_still_whole() -> None:
    drafted = draft_from_templates(request(sender_name="", owner_name=""))
    assert drafted.text.startswith("Hi there,\n\n")
    assert drafted.text.endswith("\n\nBest regards,")


def test_an_edit_changes_the_previous_draft_and_keeps_its_source() -> None:
    first = draft_from_templates(request(subject="Meeting"))
    edit = request(
        previous_draft=first.text,
        source=first.source,
        edit_instructions="reject meeting with health reason",
    )
    assert draft_from_templates(edit) == Drafted(
        text=letter("Thank you for asking, but I'm not feeling well and have to decline."),
        source="template meeting",
        note="template",
    )


def test_an_edit_that_cannot_be_followed_says_so() -> None:
    edit = request(previous_draft="Yes!", edit_instructions="translate it", source="ai")
    note = "I can't follow “translate it” without an AI; the draft is unchanged"
    assert draft_from_templates(edit) == Drafted(text="Yes!", source="ai", note=note)


def test_an_edit_without_a_previous_draft_edits_the_first_one() -> None:
    drafted = draft_from_templates(request(subject="Meeting", edit_instructions="shorter"))
    assert drafted.text == letter("That time works for me.")


def test_the_last_built_in_template_matches_every_mail() -> None:
    default = BUILT_IN[-1]
    assert default == Template(name="default", text=default.text)


@settings(max_examples=200)
@given(st.text(), st.text(), st.text(), st.none() | st.text(), st.none() | st.text())
def test_any_mail_gets_a_draft(
    name: str, subject: str, body: str, previous: str | None, instructions: str | None
) -> None:
    mail = request(
        sender_name=name,
        subject=subject,
        body=body,
        previous_draft=previous,
        edit_instructions=instructions,
    )
    assert draft_from_templates(mail).text
