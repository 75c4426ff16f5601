"""Mail that comes back, read: what it is about, what it says, and what is no report."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from timing import checked_within

from mailroom.models.mime import parsed
from mailroom.models.outbound.arf import read_arf
from mailroom.models.outbound.bounces import classify
from mailroom.models.outbound.dsn import read_dsn
from mailroom.models.outbound.report import Report, ReportKind
from mailroom.models.outbound.returned_mail import ReturnedMail, may_be_returned, read_returned
from mailroom.models.outbound.verp import message_of, verp_address

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DOMAIN, SECRET = "bounces.example.com", "a secret of tests"
ID = uuid4()

CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora"
ABSENT = pytest.param(None, marks=pytest.mark.skip(reason="there is no ../shared/corpora"))
FILES: list[Any] = sorted(one for one in CORPORA.rglob("*") if one.is_file()) or [ABSENT]


def bounced(address: str) -> UUID | None:
    return message_of(address, DOMAIN, SECRET)


def read(raw: bytes, id: UUID | None = None) -> ReturnedMail | None:
    return read_returned(raw, NOW, bounced, id)


def one_report(raw: bytes, id: UUID | None = None) -> Report:
    found = read(raw, id)
    assert found is not None, "it was not understood"
    assert found.note is None
    [report] = found.reports
    return report


@pytest.mark.parametrize(
    ("raw", "wanted", "code"),
    [
        (samples.POSTFIX, "hard bad-mailbox", "5.1.1"),
        (samples.EXIM, "hard bad-mailbox", "5.0.0"),
        (samples.SENDMAIL, "soft full-mailbox", "5.2.2"),
        (samples.EXCHANGE, "hard bad-mailbox", "5.1.10"),
        (samples.GMAIL, "block blocklist", "5.7.1"),
        (samples.MERGED, "hard bad-mailbox", "5.1.1"),
    ],
    ids=["postfix", "exim", "sendmail", "exchange", "gmail", "merged"],
)
def test_bounces_of_common_servers(raw: bytes, wanted: str, code: str) -> None:
    report = one_report(raw)
    assert report.kind is ReportKind.BOUNCED
    assert (report.message_id, report.recipient) == (samples.ORIGINAL, "kate@example.net")
    assert report.response is not None
    assert report.response.enhanced_code == code
    found = classify(report.response, report.reason or "")
    assert f"{found.type} {found.category}" == wanted
    assert may_be_returned(raw)


def test_a_bounce_in_utf_8() -> None:
    report = one_report(samples.INTERNATIONAL)
    assert report.recipient == "käthe@example.net"
    assert report.message_id == samples.ORIGINAL
    assert classify(report.response, "").suppresses


@pytest.mark.parametrize(
    ("raw", "kind"),
    [(samples.DELAYED, ReportKind.DEFERRED), (samples.DELIVERED, ReportKind.DELIVERED)],
)
def test_only_failed_is_a_bounce(raw: bytes, kind: ReportKind) -> None:
    assert one_report(raw).kind is kind


def test_relayed_says_nothing_about_the_end() -> None:
    found = read(samples.RELAYED, ID)
    assert found is not None
    assert (found.reports, found.note) == ((), "A server says that it was relayed.")


def test_of_several_recipients_each_has_a_report_and_one_message_its_worst() -> None:
    found = read(samples.SEVERAL)
    assert found is not None
    kinds = {one.recipient: one.kind for one in found.reports}
    assert kinds == {
        "kate@example.net": ReportKind.BOUNCED,
        "list-member@example.org": ReportKind.DELIVERED,
    }
    assert one_report(samples.SEVERAL, ID).kind is ReportKind.BOUNCED


def test_the_bounce_address_says_which_message_it_is_whatever_the_mail_says() -> None:
    assert one_report(samples.POSTFIX, ID).id == ID
    sender = verp_address(ID, DOMAIN, SECRET)
    headers = f"Content-Type: text/rfc822-headers\n\nReturn-Path: <{sender}>\nSubject: Hello\n"
    status = "Final-Recipient: rfc822;kate@example.net\nAction: failed\nStatus: 5.1.1\n"
    assert one_report(samples.dsn(status, returned=headers)).id == ID
    forged = headers.replace(ID.hex, uuid4().hex)
    assert read(samples.dsn(status, returned=forged)) is None


def test_the_envelope_id_names_the_message() -> None:
    status = (
        f"Reporting-MTA: dns; mx.example.net\nOriginal-Envelope-Id: {ID}\n\n"
        "Final-Recipient: rfc822;kate@example.net\nAction: failed\nStatus: 5.1.1\n"
    )
    assert one_report(samples.dsn(status, returned="\n")).id == ID


def test_a_bounce_that_names_no_message_is_nobodys() -> None:
    status = "Final-Recipient: rfc822;kate@example.net\nAction: failed\nStatus: 5.1.1\n"
    assert read(samples.dsn(status, returned="Content-Type: text/plain\n\nHello\n")) is None


def test_the_same_mail_has_the_same_key_and_another_has_not() -> None:
    key = one_report(samples.POSTFIX, ID).key
    assert one_report(samples.POSTFIX.replace(b"Return-Path: <>\r\n", b""), ID).key == key
    other = samples.POSTFIX.replace(b"<report.1@", b"<report.9@")
    assert one_report(other, ID).key != key
    assert one_report(samples.POSTFIX, uuid4()).key != key


def test_a_bounce_in_no_standard_form() -> None:
    report = one_report(samples.QMAIL, ID)
    assert (report.kind, report.recipient) == (ReportKind.BOUNCED, "kate@example.net")
    assert report.response is not None
    assert report.response.code == 550
    assert classify(report.response, "").category == "bad-mailbox"
    # At any other address it is a mail like others.
    assert read(samples.QMAIL) is None


def test_what_is_no_bounce_is_described() -> None:
    found = read(samples.VACATION, ID)
    assert found is not None
    assert found.reports == ()
    assert found.note == "A mail from kate@example.net: Out of office: Weekly news"


def test_a_complaint() -> None:
    report = one_report(samples.ABUSE)
    assert report.kind is ReportKind.COMPLAINT
    assert (report.message_id, report.recipient) == (samples.ORIGINAL, "kate@example.net")
    assert report.reason == "abuse, says Yahoo!-Mail-Feedback/2.0"


def test_a_complaint_whose_recipient_is_redacted() -> None:
    sender = verp_address(ID, DOMAIN, SECRET)
    raw = samples.arf(
        f"Feedback-Type: abuse\nVersion: 1\nOriginal-Mail-From: <{sender}>\n"
        "Original-Rcpt-To: redacted\n",
        returned="Content-Type: text/rfc822-headers\n\nTo: redacted\n",
    )
    report = one_report(raw)
    assert (report.id, report.recipient, report.message_id) == (ID, None, None)


def test_feedback_that_is_no_complaint() -> None:
    found = read(samples.NOT_SPAM, ID)
    assert found is not None
    assert (found.reports, found.note) == ((), "Feedback that is no complaint: not-spam.")


def test_a_report_inside_another_mail_is_none() -> None:
    """Somebody forwards a bounce, and asks what it means."""
    inner = samples.POSTFIX.decode()
    forwarded = (
        "From: kate@example.net\r\nSubject: Fwd\r\nMessage-ID: <f@example.net>\r\n"
        f'Content-Type: multipart/mixed; boundary="C"\r\n\r\n--C\r\n\r\nLook\r\n--C\r\n'
        f"Content-Type: message/rfc822\r\n\r\n{inner}\r\n--C--\r\n"
    ).encode()
    assert may_be_returned(forwarded)
    assert read(forwarded) is None


HOSTILE = {
    "header bomb": b"X-A: " + b"a" * 1_000_000 + b"\r\n" + samples.POSTFIX,
    "many headers": b"X-A: b\r\n" * 200_000 + samples.POSTFIX,
    "many groups": samples.dsn(
        "Final-Recipient: rfc822;kate@example.net\nAction: failed\nStatus: 5.1.1\n\n" * 50_000
    ),
    "long diagnostic": samples.dsn(
        "Final-Recipient: rfc822;kate@example.net\nAction: failed\nStatus: 5.1.1\n"
        f"Diagnostic-Code: smtp; 550 {'ip ' * 3_000_000}\n"
    ),
    "ten megabytes": samples.dsn(
        "Final-Recipient: rfc822;kate@example.net\nAction: failed\nStatus: 5.1.1\n",
        returned="Content-Type: message/rfc822\n\n"
        f"Message-ID: {samples.ORIGINAL}\n\n{'x' * 75}" + f"\n{'x' * 75}" * 130_000,
    ),
    "wrong charset": samples.POSTFIX.replace(b"text/plain", b"text/plain; charset=no-such"),
    "not utf-8": samples.POSTFIX.replace(b"User unknown", b"\xff\xfe\x00 User unknown"),
    "nested": b'Content-Type: multipart/report; boundary="B0"\r\n\r\n'
    + b"".join(
        f'--B{at}\r\nContent-Type: multipart/mixed; boundary="B{at + 1}"\r\n\r\n'.encode()
        for at in range(2_000)
    )
    + samples.POSTFIX,
    "rfc822 in rfc822": b'Content-Type: multipart/report; boundary="B"\r\n\r\n--B\r\n'
    + b"Content-Type: message/rfc822\r\n\r\n" * 5_000,
    "no boundary": b"Content-Type: multipart/report; report-type=delivery-status\r\n\r\nAction: x",
    "status as base64": samples.POSTFIX.replace(
        b"message/delivery-status", b"message/delivery-status\r\nContent-Transfer-Encoding: base64"
    ),
    "one long line": b"Subject: failure notice\r\n\r\n" + b"<a@b.example>: " * 700_000,
    "many lines": b"Subject: failure notice\r\n\r\n" + b"<a@b.example>:\r\n550 no\r\n" * 300_000,
    "empty": b"",
    "nul": b"\0" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_read_within_a_second(name: str) -> None:
    found = checked_within(1, lambda: read(HOSTILE[name], ID))
    assert found is not None
    assert found.note or all(report.id == ID for report in found.reports)
    for report in found.reports:
        assert len(classify(report.response, report.reason or "").reason) <= 500


def test_a_bounce_is_found_behind_what_is_broken() -> None:
    for name in ("header bomb", "long diagnostic", "ten megabytes", "wrong charset", "not utf-8"):
        found = read(HOSTILE[name], ID)
        assert found is not None
        assert [one.kind for one in found.reports] == [ReportKind.BOUNCED], name


@given(st.binary(max_size=3_000))
def test_any_bytes_are_read(raw: bytes) -> None:
    found = read(raw, ID)
    assert found is not None
    assert found.reports or found.note


@given(st.text(max_size=2_000))
def test_any_status_is_read(status: str) -> None:
    raw = samples.dsn(status.replace("\ud800", ""))
    found = read(raw, ID)
    assert found is not None
    assert found.reports or found.note
    # However often it comes, its reports count once.
    assert read(raw, ID) == found
    assert read(raw) == read(raw)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name if file else "none")
def test_mail_of_the_corpora_is_read_and_is_no_report_by_chance(file: Path) -> None:
    raw = file.read_bytes()
    mail = parsed(raw)
    dsn, arf, found, loose = checked_within(
        1, lambda: (read_dsn(mail), read_arf(mail), read(raw), read(raw, ID))
    )
    assert loose is not None
    if found:
        assert dsn or arf
        assert mail.get_content_type() == "multipart/report"
