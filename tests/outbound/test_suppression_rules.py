"""Addresses as they are compared, and lists as CSV. No server."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from timing import checked_within

from mailroom.models.outbound import suppression_csv as lists
from mailroom.models.outbound.domains import with_parents
from mailroom.models.outbound.suppression import (
    NewSuppression,
    Suppression,
    SuppressionReason,
    suppressed_form,
)
from mailroom.models.outbound.suppression_csv import BadLine, CsvRefused
from mailroom.models.outbound.suppression_place import Place
from mailroom.models.outbound.unsubscribe import unsubscribe_headers

ADDRESSES = [
    ("Ann@Example.COM", "ann@example.com"),
    (" ann@example.com ", "ann@example.com"),
    ("ann@bücher.example", "ann@xn--bcher-kva.example"),
    ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
    ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
    ("ann@example.com.", "ann@example.com"),
    ("Jose\u0301@example.com", "jos\u00e9@example.com"),
    ("ann@exa_mple.com", "ann@exa_mple.com"),
    ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
    ('"a@b"@Example.com', '"a@b"@example.com'),
    ("nobody", "nobody"),
    ("", ""),
]


@pytest.mark.parametrize(("address", "form"), ADDRESSES)
def test_one_mailbox_has_one_form(address: str, form: str) -> None:
    assert suppressed_form(address) == form


@given(st.text() | st.builds("{}@{}".format, st.text(), st.text()))
@example("0\r.")
def test_a_form_is_its_own_form(address: str) -> None:
    assert suppressed_form(suppressed_form(address)) == suppressed_form(address)


@pytest.mark.parametrize(
    "address", ["", "@", "ann", "ann@", "@example.com", "a b@c.example", "a\0@b.example",
                "a\n@b.example", "<ann@example.com>", "a@b.example,c@d.example", "a@" + "b" * 320,
                "\ud800@b.example"],
)  # fmt: skip
def test_what_is_no_address_is_not_listed(address: str) -> None:
    with pytest.raises(ValidationError):
        NewSuppression(address=address)


def test_a_file_of_addresses_and_reasons_is_read_line_by_line() -> None:
    text = "Ann@Example.com,unsubscribe\r\nnobody\n\n  ,\nbob@example.com\ncy@x.example,bored\n"
    assert list(lists.read(text, "acme", "2026 list")) == [
        NewSuppression(
            address="ann@example.com",
            reason=SuppressionReason.UNSUBSCRIBE,
            tenant_id="acme",
            source="2026 list",
        ),
        BadLine(line=2, error="address: this is no address such as ann@example.com"),
        NewSuppression(address="bob@example.com", tenant_id="acme", source="2026 list"),
        BadLine(
            line=6,
            error="reason: Input should be 'hard_bounce', 'manual', 'unsubscribe' or 'complaint'",
        ),
    ]


def test_the_first_line_may_name_the_columns() -> None:
    text = "when,Reason,ADDRESS,tenant_id\n2020,complaint,ann@example.com,acme\n"
    assert list(lists.read(text)) == [
        NewSuppression(
            address="ann@example.com", reason=SuppressionReason.COMPLAINT, tenant_id="acme"
        )
    ]


def test_an_open_quote_swallows_nothing_that_follows() -> None:
    bad, good = lists.read('"ann@example.com\nbob@example.com,manual\n')
    assert isinstance(bad, BadLine)
    assert bad.line == 1
    assert isinstance(good, NewSuppression)


def test_a_file_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(CsvRefused, match="100,000 lines at most"):
        next(lists.read("a@b.example\n" * (lists.MOST_LINES + 1)))


def test_a_file_in_another_encoding_is_refused() -> None:
    with pytest.raises(CsvRefused, match="UTF-8"):
        lists.as_text("jos\u00e9@example.com".encode("latin-1"))


def test_a_mark_of_the_byte_order_is_no_part_of_an_address() -> None:
    assert lists.as_text(b"\xef\xbb\xbfann@example.com") == "ann@example.com"


@pytest.mark.parametrize(
    "evil", ["=cmd()@x.example", "+1@x.example", "-1@x.example", "'q@x.example"]
)
def test_a_spreadsheet_runs_nothing_and_nothing_is_lost(evil: str) -> None:
    line = Suppression(
        address=evil, reason="manual", source="@SUM(1)", created_at="2026-01-01T00:00:00Z"
    )
    text = lists.written([line], header=True)
    assert f"\n'{evil},manual,,'@SUM(1)," in text
    assert list(lists.read(text)) == [NewSuppression(address=evil, source="@SUM(1)")]


@given(st.text(max_size=200))
def test_nothing_breaks_the_reader(text: str) -> None:
    for line in lists.read(text):
        assert isinstance(line, NewSuppression | BadLine)


def test_a_domain_stands_below_its_parents() -> None:
    assert list(with_parents("a.example.com")) == ["a.example.com", "example.com", "com"]


def test_a_tenant_is_compared_without_spaces_around_it() -> None:
    of = NewSuppression(address="ann@example.com", tenant_id=" acme ").tenant_id
    nobodys = NewSuppression(address="ann@example.com", tenant_id=" ").tenant_id
    assert (of, nobodys) == ("acme", None)


def test_a_long_domain_costs_nothing() -> None:
    checked_within(1, lambda: suppressed_form("ann@" + "ü" * 100_000))


@given(st.text())
def test_a_cursor_leads_to_a_place_or_is_refused(text: str) -> None:
    try:
        place = Place.of(text)
    except ValueError:
        return
    assert Place.of(place.text()) == place


def test_a_place_survives_its_cursor() -> None:
    place = Place("ann@example.com", "acme")
    assert Place.of(place.text()) == place


def test_the_headers_of_a_campaign() -> None:
    link = "https://mail.example/unsubscribe/abc"
    # RFC 8058 §8.1 has them so.
    assert unsubscribe_headers(link) == {
        "List-Unsubscribe": f"<{link}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    headers = unsubscribe_headers(link, "leave@mail.example")
    assert (
        headers["List-Unsubscribe"] == f"<{link}>, <mailto:leave@mail.example?subject=unsubscribe>"
    )
