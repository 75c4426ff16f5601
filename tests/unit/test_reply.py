"""The reply: its recipients, its thread, and the same safe bytes every time."""

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing import checked_within

from mailroom.models.addresses import Address
from mailroom.models.attached import AttachedFile
from mailroom.models.attachments import attachments
from mailroom.models.mail import MESSAGE_ID, read_mail
from mailroom.models.reply import (
    REFERENCES_LENGTH,
    NoRecipient,
    ReplyRequest,
    UnsafeHeader,
    build_reply,
    needs_smtputf8,
    recipients,
    reply_message_id,
)
from mailroom.models.text import one_line, printable

JANE = Address(name="Jane Doe", address="jane@example.com")


def request(**changes: object) -> ReplyRequest:
    known: dict[str, object] = {
        "original_message_id": "<parent@example.com>",
        "subject": "Lunch?",
        "sender": JANE,
        "references": ["<first@example.com>", "<second@example.com>"],
        "from_address": "me@example.org",
        "from_name": "Me",
        "text": "Yes.\n\nMe",
        "message_id": "<reply@example.org>",
        "date": datetime(2026, 6, 1, 12, tzinfo=UTC),
    }
    return ReplyRequest.model_validate(known | changes)


def sent(**changes: object) -> EmailMessage:
    return message_from_bytes(build_reply(request(**changes)), policy=policy.default)


def test_a_reply_in_bytes() -> None:
    assert build_reply(request()) == (
        b'From: "Me" <me@example.org>\r\n'
        b'To: "Jane Doe" <jane@example.com>\r\n'
        b"Subject: Re: Lunch?\r\n"
        b"Date: Mon, 01 Jun 2026 12:00:00 +0000\r\n"
        b"Message-ID: <reply@example.org>\r\n"
        b"In-Reply-To: <parent@example.com>\r\n"
        b"References: <first@example.com>\r\n <second@example.com>\r\n <parent@example.com>\r\n"
        b'Content-Type: text/plain; charset="us-ascii"\r\n'
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"MIME-Version: 1.0\r\n"
        b"\r\n"
        b"Yes.\r\n\r\nMe\r\n"
    )


def test_only_an_unattended_reply_says_so() -> None:
    """RFC 3834 §5."""
    assert sent()["Auto-Submitted"] is None
    assert sent(unattended=True)["Auto-Submitted"] == "auto-replied"


def test_reply_to_comes_before_from() -> None:
    wanted = [Address(address="a@example.net"), Address(name="B", address="b@example.net")]
    assert recipients(request(reply_to=wanted)) == ["a@example.net", "b@example.net"]
    assert sent(reply_to=wanted)["To"] == "a@example.net, B <b@example.net>"
    assert recipients(request()) == ["jane@example.com"]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Lunch?", "Re: Lunch?"),
        ("Re: Lunch?", "Re: Lunch?"),
        ("RE: re:Re[2]: AW: Sv: Lunch?", "Re: Lunch?"),
        ("回复：午餐", "Re: 午餐"),
        ("Fwd: Re: Lunch?", "Re: Fwd: Re: Lunch?"),
        ("Reply: x", "Re: Reply: x"),
        ("Recital", "Re: Recital"),
        ("", "Re:"),
        ("x" * 400, "Re: " + "x" * 400),
        ("Grüße " * 40, "Re: " + ("Grüße " * 40).strip()),
        ("=?utf-8?q?a?=", "Re: =?utf-8?q?a?="),
    ],
)
def test_one_re_before_the_subject(subject: str, expected: str) -> None:
    assert read_mail(build_reply(request(subject=subject))).subject == expected


def test_the_thread_of_a_parent_without_references() -> None:
    """RFC 5322 §3.6.4: then its single In-Reply-To stands for them."""
    thread = sent(references=[], in_reply_to="<older@example.com>")
    assert thread["References"].split() == ["<older@example.com>", "<parent@example.com>"]
    assert sent(references=[])["References"] == "<parent@example.com>"


def test_a_derived_message_id_is_told_to_nobody() -> None:
    reply = sent(message_id_derived=True)
    assert reply["In-Reply-To"] is None
    assert reply["References"].split() == ["<first@example.com>", "<second@example.com>"]
    assert sent(message_id_derived=True, references=[])["References"] is None


IDS = st.from_regex(r"<[a-z0-9.!]{1,120}@[a-z0-9.-]{1,120}>", fullmatch=True)


@given(st.lists(IDS, max_size=60), IDS)
@settings(max_examples=100, deadline=None)
def test_references_end_with_the_parent_without_doubles_within_bounds(
    older: list[str], parent: str
) -> None:
    raw = build_reply(request(references=[*older, *older, parent], original_message_id=parent))
    thread = read_mail(raw).references
    assert thread[-1] == parent
    assert len(set(thread)) == len(thread)
    assert len(" ".join(thread)) <= REFERENCES_LENGTH
    known = [one for one in dict.fromkeys(older) if one != parent]
    assert thread[0] == [*known, parent][0]
    assert thread[1:] == [*known, parent][-len(thread) + 1 :] if thread[1:] else True
    assert max(map(len, raw.splitlines())) <= 998


LINE_ENDS = ["\r", "\n", "\r\n", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_line_end_in_a_header_is_refused(end: str) -> None:
    broken = f"a{end}Bcc: evil@example.com"
    for changes in (
        {"subject": broken},
        {"from_name": broken},
        {"from_address": f"me@example.org{end}"},
        {"message_id": f"<a{end}b@example.org>"},
        {"original_message_id": f"<a{end}b@example.org>"},
        {"references": [f"<a@b>{end}"]},
        {"references": [], "in_reply_to": f"<a@b{end}>"},
        {"sender": Address(name=broken, address="a@example.com")},
        {"reply_to": [Address(name=broken, address="a@example.com")]},
        {"reply_to": [Address(address=f"a@example.com{end}")]},
        {"reply_to": [Address(address=f"a{end}@example.com")]},
    ):
        with pytest.raises(UnsafeHeader, match=r"\.$"):
            build_reply(request(**changes))


@pytest.mark.parametrize(
    "address",
    [
        "", "a", "@", "a@", "@b.example", "a b@b.example", '"a b"@b.example', "a@b.example>",
        "<a@b.example>", "a@b.example SIZE=1", "a@[127.0.0.1]", "a@b..example", "a,b@b.example",
        "a@b.example,c@d.example", "a\u200b@b.example", "a@b@c.example", "a" * 300 + "@b.example",
    ],
)  # fmt: skip
def test_a_hostile_reply_to_is_refused(address: str) -> None:
    with pytest.raises(UnsafeHeader, match="no address to send to"):
        recipients(request(reply_to=[Address(address=address)]))


def test_nobody_and_too_many_are_refused() -> None:
    with pytest.raises(NoRecipient):
        build_reply(request(sender=None))
    with pytest.raises(UnsafeHeader, match="11 addresses"):
        build_reply(request(reply_to=[Address(address=f"a{n}@example.com") for n in range(11)]))


@pytest.mark.parametrize("domain", ["x.test", "localhost", "x.example", "x.local", "x.invalid"])
def test_domains_of_tests_and_home_networks_are_accepted(domain: str) -> None:
    assert recipients(request(sender=Address(address=f"a@{domain}"))) == [f"a@{domain}"]


def test_a_domain_beyond_ascii_needs_no_smtputf8() -> None:
    reply = request(sender=Address(name="Jörg", address="jane@mächine.example"))
    assert recipients(reply) == ["jane@xn--mchine-bua.example"]
    assert not needs_smtputf8(reply)
    assert not needs_smtputf8(build_reply(reply))
    assert build_reply(reply).isascii()


def test_a_mailbox_beyond_ascii_does() -> None:
    """RFC 6531."""
    reply = request(sender=Address(name="Jörg", address="jörg@mächine.example"), text="Grüße")
    assert recipients(reply) == ["jörg@xn--mchine-bua.example"]
    assert needs_smtputf8(reply)
    assert needs_smtputf8(build_reply(reply))
    assert read_mail(build_reply(reply)).to[0].address == "jörg@xn--mchine-bua.example"


@given(st.text(max_size=250))
@settings(max_examples=200, deadline=None)
def test_a_name_never_becomes_another_mailbox(name: str) -> None:
    try:
        raw = build_reply(request(sender=Address(name=name, address="jane@example.com")))
    except UnsafeHeader:
        return
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) <= 998
    assert [one.address for one in read_mail(raw).to] == ["jane@example.com"]


@given(st.text(st.sampled_from('ab ,;:@<>()"\\.é=?-_'), max_size=250))
@settings(max_examples=200, deadline=None)
def test_a_name_of_specials_neither(name: str) -> None:
    raw = build_reply(request(sender=Address(name=name, address="jane@example.com")))
    assert [one.address for one in read_mail(raw).to] == ["jane@example.com"]


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_a_subject_survives(subject: str) -> None:
    try:
        raw = build_reply(request(subject=subject))
    except UnsafeHeader:
        return
    words = one_line(subject, 500)
    assert read_mail(raw).subject.endswith(words.rpartition(":")[2].strip())


def lines(text: str) -> list[str]:
    found = [line.rstrip() for line in printable(text).split("\n")]
    while found and not found[-1]:
        found.pop()
    return found


@given(st.one_of(st.text(), st.text(st.sampled_from("\r\n.\t =ü-F"), max_size=300)))
@settings(max_examples=300, deadline=None)
def test_any_text_survives_and_ends_its_lines_with_crlf(text: str) -> None:
    """CVE-2023-51764: a bare CR or LF could end the mail for the next server."""
    raw = build_reply(request(text=text))
    assert raw.isascii()
    bare = raw.replace(b"\r\n", b"")
    assert b"\r" not in bare
    assert b"\n" not in bare
    assert b"\0" not in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    body = message_from_bytes(raw, policy=policy.default).get_content()
    assert lines(body) == lines(text)


def test_long_lines_are_folded_by_the_encoding() -> None:
    for text in ("x" * 5_000, "ü" * 5_000, "日本語" * 2_000):
        raw = build_reply(request(text=text))
        assert max(map(len, raw.splitlines())) <= 78
        assert read_mail(raw).text == text


def test_the_same_request_makes_the_same_bytes() -> None:
    texts = {"text": "Grüße", "from_name": "Jörg", "subject": "ü" * 100}
    assert build_reply(request(**texts)) == build_reply(request(**texts))


def test_the_message_id_of_a_step_is_stable_and_tells_nothing() -> None:
    one = reply_message_id("email-reply/jane@example.com", "reply", "Example.ORG")
    assert one == reply_message_id("email-reply/jane@example.com", "reply", "example.org")
    assert MESSAGE_ID.fullmatch(one)
    assert "jane" not in one
    assert one.endswith("@example.org>")
    assert one != reply_message_id("email-reply/jane@example.com", "notice", "example.org")
    assert one != reply_message_id("email-reply/jane@example.co", "mreply", "example.org")
    assert reply_message_id("a", "b", "mächine.example").endswith("@xn--mchine-bua.example>")
    for domain in ("", "a b", "a>\r\nX: y", "a..b"):
        with pytest.raises(UnsafeHeader):
            reply_message_id("a", "b", domain)


def test_a_reply_is_built_in_a_millisecond() -> None:
    reply = request(text="Hello there, this is a line of a reply.\n" * 40)
    build_reply(reply)
    checked_within(0.005 * 50, lambda: [build_reply(reply) for _ in range(50)])


# Beside the text


def unix(part: EmailMessage) -> str:
    return str(part.get_content()).replace("\r\n", "\n")


def parts_of(mail: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in mail.walk()]


def test_the_text_goes_as_html_too() -> None:
    mail = sent(html=True, text="Hi <Jane>,\n\n a & b\n  https://x.example/?a=1&b=2\n \nMe")
    assert parts_of(mail) == ["multipart/alternative", "text/plain", "text/html"]
    [plain, page] = mail.iter_parts()
    assert unix(plain) == "Hi <Jane>,\n\n a & b\n  https://x.example/?a=1&b=2\n \nMe\n"
    assert unix(page) == (
        "<!DOCTYPE html>\n<html><body>\n"
        '<p dir="auto">Hi &lt;Jane&gt;,</p>\n'
        '<p dir="auto">&#160;a &amp; b<br>\n'
        "&#160;&#160;https://x.example/?a=1&amp;b=2</p>\n"
        '<p dir="auto">Me</p>\n'
        "</body></html>\n"
    )


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_html_has_no_more_than_lines_and_paragraphs(text: str) -> None:
    raw = build_reply(request(html=True, text=text))
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    page = message_from_bytes(raw, policy=policy.default).get_body(("html",))
    assert page is not None
    tags = set(re.findall(r"<[^>]*>", page.get_content()))
    known = {"<!DOCTYPE html>", "<html>", "<body>", "</body>", "</html>", "<br>", "</p>"}
    assert tags <= known | {'<p dir="auto">'}


def test_attachments_arrive_as_they_were() -> None:
    files = (
        AttachedFile(name="report.pdf", kind="application/pdf", data=bytes(range(256)) * 9),
        AttachedFile(name='Grüße "1".bin', kind="application/octet-stream", data=b"\r.\n--\n"),
    )
    for html, letter in ((True, "multipart/alternative"), (False, "text/plain")):
        mail = sent(html=html, attach=files)
        assert mail.get_content_type() == "multipart/mixed"
        assert next(mail.iter_parts()).get_content_type() == letter
        found = [(part.get_filename(), part.get_content()) for part in mail.iter_attachments()]
        assert found == [(file.name, file.data) for file in files]
        text = mail.get_body(("plain",))
        assert text is not None
        assert unix(text) == "Yes.\n\nMe\n"


def test_what_was_attached_is_read_again_under_the_same_names() -> None:
    """A retry asks a reply what it carries."""
    names = ["report.pdf", "Grüße (2).txt", "x" * 110 + ".longext", "日本語.pdf", "a.b.c"]
    files = tuple(AttachedFile(name=name, kind="image/png", data=b"x") for name in names)
    raw = build_reply(request(html=True, attach=files))
    assert [one.name for one in attachments(raw)] == names


def test_boundaries_are_the_same_every_time_and_in_no_part() -> None:
    files = (AttachedFile(name="a.bin", kind="application/octet-stream", data=b"x" * 99),)
    known = {"html": True, "attach": files, "text": "--=_0\n" * 9}
    raw = build_reply(request(**known))
    assert raw == build_reply(request(**known))
    boundaries = [part.get_boundary() for part in sent(**known).walk() if part.is_multipart()]
    assert len(set(boundaries)) == len(boundaries) == 2
    for boundary, parts in zip(boundaries, (2, 2), strict=True):
        assert boundary
        assert raw.count(b"--" + boundary.encode()) == parts + 1
    assert build_reply(request(**known, message_id="<other@example.org>")) != raw


def test_html_beside_the_text_is_built_in_milliseconds() -> None:
    reply = request(html=True, text="Hello there, this is a line of a reply.\n" * 40)
    build_reply(reply)
    checked_within(0.01 * 50, lambda: [build_reply(reply) for _ in range(50)])
