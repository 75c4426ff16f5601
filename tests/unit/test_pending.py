"""Items of the Email Monitor: strangers' fields become a mail, or are refused by themselves."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailroom.models.mail import read_mail
from mailroom.models.pending import BadItem, read_item

LIMIT = 100_000
ITEM = {
    "message_id": "<1@example.com>",
    "from": "John Doe <john@example.com>",
    "to": "owner@mailroom.test",
    "subject": "Meeting tomorrow",
    "body": "Hi,\ncan we meet?",
    "received_at": "2025-11-21T10:00:00+01:00",
    "in_reply_to": "<0@example.com>",
    "references": "<-1@example.com> <0@example.com>",
}


def test_the_fields_become_a_mail() -> None:
    pending = read_item(ITEM, LIMIT)
    mail = read_mail(pending.arrival.raw)
    assert pending.monitor_id == mail.message_id == "<1@example.com>"
    assert pending.arrival.sender is None
    assert pending.arrival.recipients == ("owner@mailroom.test",)
    assert str(mail.sender) == "John Doe <john@example.com>"
    assert [one.address for one in mail.to] == ["owner@mailroom.test"]
    assert mail.subject == "Meeting tomorrow"
    assert mail.text.split() == ["Hi,", "can", "we", "meet?"]
    assert mail.date == datetime(2025, 11, 21, 9, tzinfo=UTC)
    assert mail.in_reply_to == "<0@example.com>"
    assert mail.references == ["<-1@example.com>", "<0@example.com>"]


def test_raw_is_taken_as_it_is() -> None:
    raw = b"From: a@example.com\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n\r\nHi\r\n"
    encoded = base64.encodebytes(raw).decode()
    pending = read_item({"message_id": "7", "raw": encoded, "subject": "another"}, LIMIT)
    assert pending.arrival.raw == raw


def test_the_same_item_is_the_same_mail_and_another_is_another() -> None:
    once, again = read_item(ITEM, LIMIT), read_item(dict(ITEM), LIMIT)
    other = read_item(ITEM | {"message_id": "2"}, LIMIT)
    assert once == again
    assert read_mail(other.arrival.raw).message_id != read_mail(once.arrival.raw).message_id


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", "Hi\r\nBcc: everybody@example.com\r\n\r\nanother body"),
        ("from", "a@example.com\nReply-To: thief@example.net"),
        ("to", ["owner@mailroom.test", "x@example.com\r\nCc: thief@example.net"]),
        ("in_reply_to", "<0@example.com>\r\nAuto-Submitted: auto-replied"),
        ("references", "<0@example.com>\x0b\x85\u2028List-Id: <x>"),
        ("received_at", "2025-11-21T10:00:00\r\nReply-To: thief@example.net"),
        ("message_id", "<1@example.com>\u2028Reply-To: thief@example.net"),
    ],
)
def test_no_value_brings_a_header_of_its_own(name: str, value: object) -> None:
    raw = read_item(ITEM | {name: value}, LIMIT).arrival.raw
    head = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    names = {line.partition(b":")[0] for line in head}
    assert names <= {
        b"From", b"To", b"Subject", b"Date", b"Message-ID", b"In-Reply-To", b"References",
        b"X-Monitor-ID", b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding",
    }  # fmt: skip
    mail = read_mail(raw)
    assert not mail.reply_to
    assert not mail.bcc
    assert not mail.list_headers
    assert mail.auto_submitted is None


@pytest.mark.parametrize(
    "odd",
    [
        {"received_at": 17},
        {"received_at": "yesterday"},
        {"received_at": "0001-01-01T00:00:00+23:59"},
        {"received_at": None, "references": None, "in_reply_to": None, "subject": None},
        {"references": ["<a@b.example>", "<c@d.example>"]},
        {"references": "<" * 200_000},
        {"subject": "a" * 200_000},
        {"subject": "\ud800 lone", "body": "\ud800\x00"},
        {"to": ", ".join(f"p{n}@example.com" for n in range(5_000))},
        {"from": ""},
        {"attachments": [1], "something": {"new": True}},
    ],
)
def test_odd_values_are_still_a_mail(odd: dict[str, object]) -> None:
    mail = read_mail(read_item({**ITEM, "body": "Hi", **odd}, LIMIT).arrival.raw)
    assert mail.message_id == "<1@example.com>"


@pytest.mark.parametrize(
    "bad",
    [
        None, 17, "mail", [], [ITEM], {}, {"message_id": ""}, {"message_id": 7},
        {"message_id": None}, {"message_id": "x" * 2_000}, {"message_id": "a\x00b"},
        {"message_id": "a\nb"}, {"message_id": "\ud800"},
        {"message_id": "1", "raw": "%%%"}, {"message_id": "1", "raw": "ü"},
        {"message_id": "1", "raw": "  "}, {"message_id": "1", "raw": 7},
        {"message_id": "1", "raw": "QUJD" * 50_000}, {"message_id": "1", "body": "x" * 200_000},
        {"message_id": "1", "body": {"text": "Hi"}}, {"message_id": "1", "subject": 7},
    ],
)  # fmt: skip
def test_what_is_no_mail_is_refused(bad: object) -> None:
    with pytest.raises(BadItem):
        read_item(bad, LIMIT)


def test_a_refusal_quotes_nothing_of_the_mail() -> None:
    secret = "Dear John, the password is 1234"
    with pytest.raises(BadItem) as refused:
        read_item({"message_id": "1", "body": {"text": secret}, "from": {"name": secret}}, LIMIT)
    assert secret not in str(refused.value)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60)
JSON = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(max_size=5), PLAIN, max_size=2)
FIELDS: dict[str, st.SearchStrategy[object]] = dict.fromkeys([*ITEM, "raw", "other"], JSON)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_whatever_comes_is_a_mail_or_refused(item: dict[str, object]) -> None:
    try:
        pending = read_item(json.loads(json.dumps(item)), LIMIT)
    except BadItem:
        return
    read_mail(pending.arrival.raw)
