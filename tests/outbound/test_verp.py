"""Bounce addresses: ours are known whatever servers do to their case, forged ones are not."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.models.outbound.verp import message_of, verp_address

DOMAIN, SECRET = "bounces.example.com", "a secret of tests"


@given(st.uuids())
def test_an_address_leads_back_to_its_message(id: UUID) -> None:
    address = verp_address(id, DOMAIN, SECRET)
    assert message_of(address, DOMAIN, SECRET) == id
    assert message_of(f"<{address.upper()}>", DOMAIN, SECRET) == id
    assert len(address.partition("@")[0]) < 64


def test_the_domain_may_be_international() -> None:
    id = uuid4()
    ascii_form = verp_address(id, "xn--bcher-kva.example", SECRET)
    assert message_of(ascii_form, "bücher.example", SECRET) == id


@pytest.mark.parametrize(
    "change",
    [
        lambda own: own.replace("b-", "c-", 1),
        lambda own: own.replace("@", "x@"),
        lambda own: own.replace("bounces.", "other."),
        lambda own: own.replace("@", "+tag@", 1).replace("b-", "", 1),
        lambda own: own[:36] + ("a" if own[36] != "a" else "b") + own[37:],
        lambda own: "kate@" + DOMAIN,
        lambda own: own * 1_000,
        lambda own: "",
        lambda own: "@" + DOMAIN,
    ],
)
def test_what_is_not_ours_is_not_known(change: object) -> None:
    assert callable(change)
    assert message_of(change(verp_address(uuid4(), DOMAIN, SECRET)), DOMAIN, SECRET) is None


def test_one_tag_is_no_tag_of_another_message_or_secret() -> None:
    one, other = uuid4(), uuid4()
    own = verp_address(one, DOMAIN, SECRET)
    assert message_of(own.replace(one.hex, other.hex), DOMAIN, SECRET) is None
    assert message_of(own, DOMAIN, "another secret") is None


@given(st.text(max_size=400))
def test_any_text_is_no_address_of_ours(text: str) -> None:
    assert message_of(text, DOMAIN, SECRET) is None
