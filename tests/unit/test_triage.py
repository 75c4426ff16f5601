"""Which mail nobody is asked about, and why (RFC 3834, RFC 5230)."""

import pytest

from mailroom.models.addresses import Address
from mailroom.models.mail import IncomingMail
from mailroom.models.triage import not_answerable

OWNER = "owner@example.org"


def mail(**changes: object) -> IncomingMail:
    known: dict[str, object] = {
        "message_id": "<a@example.com>",
        "sender": Address(name="Jane", address="jane@example.com"),
        "to": [Address(address=OWNER)],
    }
    return IncomingMail.model_validate(known | changes)


def reason(letter: IncomingMail, sender: str | None = "jane@example.com") -> str:
    return not_answerable(letter, sender, [OWNER], [OWNER]) or ""


def test_a_letter_from_a_person_is_answered() -> None:
    assert not_answerable(mail(), "jane@example.com", [OWNER], [OWNER]) is None
    assert not_answerable(mail(), None, [], [OWNER]) is None


@pytest.mark.parametrize("value", ["", "no", "No", "no (a comment)", " no ; x=y", "no (a (b, c))"])
def test_auto_submitted_no_is_answered(value: str) -> None:
    assert reason(mail(auto_submitted=value)) == ""


@pytest.mark.parametrize(
    "value",
    [
        "auto-replied",
        "Auto-Generated",
        "auto-notified; owner-email=me@example.com",
        "(comment) auto-replied",
        "auto-generated (warning-timeout)",
        "no, auto-replied",
        "something-new",
    ],
)
def test_what_was_sent_automatically_is_not(value: str) -> None:
    """RFC 3834 §5."""
    assert reason(mail(auto_submitted=value)) == (
        f"It was sent automatically (Auto-Submitted: {value})."
    )


def test_the_null_return_path_is_not_answered() -> None:
    assert "null return path" in reason(mail(), sender="")
    assert "null return path" in reason(mail(return_path=""))
    assert "null return path" in reason(mail(return_path=""), sender=None)


@pytest.mark.parametrize("value", ["bulk", "JUNK", "list", "normal, bulk"])
def test_bulk_is_not_answered(value: str) -> None:
    assert reason(mail(precedence=value)) == f"It was sent in bulk (Precedence: {value})."


def test_other_precedences_are() -> None:
    assert reason(mail(precedence="first-class")) == ""


def test_lists_loops_and_reports_are_not_answered() -> None:
    assert "mailing list (List-Id)" in reason(mail(list_headers=["list-id"]))
    assert "51 servers" in reason(mail(received_count=51))
    assert reason(mail(received_count=50)) == ""
    assert "report about the delivery" in reason(mail(is_delivery_report=True))


@pytest.mark.parametrize(
    "local",
    [
        "MAILER-DAEMON", "mailer_daemon", "Postmaster", "no-reply", "noreply", "NoReply",
        "no.reply", "noreply+tag", "gmail-noreply", "noreply-maps", "noreply2", "donotreply",
        "do-not-reply", "do_not_reply", "bounce+x=example.org", "bounces", "bounces-123",
        "list-bounces", "listserv", "majordomo", "owner-list", "list-request", "auto-reply",
    ],
)  # fmt: skip
def test_machines_are_not_answered(local: str) -> None:
    """RFC 5230 §4.6."""
    address = f"{local}@example.com"
    assert "nobody reads" in reason(mail(sender=Address(address=address)))
    assert "nobody reads" in reason(mail(), sender=address)
    assert "nobody reads" in reason(mail(return_path=address), sender=None)
    assert "nobody reads" in reason(mail(reply_to=[Address(address=address)]))


@pytest.mark.parametrize(
    "local",
    [
        "jane",
        "reply",
        "nora.reply",
        "casino.reply",
        "owner",
        "shop-owner",
        "request",
        "bounce-castle",
    ],
)
def test_people_with_such_names_are(local: str) -> None:
    assert reason(mail(sender=Address(address=f"{local}@example.com"))) == ""


def test_the_owner_is_not_asked_about_his_own_mail() -> None:
    assert "own address" in reason(mail(sender=Address(address="Owner@EXAMPLE.org")))
    assert "own address" in reason(mail(sender=Address(address="owner+notes@example.org")))
    assert "own address" in reason(mail(reply_to=[Address(address=OWNER)]))


def test_the_owner_must_be_named() -> None:
    """RFC 5230 §4.5."""
    stranger = [Address(address="other@example.org")]
    assert "None of the owner's addresses" in reason(mail(to=stranger))
    assert reason(mail(to=stranger, cc=[Address(address=OWNER)])) == ""
    assert reason(mail(to=[], bcc=[Address(address=OWNER)])) == ""
    assert reason(mail(to=[Address(address="OWNER+shop@Example.ORG")])) == ""


def test_a_mail_that_names_nobody_was_for_its_envelope_recipient() -> None:
    assert not_answerable(mail(to=[]), "jane@example.com", [OWNER], [OWNER]) is None
    assert not_answerable(mail(to=[]), "jane@example.com", ["x@example.org"], [OWNER])
    assert not_answerable(mail(to=[]), None, [], [OWNER])


def test_without_own_addresses_the_envelope_recipients_are_the_owners() -> None:
    assert not_answerable(mail(), "jane@example.com", [OWNER], []) is None
    assert not_answerable(mail(), "jane@example.com", ["owner+shop@example.org"], []) is None
    assert not_answerable(mail(), "jane@example.com", ["x@example.org"], [])


def test_domains_are_compared_as_the_dns_does() -> None:
    named = mail(to=[Address(address="owner@mächine.example")])
    assert not_answerable(named, None, [], ["owner@xn--mchine-bua.example"]) is None
    assert not_answerable(named, None, [], ["owner@MÄCHINE.example."]) is None


def test_nobody_to_answer_is_said_before_the_owner_is_asked() -> None:
    assert reason(mail(sender=None)) == "The mail names nobody to answer."
    assert "no address to send to" in reason(mail(sender=Address(address='"a b"@example.com')))
    many = [Address(address=f"a{n}@example.com") for n in range(11)]
    assert "11 addresses" in reason(mail(reply_to=many))
