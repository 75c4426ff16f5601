"""Twilio's signature, held against the vectors that Twilio publishes.

The first is the example of https://www.twilio.com/docs/usage/security, the others are those of
the test suites of Twilio's own libraries.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.adapters.twilio_signature import is_signed, is_signed_json, signature_of

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
BODY = b'{"property": "value", "boolean": true}'
SHA256 = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
JSON_URL = f"{URL}&bodySHA256={SHA256}"
JSON_SIGNATURE = "a9nBmqA0ju/hNViExpshrM61xv4="


def call(caller: str, **more: str) -> list[tuple[str, str]]:
    """Not in the order that is signed."""
    known = {"Digits": "1234", "To": "+18005551212", "From": caller, "Caller": caller}
    return list((known | {"CallSid": "CA1234567890ABCDE"} | more).items())


CALL = call("+14158675309")
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="

PUBLISHED = [
    pytest.param(URL, call("+12349013030"), "0/KCTR6DLpKmkAf8muzZqo1nDgQ=", id="documented"),
    pytest.param(URL, CALL, SIGNATURE, id="libraries"),
    pytest.param(
        URL,
        call("+14158675309", ReasonConferenceEnded="test", Reason="Participant"),
        "vOEb5UThFn24KEfnOFLQY2AE5FY=",
        id="a name that begins another",
    ),
    pytest.param(
        URL,
        [
            ("Sid", "CA123"),
            ("SidAccount", "AC123"),
            ("Digits", "5678"),
            ("Digits", "1234"),
            ("Digits", "1234"),
        ],
        "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
        id="duplicates",
    ),
    pytest.param(
        "https://MyCompany.com/myapp.php?foo=1&bar=2",
        CALL,
        "g9IN/x4Cft2g517EjYvEvM/W7LU=",
        id="mixed case",
    ),
    pytest.param(
        "https://user:pass@mycompany.com/myapp.php?foo=1&bar=2",
        CALL,
        "CukzLTc1tT5dXEDIHm/tKBanW10=",
        id="credentials",
    ),
]


@pytest.mark.parametrize(("url", "parameters", "signature"), PUBLISHED)
def test_the_published_signatures_come_out(
    url: str, parameters: list[tuple[str, str]], signature: str
) -> None:
    assert signature_of(TOKEN, url, parameters) == signature
    assert is_signed(TOKEN, url, signature, parameters)


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        ("https://mycompany.com:1234/myapp.php?foo=1&bar=2", SIGNATURE),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        (URL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        (
            "https://user:pass@mycompany.com/myapp.php?foo=1&bar=2",
            "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI=",
        ),
    ],
    ids=["https, left out", "http, kept", "https, added", "http, added", "beside a password"],
)
def test_the_port_may_be_signed_or_not(url: str, signature: str) -> None:
    assert is_signed(TOKEN, url, signature, CALL)


@pytest.mark.parametrize(
    ("token", "url", "signature", "parameters"),
    [
        ("12346", URL, SIGNATURE, CALL),
        (TOKEN, URL.replace("bar=2", "bar=3"), SIGNATURE, CALL),
        (TOKEN, URL.replace("mycompany", "yourcompany"), SIGNATURE, CALL),
        (TOKEN, URL, SIGNATURE, call("+14158675310")),
        (TOKEN, URL, SIGNATURE, [*CALL, ("Body", "1")]),
        (TOKEN, URL, SIGNATURE.rstrip("="), CALL),
        (TOKEN, URL, "", CALL),
        (TOKEN, URL, "\udcffé王", CALL),
    ],
)
def test_anything_else_is_forged(
    token: str, url: str, signature: str, parameters: list[tuple[str, str]]
) -> None:
    assert not is_signed(token, url, signature, parameters)


def test_json_is_signed_through_its_hash() -> None:
    assert is_signed_json(TOKEN, JSON_URL, JSON_SIGNATURE, BODY)
    assert not is_signed_json(TOKEN, JSON_URL, JSON_SIGNATURE, BODY + b" ")
    assert not is_signed_json(TOKEN, JSON_URL, signature_of(TOKEN, URL), BODY)


def test_json_without_its_hash_or_with_two_is_forged() -> None:
    twice = f"{JSON_URL}&bodySHA256={'0' * 64}"
    for url in (URL, twice):
        assert not is_signed_json(TOKEN, url, signature_of(TOKEN, url), BODY)


@given(st.text(), st.lists(st.tuples(st.text(), st.text())), st.text())
def test_nothing_makes_it_raise(
    signature: str, parameters: list[tuple[str, str]], token: str
) -> None:
    assert is_signed(token, URL, signature_of(token, URL, parameters), parameters)
    assert not is_signed(token, URL, signature + "!", parameters)
