"""Incoming mail: what is read from it, and that no bytes break or stall the reading."""

import base64
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing import checked_within

from mailroom.models.addresses import Address
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.parts import TEXT_LENGTH
from mailroom.models.text import one_line, printable

HEAD = b"From: Jane Doe <jane@example.com>\r\nTo: me@example.org\r\nSubject: Lunch?\r\n"
LETTER = (
    b"Return-Path: <jane@example.com>\r\n"
    b"Received: from mx.example.com ([192.0.2.1]) by mail.example.org\r\n"
    b"\twith ESMTPS for <me@example.org>; Mon, 1 Jun 2026 10:00:03 +0000\r\n"
    b'From: "Doe, Jane" <jane@example.com>\r\n'
    b'To: "Me, Myself" <me@example.org>, other@example.org\r\n'
    b"Cc: Team: a@example.net, b@example.net;\r\n"
    b"Reply-To: Jane <jane+private@example.com>\r\n"
    b"Subject: =?utf-8?q?Lunch_on_Friday=3F_Gr=C3=BC=C3?= =?utf-8?q?=9Fe?=\r\n"
    b"Date: Mon, 1 Jun 2026 12:00:00 +0200\r\n"
    b"Message-ID:\r\n <abc.123@example.com>\r\n"
    b"In-Reply-To: <parent@example.org>\r\n"
    b"References: <first@example.org> garbage\r\n <parent@example.org>\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: text/plain; charset="utf-8"\r\n'
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
) + b"Shall we have lunch on Friday? Gr=C3=BC=C3=9Fe\r\n" * 25


def multipart(subtype: str, *parts: bytes) -> bytes:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    kind = f"Content-Type: multipart/{subtype}; boundary=b\r\n\r\n".encode()
    return HEAD + kind + body + b"--b--\r\n"


def part(kind: str, body: bytes, *headers: str) -> bytes:
    return "".join(f"{one}\r\n" for one in (f"Content-Type: {kind}", *headers, "")).encode() + body


def test_a_letter_is_read() -> None:
    mail = read_mail(LETTER)
    assert mail.message_id == "<abc.123@example.com>"
    assert not mail.message_id_derived
    assert mail.sender == Address(name="Doe, Jane", address="jane@example.com")
    assert [one.address for one in mail.to] == ["me@example.org", "other@example.org"]
    assert [one.address for one in mail.cc] == ["a@example.net", "b@example.net"]
    assert mail.reply_to == [Address(name="Jane", address="jane+private@example.com")]
    assert mail.subject == "Lunch on Friday? Grüße"
    assert mail.date == datetime(2026, 6, 1, 10, tzinfo=UTC)
    assert mail.in_reply_to == "<parent@example.org>"
    assert mail.references == ["<first@example.org>", "<parent@example.org>"]
    assert (mail.received_count, mail.return_path) == (1, "jane@example.com")
    assert mail.text.startswith("Shall we have lunch on Friday? Grüße\nShall")
    assert mail.size == len(LETTER)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Message-ID:\r\n",
        b"Message-ID: abc@example.com\r\n",
        b"Message-ID: <abc>\r\n",
        b"Message-ID: <a\r\n b@example.com>\r\n",
        b"Message-ID: <a\x0bb@example.com>\r\n",
        b"Message-ID: <gr\xc3\xbc\xc3\x9fe@example.com>\r\n",
        b"Message-ID: <" + b"a" * 250 + b"@example.com>\r\n",
    ],
)
def test_a_message_id_that_cannot_be_used_is_derived_from_the_bytes(header: bytes) -> None:
    mail = read_mail(header + HEAD + b"\r\nhi")
    assert mail.message_id_derived
    assert mail.message_id.endswith("@mailroom.invalid>")
    assert mail.message_id == read_mail(header + HEAD + b"\r\nhi").message_id
    assert mail.message_id != read_mail(header + HEAD + b"\r\nho").message_id


def test_a_comment_after_the_message_id_is_tolerated() -> None:
    mail = read_mail(b"Message-ID: <a@b.c> (added by postmaster@b.c)\r\n" + HEAD + b"\r\n")
    assert mail.message_id == "<a@b.c>"


def test_two_parents_are_no_parent() -> None:
    """RFC 5322 §3.6.4 takes In-Reply-To for References only where it names one mail."""
    assert read_mail(b"In-Reply-To: <a@x> <b@x>\r\n" + HEAD + b"\r\n").in_reply_to is None


def test_what_triage_needs_is_kept() -> None:
    mail = read_mail(
        b"Return-Path: <>\r\nAuto-Submitted: no (really)\r\nAuto-Submitted: auto-replied\r\n"
        b"Precedence: bulk\r\nList-Id: <l.example.com>\r\nLIST-POST: x\r\n"
        + b"Received: by x\r\n" * 60
        + HEAD
        + b"\r\n"
    )
    assert mail.return_path == ""
    assert mail.auto_submitted == "no (really), auto-replied"
    assert mail.precedence == "bulk"
    assert mail.list_headers == ["list-id", "list-post"]
    assert mail.received_count == 60


def test_a_plain_letter_is_preferred_to_its_html_twin() -> None:
    html, plain = part("text/html", b"<p>Hello <b>you</b></p>"), part("text/plain", b"Hello you")
    assert read_mail(multipart("alternative", html, plain)).text == "Hello you"
    assert read_mail(multipart("alternative", html, part("text/plain", b" \r\n"))).text.strip() == (
        "Hello you"
    )


def test_inline_texts_around_a_picture_are_all_read() -> None:
    picture = part("image/png", b"x", 'Content-Disposition: inline; filename="a.png"')
    mail = read_mail(
        multipart("mixed", part("text/plain", b"Look:"), picture, part("text/html", b"Nice?"))
    )
    assert mail.text.split() == ["Look:", "Nice?"]
    assert mail.attachments == ["a.png"]


def test_attachments_are_named_and_not_read() -> None:
    mail = read_mail(
        multipart(
            "mixed",
            part("text/plain", b"see"),
            part("text/plain", b"secret", "Content-Disposition: attachment; filename=a.txt"),
            part("text/plain", b"secret", 'Content-Disposition: inline; filename="b.txt"'),
            part("application/pdf; name*=utf-8''%C3%BC.pdf", b"x"),
            part(
                "image/png", b"x", 'Content-Disposition: attachment; filename="=?utf-8?q?=C3=A4?="'
            ),
            part("image/gif", b"x", 'Content-Disposition: attachment; filename="\xc3\xa9\x00.gif"'),
            part("message/rfc822", b"Subject: inner\r\n\r\nsecret"),
        )
    )
    assert mail.text == "see"
    assert mail.attachments == ["a.txt", "b.txt", "ü.pdf", "ä", "Ã©.gif", "message/rfc822"]


def test_a_mail_whose_only_text_has_a_name_is_read() -> None:
    assert read_mail(HEAD + b"Content-Type: text/plain; name=body.txt\r\n\r\nhi\r\n").text == "hi"


def test_html_is_read_as_its_reader_sees_it() -> None:
    html = (
        b"<html><head><title>T</title><style>p {}</style></head><body><p>Hello&nbsp;<b>you</b></p>"
        b"<ul><li>one<li>two</ul><table><tr><td>1</td><td>2</td></tr></table>"
        b"<div hidden>h1</div><p style='color: red; Display : none !important'>h2</p>"
        b"<i style='font-size:0px'>h3</i><i style='font-size:0.9em'>small</i>"
        b"<script>alert(1)</script><!-- c --></body></html>"
    )
    text = read_mail(HEAD + b"Content-Type: text/html\r\n\r\n" + html).text
    assert text.split() == ["Hello", "you", "*", "one", "*", "two", "1", "2", "small"]


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("utf-8", b"Gr\xc3\xbc\xc3\x9fe", "Grüße"),
        ("us-ascii", b"Gr\xc3\xbc\xc3\x9fe", "Grüße"),
        ("us-ascii", b"Gr\xfc\xdfe", "Grüße"),
        ("iso-8859-1", b"\x80 5", "€ 5"),
        ("gb2312", b"\x9f@", "烜"),
        ("x-unknown", b"Gr\xc3\xbc\xc3\x9fe", "Grüße"),
        ("unicode-escape", rb"\ud800", r"\ud800"),
        ("punycode", b"abc-", "abc-"),
        ("zlib", b"abc", "abc"),
        ("utf-8", b"a\xffb", "a\ufffdb"),
        ("utf-7", b"+2AA-", "\ufffd"),
    ],
)
def test_the_charset_is_what_its_sender_meant(charset: str, data: bytes, text: str) -> None:
    kind = f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode()
    assert read_mail(HEAD + kind + data).text == text


def test_raw_bytes_in_headers_are_read() -> None:
    mail = read_mail("From: Jörg <jörg@exämple.com>\r\nSubject: Grüße\r\n\r\n".encode())
    assert (str(mail.sender), mail.subject) == ("Jörg <jörg@exämple.com>", "Grüße")
    assert read_mail("Subject: Grüße\r\n\r\n".encode("latin-1")).subject == "Grüße"


@pytest.mark.parametrize(
    ("header", "addresses"),
    [
        (b'"a@evil.example" <b@example.com>', ["b@example.com"]),
        (b"alice@example.com <b@example.com>, c@x.test", ["b@example.com", "c@x.test"]),
        (b'"x, alice@example.com <" <b@example.com>', ["b@example.com"]),
        (b"=?utf-8?q?a=40evil.example=2C?= <b@example.com>", ["b@example.com"]),
        (b"=?utf-8?q?x=0D=0ABcc=3A_y=40z?= <b@example.com>, c@example.com", ["c@example.com"]),
        (b"undisclosed-recipients:;", []),
        (b"<>", []),
        (b"nobody", []),
        (b"a\xe2\x80\x8bb@example.com", []),
    ],
)
def test_address_tricks(header: bytes, addresses: list[str]) -> None:
    """CVE-2023-27043: what a lax parser takes for the sender may be another one."""
    found = [one.address for one in read_mail(b"To: " + header + b"\r\n\r\n").to]
    assert found == addresses


def test_a_name_is_quoted_where_it_could_deceive() -> None:
    assert str(Address(name="Jane", address="j@x.y")) == "Jane <j@x.y>"
    assert str(Address(name='a@b "c"', address="j@x.y")) == '"a@b \\"c\\"" <j@x.y>'
    assert str(Address(address="j@x.y")) == "j@x.y"


def test_a_delivery_report_is_told_from_a_mail_that_forwards_one() -> None:
    status = part("message/delivery-status", b"Action: failed\r\n")
    assert read_mail(multipart("report; report-type=delivery-status", status)).is_delivery_report
    assert read_mail(multipart("report", status)).is_delivery_report
    assert not read_mail(multipart("mixed", part("text/plain", b"see"), status)).is_delivery_report


def test_printable_text_fits_the_database() -> None:
    assert printable("a\0b\x1bc\x85\r\nd\re\tf\ud800") == "abc\nd\ne\tf\ufffd"
    hidden = "a\u202eb\u200bc\U000e0041d\ufe0f"
    assert printable(hidden) == hidden
    assert one_line(hidden, 100) == "abcd"
    assert one_line("a\r\n b\u2028c\x0bd\0", 100) == "a b c d"


MANY = 100_000
NESTED = b"".join(
    b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n)
    for n in range(10_000)
)
BOMBS: dict[str, Callable[[], bytes]] = {
    "header lines": lambda: HEAD + b"".join(b"X-%d: a\r\n" % n for n in range(MANY)) + b"\r\nhi",
    "received lines": lambda: HEAD + b"Received: a\r\n" * MANY + b"\r\nhi",
    "one header of 5 MB": lambda: b"X-A: " + b"a" * 5_000_000 + b"\r\n" + HEAD + b"\r\nhi",
    "subject of 5 MB": lambda: HEAD.replace(b"Lunch?", b"=?utf-8?q?a?= " * 400_000) + b"\r\nhi",
    "folded header of 5 MB": lambda: HEAD + b"X-A: " + b"a\r\n " * 1_250_000 + b"\r\n\r\nhi",
    "references of 5 MB": lambda: HEAD + b"References: <" + b"a@" * 2_500_000 + b"\r\n\r\nhi",
    "parameters of 5 MB": lambda: (
        HEAD + b"Content-Type: text/plain" + b';"' * 2_500_000 + b"\r\n\r\nhi"
    ),
    "addresses": lambda: (
        HEAD.replace(
            b"me@example.org",
            b", ".join(b"User <user%d@example.com>" % n for n in range(20_000)),
        )
        + b"\r\nhi"
    ),
    "nested multiparts": lambda: HEAD + NESTED + b"\r\nhi",
    "nested multiparts, then lines": lambda: HEAD + NESTED + b"\r\n" + b"a\r\n" * 5_000_000,
    "nested mails": lambda: HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 10_000 + b"hi",
    "parts": lambda: multipart("mixed", *[b"\r\na"] * MANY),
    "multiparts": lambda: multipart(
        "mixed",
        *(b"Content-Type: multipart/mixed; boundary=c%d\r\n\r\na" % n for n in range(9_999)),
    ),
    "status blocks": lambda: (
        HEAD + b"Content-Type: message/delivery-status\r\n\r\n" + b"A: b\r\n\r\n" * MANY
    ),
    "html tags": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<p>a" * MANY,
    "html nesting": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<ul><li>" * MANY,
    "html columns": lambda: (
        HEAD
        + b"Content-Type: text/html\r\n\r\n<table><tr><td>"
        + b"x" * 250_000
        + b"<tr><td>y" * MANY
    ),
    "line ends": lambda: b"\n" * 25_000_000,
    "nothing but bytes": lambda: HEAD + b"\r\n" + b"\xff" * 25_000_000,
    "dashes": lambda: HEAD + b"\r\n" + b"\n--" * 8_000_000,
} | {
    f"addresses like {trick.decode()}": lambda trick=trick: (
        b"".join(
            name + b": " + (trick * 9_000)[:20_000] + b"\r\n"
            for name in (b"From", b"To", b"Cc", b"Bcc", b"Reply-To")
        )
        + b"\r\nhi"
    )
    for trick in (
        b"(",
        b"(a)",
        b'""',
        b"(a),",
        b'"a",',
        b"g:a@b;,",
        b"a ",
        b"\\",
        b".",
        b"=?a?q?b?= ,",
    )
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_read_within_a_second(bomb: str) -> None:
    raw = BOMBS[bomb]()
    mail = checked_within(1, lambda: read_mail(raw))
    assert len(mail.text) <= TEXT_LENGTH
    if bomb in ("header lines", "one header of 5 MB", "parameters of 5 MB"):
        assert mail.text == "hi"
        assert mail.sender == Address(name="Jane Doe", address="jane@example.com")


def test_25_mib_are_read_in_little_time_and_memory() -> None:
    lines = base64.encodebytes(b"\x5a" * (19 << 20)).replace(b"\n", b"\r\n")
    encoded = "Content-Transfer-Encoding: base64"
    raw = multipart(
        "mixed",
        part("text/plain", b"see"),
        part("application/pdf; name=a.pdf", lines, encoded),
        part("image/png; name=b.png", b"eA==", encoded),
    )
    assert len(raw) > 25 << 20
    mail = checked_within(0.5, lambda: read_mail(raw))
    assert (mail.text, mail.attachments) == ("see", ["a.pdf", "b.png"])
    tracemalloc.start()
    read_mail(raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


def test_an_ordinary_mail_takes_a_millisecond() -> None:
    numbers = iter(range(1_000))
    read_mail(LETTER)
    # Each another, since a mail that was just read is remembered.
    checked_within(
        0.005 * 50, lambda: [read_mail(LETTER + b"%d" % next(numbers)) for _ in range(50)]
    )


FRAGMENTS = [
    b"From: ", b"To: ", b"Cc: ", b"Reply-To: ", b"Subject: ", b"Date: ", b"Message-ID: ",
    b"References: ", b"In-Reply-To: ", b"Return-Path: ", b"Auto-Submitted: ", b"List-\xff: ",
    b"Content-Type: ", b"Content-Transfer-Encoding: ", b"Content-Disposition: ",
    b"multipart/mixed; boundary=b", b"multipart/alternative; boundary=b", b"multipart/report",
    b"message/rfc822", b"message/delivery-status", b"text/html", b"text/plain; charset=",
    b"utf-7", b"idna", b"\0", b"base64", b"quoted-printable", b"x-uuencode", b"begin 666 a",
    b"--b", b"--b--", b"=?utf-8?b?", b"=?utf-8?q?=0d=0a?=", b"?=", b"<", b">", b"@", b'"', b"(",
    b")", b"[", b"]", b";", b":", b",", b"\\", b"filename*0*=", b"utf-8''%", b"name=", b"a@b.c",
    b"<a@b.c>", b"Mon, 99 Jan 99999 99:99 +9999", b"1 Jan 0001 00:00 +2359", b"<p style=display:",
    b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b" ", b"\t", b"\xff", b"\xe2\x80\xae", b"\xed\xa0\x80",
]  # fmt: skip


def storable(mail: IncomingMail) -> bool:
    """UTF-8 and PostgreSQL take all of it."""
    text = mail.model_dump_json()
    return "\\u0000" not in text and bool(text.encode())


@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=8)), max_size=60))
@settings(max_examples=400, deadline=None)
def test_fragments_of_mail_in_any_order_are_read(fragments: list[bytes]) -> None:
    assert storable(read_mail(b"".join(fragments)))


@given(st.binary(max_size=2_000))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read(raw: bytes) -> None:
    mail = read_mail(raw)
    assert storable(mail)
    assert mail.size == len(raw)
