"""The bytes of outbound messages, and what is refused before there are any."""

from base64 import b64encode
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from uuid import UUID

import pytest
from pydantic import ValidationError

from mailroom.models.outbound.content import Content, Unbuildable, built
from mailroom.models.outbound.submission import NewMessage

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ID = UUID("550e8400-e29b-41d4-a716-446655440000")


def new(**more: object) -> NewMessage:
    known: dict[str, object] = {"sender": "news@company.com", "recipient": "john@example.com"}
    return NewMessage.model_validate(known | ({"text": "Hello"} | more))


def content(message: NewMessage, **more: str) -> Content:
    return built(message, ID, NOW, {name.replace("_", "-"): value for name, value in more.items()})


def read(message: NewMessage, **more: str) -> EmailMessage:
    found = message_from_bytes(content(message, **more).data, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def raw(data: bytes) -> NewMessage:
    return new(text=None, raw=b64encode(data).decode())


def test_a_text_becomes_a_whole_mail() -> None:
    mail = read(new(headers={"subject": "Grüße an alle, die hier ein langer Satz sind " * 2}))
    assert mail["From"] == "news@company.com"
    assert mail["To"] == "john@example.com"
    assert mail["Subject"].startswith("Grüße an alle, die")
    assert mail["Message-ID"] == "<550e8400e29b41d4a716446655440000@company.com>"
    assert mail.get_content().strip() == "Hello"


def test_the_same_message_has_the_same_bytes() -> None:
    message = new(html="<p>Hello</p>", headers={"X-Campaign": "autumn"})
    assert content(message) == content(message)


def test_text_and_html_are_alternatives() -> None:
    mail = read(new(html="<p>Öl</p>"))
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_everything_is_ascii_and_ends_lines_with_crlf() -> None:
    data = content(new(text="Öl\r\nund\nmehr", headers={"From": "Jörg <news@company.com>"})).data
    assert data.isascii()
    assert b"\n" not in data.replace(b"\r\n", b"")


def test_what_the_queue_shows_is_short_and_decoded() -> None:
    found = content(new(headers={"Subject": "Ä" * 600}))
    assert found.headers["Subject"].startswith("Ä" * 400)
    assert len(found.headers["Subject"]) <= 500
    assert (found.from_domain, found.attachment_count) == ("company.com", 0)


def test_a_long_header_of_ours_stays_in_one_piece() -> None:
    link = f"<https://mail.example.com/unsubscribe/{'a' * 120}>"
    assert f"List-Unsubscribe: {link}\r\n".encode() in content(new(), List_Unsubscribe=link).data


def test_a_raw_mail_gets_what_it_lacks_and_loses_its_hidden_copies() -> None:
    given = b"From: Ada <ada@company.com>\nBcc: secret@example.com,\n more@example.com\n\nHi\n.\n"
    found = content(raw(given), X_More="1")
    assert b"example.com,\r\n" not in found.data
    assert b"secret" not in found.data
    assert b"more@" not in found.data
    assert found.data.endswith(b"\r\n\r\nHi\r\n.\r\n")
    assert b"Message-ID: <550e8400" in found.data
    assert b"X-More: 1\r\n" in found.data
    assert found.from_domain == "company.com"


def test_a_raw_mail_keeps_its_own_message_id() -> None:
    found = content(raw(b"From: ada@company.com\r\nMessage-ID: <own@company.com>\r\n\r\nHi"))
    assert found.message_id == "<own@company.com>"
    assert found.data.count(b"Message-ID") == 1


def test_attachments_are_counted() -> None:
    mail = EmailMessage()
    mail["From"] = "ada@company.com"
    mail.set_content("See there")
    mail.add_attachment(b"1,2", "text", "csv", filename="a.csv")
    assert content(raw(mail.as_bytes())).attachment_count == 1


@pytest.mark.parametrize("data", [b"", b"Subject: none\r\n\r\nHi", b"\r\n\r\nHi"])
def test_a_raw_mail_without_from_is_refused(data: bytes) -> None:
    with pytest.raises(Unbuildable, match="From"):
        content(raw(data))


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"From: ada@company.com\nFrom: eve@company.com", "several From"),
        (b"From: ada@company.com\nfrom : eve@company.com", "several From"),
        (b" From: ada@company.com\nSubject: Hi", "no header field"),
        (b"From: ada@company.com\nno field\nBcc: secret@example.com", "no header field"),
        (b"From: ada@company.com\nSub ject: Hi", "no header field"),
        (b"From: ada@company.com\nBetreff\xc3\xa4: Hi", "no header field"),
        (b"From: ada@company.com\nX\0: Hi", "no header field"),
        (b"From: ada@company.com\n" + b"X: y\n" * 100_000, "longer than"),
    ],
)
def test_a_header_that_programs_read_differently_is_refused(head: bytes, why: str) -> None:
    with pytest.raises(Unbuildable, match=why):
        content(raw(head + b"\n\nHi"))


def test_what_ends_no_line_smuggles_nothing() -> None:
    body = b"one\n.\r\nMAIL FROM:<eve@example.com>\r.\rtwo\r\n.\nthree"
    found = content(raw(b"From: ada@company.com\r\rX: none\r\n\r\n" + body))
    assert found.data.count(b"\r\n") == found.data.count(b"\r") == found.data.count(b"\n")


def test_the_line_with_which_mailbox_files_begin_a_mail_is_left_out() -> None:
    found = content(raw(b"From ada Mon Nov 21 10:00:00 2026\nFrom: ada@company.com\n\nHi"))
    assert b"Mon Nov" not in found.data
    assert found.headers["From"] == "ada@company.com"


def test_a_link_of_its_own_to_leave_stays_alone() -> None:
    given = b"From: ada@company.com\nlist-unsubscribe: <https://own.test/>\n\nHi"
    more = {"List-Unsubscribe": "<x>", "List-Unsubscribe-Post": "y"}
    found = built(raw(given), ID, NOW, more)
    assert found.data.lower().count(b"list-unsubscribe") == 1


def test_an_author_that_is_none_is_refused() -> None:
    with pytest.raises(Unbuildable, match="From"):
        content(new(headers={"From": "nobody"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"recipient": "john"},
        {"recipient": "john@example.com\r\nRCPT TO:<x@y.z>"},
        {"sender": "news@"},
        {"headers": {"Subject": "one\r\nBcc: x@y.z"}},
        {"headers": {"Bcc": "x@y.z"}},
        {"headers": {"Content-Type": "text/plain"}},
        {"headers": {"DKIM-Signature": "v=1"}},
        {"headers": {"Sub ject": "one"}},
        {"headers": {"subject": "one", "Subject": "two"}},
        {"headers": {f"X-{n}": "1" for n in range(51)}},
        {"text": None},
        {"raw": "aGk="},
        {"raw": "no base64!", "text": None},
        {"queue_name": ""},
        {"queue_name": "a\0b"},
        {"queue_name": "q" * 256},
        {"priority": 11},
        {"max_attempts": 0},
        {"scheduled_at": "2026-11-21T12:00:00"},
        {"scheduled_at": "2026-11-22T12:00:00Z", "expires_at": "2026-11-21T12:00:00Z"},
        {"tags": ["t"] * 51},
        {"metadata": {"a": "b" * 20_000}},
        {"metadata": {"a": float("nan")}},
        {"metadata": {"a": ["\0"]}},
        {"metadata": {"\0": 1}},
        {"metadata": {"a": "\ud800"}},
        {"text": "a\0b"},
        {"text": "\ud800"},
        {"text": "Hi", "html": "\udfff"},
        {"scheduled_at": "9999-12-31T00:00:00Z"},
        {"expires_at": "9999-12-31T23:59:59-12:00"},
        {"message_id": "one"},
        {"colour": "red"},
    ],
)
def test_what_can_only_go_wrong_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        new(**wrong)


def test_metadata_may_speak_of_escapes() -> None:
    known = {"path": "C:\\u0000", "name": "ü 🎈"}
    assert new(metadata=known).metadata == known
