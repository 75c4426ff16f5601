"""What the owner reads: seed 003, "SMS Notification Format"."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mailroom.models import sms_notices
from mailroom.models.attached import Attachment
from mailroom.models.sms_segments import Encoding, fits, quotable, segments
from mailroom.models.sms_text import DraftNotice, SmsFormat, draft_texts
from mailroom.models.states import Stage

AUTO, CONDENSED, MULTIPART = SmsFormat
COMMANDS = "1=Send 2=Edit 3=Ignore K7M4"
LINK = "https://mail.example.com/r/abcdefgh"


def notice(**changed: object) -> DraftNotice:
    john = DraftNotice(
        sender_name="John Doe",
        sender_address="john@example.com",
        subject="Meeting tomorrow",
        body="Hi, can we meet tomorrow at 2pm to discuss the project?",
        draft="Hi John,\n\nyes 2pm works. See you then!",
        code="K7M4",
        link=LINK,
    )
    return john.model_copy(update=changed)


def test_a_short_mail_is_one_text() -> None:
    short = notice(
        sender_name="John",
        subject="Meeting tomorrow at 2pm?",
        body="",
        draft="Yes, 2pm works!",
        note="template",
    )
    assert draft_texts(short, AUTO) == [
        'John: "Meeting tomorrow at 2pm?"\n'
        'Draft (template): "Yes, 2pm works!"\n'
        "1=Send 2=Edit 3=Ignore K7M4"
    ]


def test_the_icon_comes_where_it_costs_no_part() -> None:
    cyrillic = notice(sender_name="Яна", subject="", body="Да?", draft="Да!")
    assert draft_texts(cyrillic, AUTO) == [f'📧 Яна: "Да?"\nDraft: "Да!"\n{COMMANDS}']
    tiny = notice(sender_name="Jo", subject="", body="Ok?", draft="Yes!")
    assert draft_texts(tiny, AUTO) == [f'📧 Jo: "Ok?"\nDraft: "Yes!"\n{COMMANDS}']


def test_multipart_is_the_seeds_three_texts() -> None:
    assert draft_texts(notice(), MULTIPART) == [
        "Email from: John Doe <john@example.com>\nSubject: Meeting tomorrow\nK7M4 [1/3]",
        'Email: "Hi, can we meet tomorrow at 2pm to discuss the project?"\nK7M4 [2/3]',
        f'Draft: "Hi John, yes 2pm works. See you then!"\n{COMMANDS} [3/3]',
    ]


def test_auto_takes_several_texts_beyond_two_segments() -> None:
    assert len(draft_texts(notice(body="word " * 20, subject=""), AUTO)) == 1
    assert len(draft_texts(notice(body="word " * 50, subject=""), AUTO)) == 3


def test_the_subject_is_left_out_where_the_mail_repeats_it() -> None:
    [text] = draft_texts(notice(subject="2PM"), AUTO)
    assert text.startswith('John Doe: "Hi, can we')
    [text] = draft_texts(notice(subject="Lunch"), AUTO)
    assert text.startswith('John Doe: "Lunch - Hi, can we')


def test_a_revision_a_note_and_the_last_edits_are_shown() -> None:
    [text] = draft_texts(notice(revision=9, note="I can't follow “x”", edits_left=2), CONDENSED)
    assert "Draft 9 (I can't follow 'x'; edits left: 2): " in text
    [text] = draft_texts(notice(revision=11, edits_left=0), CONDENSED)
    assert text.endswith("\n1=Send 3=Ignore K7M4")


def test_a_long_draft_has_precedence_over_the_mail() -> None:
    texts = draft_texts(notice(draft="word " * 150, body="mail " * 500), MULTIPART)
    assert len(texts) == 5
    assert shown_of(texts[2:]) == quotable("word " * 150)
    assert re.search(r'" \(\+2,[\d]{3} characters: https://.*\)\nK7M4 \[2/5\]$', texts[1])


def test_what_does_not_fit_six_texts_is_counted() -> None:
    texts = draft_texts(notice(draft="word " * 1_000, link=None), MULTIPART)
    assert len(texts) == 6
    assert ", see the page)" in texts[-1]
    assert_nothing_lost(quotable("word " * 1_000), texts[2:])


def test_condensed_is_one_text_whatever_the_length() -> None:
    [text] = draft_texts(notice(draft="word " * 1_000, body="mail " * 1_000), CONDENSED)
    assert segments(text).parts == 4
    mail, draft, commands = text.splitlines()
    assert re.search(r'" \(\+[\d,]+ characters\)$', mail)
    assert draft.endswith(f" characters: {LINK})")
    assert commands == COMMANDS
    assert_nothing_lost(quotable("word " * 1_000), [draft])


def test_condensed_without_room_gives_up_the_link_before_the_draft() -> None:
    link = "https://mail.example.com/r/" + "a" * 90
    [text] = draft_texts(notice(draft="王" * 400, note="n" * 200, link=link), CONDENSED)
    assert "characters, see the page)" in text
    assert "王" * 40 in text


# Hostile mail


@pytest.mark.parametrize("format", SmsFormat)
def test_a_mail_cannot_imitate_the_command_line(format: SmsFormat) -> None:
    forged = 'x"\n\n1=Send 2=Edit 3=Ignore J5T6\r\n'
    hostile = notice(sender_name=forged, subject=forged, body=forged, draft=forged)
    for text in draft_texts(hostile, format):
        bare = re.sub(r'"[^"]*"', "", text)
        assert "J5T6" not in bare
        assert bare.count("=Send") == text.splitlines()[-1].count("=Send") <= 1
        assert text.count('"') % 2 == 0


def test_invisible_characters_do_not_reach_the_owner() -> None:
    hidden = "a\u202eb\u200bc\U000e0041d\u2028e\x00f"
    for text in draft_texts(
        notice(sender_name=hidden, subject=hidden, body=hidden, draft=hidden), MULTIPART
    )[:3]:
        assert "abcd ef" in text


@pytest.mark.parametrize("name", ["boss@corp.example", "Boss <boss＠corp.example>", ""])
def test_a_name_that_shows_another_address_is_not_believed(name: str) -> None:
    [text] = draft_texts(notice(sender_name=name), CONDENSED)
    assert text.startswith("john@example.com: ")
    assert "<john@example.com>" in draft_texts(notice(sender_name=name or "-"), MULTIPART)[0]


def test_a_name_that_is_the_address_is_fine() -> None:
    [text] = draft_texts(notice(sender_name="John@example.com"), CONDENSED)
    assert text.startswith("John@example.com: ")


def test_a_long_address_keeps_its_domain() -> None:
    first, *_ = draft_texts(notice(sender_address="a" * 200 + "@evil.example"), MULTIPART)
    assert "@evil.example>" in first


# Whatever comes

TEXT = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="ab \n", max_size=60),
    st.text(alphabet="aä€王😀 \"'", max_size=60),
)
LONG = st.builds(lambda text, times: text * times, TEXT, st.sampled_from([1, 1, 5, 40]))
NOTICES = st.builds(
    DraftNotice,
    sender_name=LONG,
    sender_address=LONG,
    subject=LONG,
    body=LONG,
    draft=LONG,
    code=st.just("K7M4"),
    revision=st.integers(1, 11),
    note=st.none() | LONG,
    link=st.sampled_from([None, LINK, "https://mail.example.com/r/" + "a" * 90, "h" * 500]),
    edits_left=st.integers(0, 10),
)


def shown_of(texts: list[str]) -> str:
    quoted = (re.search(r'"([^"]*)"(?: \(\+|$)', text, re.MULTILINE) for text in texts)
    return " ".join(found[1] for found in quoted if found)


def assert_nothing_lost(draft: str, texts: list[str]) -> None:
    """The words that are shown and the number of characters that are not make up the draft."""
    left = re.search(r'" \(\+([\d,]+) characters', texts[-1])
    rest = int(left[1].replace(",", "")) if left else 0
    seen, unseen = draft[: len(draft) - rest], draft[len(draft) - rest :]
    assert len(unseen) == rest
    assert shown_of(texts).replace(" ", "") == seen.replace(" ", "")


@settings(max_examples=200, deadline=None)
@given(NOTICES, st.sampled_from(SmsFormat))
def test_every_text_ends_with_the_code_and_is_bounded(n: DraftNotice, format: SmsFormat) -> None:
    texts = draft_texts(n, format)
    assert len(texts) in {1, 3, 4, 5, 6}
    commands = "1=Send 2=Edit 3=Ignore K7M4" if n.edits_left else "1=Send 3=Ignore K7M4"
    for i, text in enumerate(texts, 1):
        number = f" [{i}/{len(texts)}]" if len(texts) > 1 else ""
        end = commands if i == len(texts) else "K7M4"
        assert text.splitlines()[-1] == end + number
        assert text.count("K7M4") == 1
        assert fits(text, 4 if len(texts) == 1 else 3)


@settings(max_examples=200, deadline=None)
@given(NOTICES)
def test_no_word_of_the_draft_is_dropped_silently(n: DraftNotice) -> None:
    n = n.model_copy(update={"note": None})
    texts = draft_texts(n, MULTIPART)
    assert_nothing_lost(quotable(n.draft), texts[2:])
    assert_nothing_lost(quotable(n.draft), draft_texts(n, CONDENSED)[0].splitlines()[1:2])


@settings(max_examples=100, deadline=None)
@given(NOTICES)
def test_auto_is_whole_or_multipart(n: DraftNotice) -> None:
    texts = draft_texts(n, AUTO)
    if len(texts) > 1:
        assert texts == draft_texts(n, MULTIPART)
    else:
        assume(n.note is None)
        assert fits(texts[0], 2)
        assert shown_of(texts[0].splitlines()[1:2]) == quotable(n.draft)


def test_without_note_and_long_link_no_text_passes_two_segments() -> None:
    texts = draft_texts(notice(draft="word " * 1_000, body="mail " * 1_000), MULTIPART)
    assert [segments(text).parts for text in texts] == [1, 2, 2, 2, 2, 2]


# The other texts


def test_send_failed_is_the_seeds_sentence() -> None:
    assert sms_notices.send_failed_text("John\n") == "⚠️ Failed to send reply to John. Check logs."


def test_unknown_asks() -> None:
    text = sms_notices.unknown_text("John", "K7M4")
    assert text == "The reply to John may have been sent: 1=Send again 3=Leave K7M4"


def test_the_waiting_list_says_how_many_more() -> None:
    waiting = [("K7M4", "John", "Meeting"), ("J5T6", "1=Send", 'x" y')]
    assert sms_notices.waiting_list_text(waiting).splitlines()[1:] == [
        'K7M4 John: "Meeting"',
        'J5T6 "1=Send": "x\' y"',
    ]
    many = sms_notices.waiting_list_text(waiting * 50)
    assert fits(many, 4)
    assert many.endswith(f"and {100 - (len(many.splitlines()) - 2)} more")


def others(sender: str, subject: str) -> list[str]:
    return [
        sms_notices.reminder_text(sender, subject, "K7M4"),
        sms_notices.expired_text(sender, subject),
        *(sms_notices.stage_failed_text(stage, sender) for stage in Stage),
        sms_notices.unknown_text(sender, "K7M4"),
        sms_notices.nothing_waiting_text(),
        sms_notices.help_text(),
    ]


def test_they_take_one_segment_and_no_reserved_word() -> None:
    reserved = r"(?i)\b(stop|stopall|unsubscribe|cancel|end|quit|start|yes|unstop|help|info)\b"
    for text in [*others("John", "word " * 100), sms_notices.waiting_list_text([])]:
        assert segments(text).encoding is Encoding.GSM7
        assert segments(text).parts == 1
        assert not re.search(reserved, text)


@settings(max_examples=200, deadline=None)
@given(LONG, LONG)
def test_they_take_two_segments_at_most(sender: str, subject: str) -> None:
    for text in [*others(sender, subject), sms_notices.send_failed_text(sender)]:
        assert fits(text, 2)
    assert fits(sms_notices.waiting_list_text([("K7M4", sender, subject)] * 9), 4)


# Attachments

FILES = tuple(
    Attachment(name=name, size=size)
    for name, size in (("report.pdf", 1_200_000), ("site plan.jpg", 300_000), ("notes.txt", 900))
)


def test_a_text_names_the_attachments() -> None:
    short = notice(subject="Plans", body="See attached.", draft="Thanks!", attachments=FILES[:2])
    assert draft_texts(short, AUTO) == [
        'John Doe: "Plans - See attached."\n'
        "Attached: report.pdf (1.2 MB), site plan.jpg (300 KB)\n"
        'Draft: "Thanks!"\n'
        "1=Send 2=Edit 3=Ignore K7M4"
    ]


def test_names_make_room_before_a_text_becomes_several() -> None:
    long = notice(body="x" * 140, draft="y" * 40, attachments=FILES)
    [text] = draft_texts(long, AUTO)
    assert "\nAttached: report.pdf (1.2 MB) and 2 more\n" in text
    longer = notice(body="x" * 160, draft="y" * 40, attachments=FILES)
    [text] = draft_texts(longer, AUTO)
    assert "\nAttached: 3 files, 1.5 MB\n" in text


def test_of_several_texts_the_first_names_them() -> None:
    first, *others = draft_texts(notice(body="x " * 400, attachments=FILES), MULTIPART)
    assert (
        "\nAttached: report.pdf (1.2 MB), site plan.jpg (300 KB), notes.txt (900 bytes)\n" in first
    )
    assert not [text for text in others if "Attached" in text]


@given(
    st.text(max_size=600),
    st.text(max_size=600),
    st.lists(
        st.builds(Attachment, name=st.text(max_size=60), size=st.integers(0, 10**8)), max_size=20
    ),
    st.sampled_from(SmsFormat),
)
@settings(max_examples=150, deadline=None)
def test_attachments_break_no_limit(
    body: str, draft: str, files: list[Attachment], format: SmsFormat
) -> None:
    texts = draft_texts(notice(body=body, draft=draft, attachments=tuple(files)), format)
    assert len(texts) <= 6
    assert all(fits(text, 4 if format is CONDENSED else 3) for text in texts)
    assert COMMANDS in texts[-1]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("Attached:")]
    assert bool(lines) == bool(files)
    # What others wrote never is a command line of ours.
    assert sum(line.startswith("1=Send") for text in texts for line in text.splitlines()) == 1
