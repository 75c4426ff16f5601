"""DKIM signatures, held against another program's judgement."""

from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.dsa import generate_private_key as dsa_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from timing import checked_within

from mailroom.adapters.dkim import DkimKey, DkimSigner, _relaxed_body, read_key, signed
from mailroom.adapters.settings import BadConfiguration, load_config_file
from mailroom.models.outbound.dkim import DkimSection, closest
from mailroom.models.outbound.unsubscribe import unsubscribe_headers
from mailroom.ports import Permanent
from mailroom.ports.outbound import Signer

Keys = Callable[..., DkimKey]

HEAD = (
    b"From: Ann <ann@example.com>\r\nTo: bob@example.org\r\nSubject: A   long\r\n\tsubject\r\n"
    b"Message-ID: <1@example.com>\r\nX-Own: 1\r\n"
)
MAIL = HEAD + b"\r\nHello  Bob \r\n\t-- \r\nAnn\r\n\r\n\r\n"


def written(key: object, file: Path, how: KeySerializationEncryption | None = None) -> Path:
    form = PrivateFormat.PKCS8
    pem = key.private_bytes(Encoding.PEM, form, how or NoEncryption())  # type: ignore[attr-defined]
    file.write_bytes(pem)
    return file


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    rsa = rsa_key(65_537, 2_048)
    traditional = rsa.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (folder / "traditional.pem").write_bytes(traditional.replace(b"\n", b"\r\n"))
    (folder / "text.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n")
    return {
        "rsa": written(rsa, folder / "rsa.pem"),
        "traditional": folder / "traditional.pem",
        "ed25519": written(Ed25519PrivateKey.generate(), folder / "ed25519.pem"),
        "passphrase": written(rsa, folder / "locked.pem", BestAvailableEncryption(b"open")),
        "dsa": written(dsa_key(1_024), folder / "dsa.pem"),
        "text": folder / "text.pem",
    }


@pytest.fixture(scope="module")
def key(files: dict[str, Path]) -> Keys:
    def one(kind: str = "rsa", domain: str = "example.com", **more: object) -> DkimKey:
        known = {"domain": domain, "selector": kind, "key_file": files[kind]}
        return read_key(DkimSection.model_validate(known | more))

    return one


def verified(mail: bytes, *keys: DkimKey) -> bool:
    """By dkimpy, which gets the records of these keys from the DNS."""
    records = {f"{one.record_name}.".encode(): one.record.encode() for one in keys}
    try:
        return all(
            dkim.DKIM(mail).verify(index, dnsfunc=lambda name, timeout=5: records.get(name))
            for index in range(len(keys))
        )
    except dkim.ValidationError:
        return False


def tags(mail: bytes) -> dict[str, str]:
    value = mail.partition(b"\r\nFrom:")[0].removeprefix(b"DKIM-Signature:").decode()
    parts = (part.partition("=") for part in "".join(value.split()).split(";"))
    return {name: said for name, _, said in parts}


@pytest.mark.parametrize("kind", ["rsa", "traditional", "ed25519"])
def test_a_signature_is_true(key: Keys, kind: str) -> None:
    mail = signed(MAIL, [key(kind)])
    assert mail.endswith(MAIL)
    assert verified(mail, key(kind))
    assert all(len(line) <= 78 for line in mail.removesuffix(MAIL).splitlines())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Hello", b"Hallo"),
        (b"A   long", b"A longer"),
        (b"ann@example.com", b"eve@example.com"),
        (b"From: Ann", b"From: Eve <eve@example.net>\r\nFrom: Ann"),
    ],
)
def test_it_is_broken_by_a_change(key: Keys, before: bytes, after: bytes) -> None:
    signature = signed(MAIL, [key()]).removesuffix(MAIL)
    assert MAIL.replace(before, after, 1) != MAIL
    assert not verified(signature + MAIL.replace(before, after, 1), key())


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"A   long\r\n\tsubject", b"A long subject"), (b"Bob \r\n", b"Bob\r\n"), (b"X-Own", b"X-O")],
)
def test_what_servers_do_on_the_way_does_not_break_it(
    key: Keys, before: bytes, after: bytes
) -> None:
    signature = signed(MAIL, [key()]).removesuffix(MAIL)
    changed = b"Received: by here\r\n" + signature + MAIL.replace(before, after, 1)
    assert verified(changed, key())


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_the_same_bytes_get_the_same_signature(key: Keys, kind: str) -> None:
    assert signed(MAIL, [key(kind)]) == signed(MAIL, [key(kind)])


def test_both_headers_of_one_click_are_signed(key: Keys) -> None:
    # RFC 8058 §4; also where the configuration names others.
    lines = unsubscribe_headers("https://mail.example/unsubscribe/abc")
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode()
    mail = signed(HEAD + head + b"\r\nHi\r\n", [key(headers=["subject"])])
    assert verified(mail, key())
    assert tags(mail)["h"] == "from:subject:list-unsubscribe:list-unsubscribe-post:from"
    changed = mail.replace(b"unsubscribe/abc", b"unsubscribe/abd")
    assert not verified(changed, key())


def test_what_is_not_there_is_not_named_but_from_is_once_more(key: Keys) -> None:
    assert tags(signed(MAIL, [key()]))["h"] == "from:to:subject:message-id:from"


@pytest.mark.parametrize(
    "mail",
    [HEAD + b"\r\n", HEAD, HEAD + b"\r\n\r\n\r\n", HEAD + b"\r\nno end", HEAD + b"\r\n \t \r\n",
     HEAD + b"\r\n" + "Grüße \U0001f600\r\n".encode(), b"Subject: \xff\xfe\r\n" + MAIL],
)  # fmt: skip
def test_strange_mails_are_signed_true(key: Keys, mail: bytes) -> None:
    # A server gets what SMTP makes of it: whole lines.
    arrived = signed(mail, [key()])
    assert verified(arrived if arrived.endswith(b"\r\n") else arrived + b"\r\n", key())


@pytest.mark.parametrize("mail", [b" folded\r\n\r\nHi\r\n", b"no header\r\n\r\nHi\r\n"])
def test_a_mail_without_headers_is_refused(key: Keys, mail: bytes) -> None:
    with pytest.raises(Permanent, match="can't be signed with DKIM"):
        signed(mail, [key()])


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"\r", b"a", b"b c"])).map(b"".join))
def test_bodies_are_relaxed_as_others_do_it(body: bytes) -> None:
    assert _relaxed_body(body + b"\r\n") == Relaxed.canonicalize_body(body + b"\r\n")


@pytest.mark.parametrize(
    "mail",
    [
        MAIL + b" " * 2_000_000 + b"x\r\n",
        MAIL + b"x " * 1_000_000,
        b"To: bob@example.org\r\n" * 20_000 + MAIL,
        b"To: " + b"b@example.org, " * 100_000 + b"\r\n" + MAIL,
        MAIL + b"\r\n" * 300_000,
    ],
    ids=["spaces", "words", "headers", "header", "lines"],
)
def test_a_mail_made_to_be_slow_is_not(key: Keys, mail: bytes) -> None:
    one = key()
    checked_within(5, lambda: signed(mail, [one]))


async def test_the_closest_domain_signs(files: dict[str, Path], key: Keys) -> None:
    signer: Signer = DkimSigner(
        [
            DkimSection(domain="Example.com", selector="rsa", key_file=files["rsa"]),
            DkimSection(domain="news.example.com", selector="ed25519", key_file=files["ed25519"]),
        ]
    )
    domains = {
        "example.com": "example.com",
        "EXAMPLE.com": "example.com",
        "shop.example.com": "example.com",
        "news.example.com": "news.example.com",
        "a.b.news.example.com": "news.example.com",
    }
    for domain, signs in domains.items():
        assert tags(await signer.sign(MAIL, domain))["d"] == signs, domain
    for domain in ("example.org", "badexample.com", "com", ""):
        assert await signer.sign(MAIL, domain) == MAIL, domain


async def test_several_keys_of_a_domain_all_sign(files: dict[str, Path], key: Keys) -> None:
    # RFC 8463 §3: not everybody knows Ed25519 yet.
    kinds = ("rsa", "ed25519")
    sections = [
        DkimSection(domain="example.com", selector=kind, key_file=files[kind]) for kind in kinds
    ]
    mail = await DkimSigner(sections).sign(MAIL, "example.com")
    assert verified(mail, *map(key, kinds))


def test_an_international_domain_is_found_in_either_spelling() -> None:
    keys = {"xn--bcher-kva.example": ["key"]}
    assert closest(keys, "bücher.example") == ["key"]
    assert closest(keys, "post.xn--bcher-kva.example") == ["key"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("passphrase", "has a passphrase"),
        ("dsa", "neither RSA nor Ed25519"),
        ("text", "no private"),
    ],
)
def test_a_key_that_can_not_sign_says_why(files: dict[str, Path], kind: str, said: str) -> None:
    with pytest.raises(BadConfiguration, match=said) as raised:
        DkimSigner([DkimSection(domain="example.com", selector="a", key_file=files[kind])])
    assert str(files[kind]) in str(raised.value)
    assert "c2VjcmV0" not in f"{raised.value}{raised.value.__cause__}"


def test_a_key_that_is_not_there_says_so(tmp_path: Path) -> None:
    missing = DkimSection(domain="example.com", selector="a", key_file=tmp_path / "none.pem")
    with pytest.raises(BadConfiguration, match="can't be read: No such file or directory"):
        DkimSigner([missing])


def test_a_weak_key_is_refused(tmp_path: Path) -> None:
    # RFC 8301 §3.2. Of primes that everybody knows: no library makes one so short.
    p, q, e = 2**256 - 189, 2**255 - 19, 65_537
    d = pow(e, -1, (p - 1) * (q - 1))
    parts = (p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p))
    numbers = RSAPrivateNumbers(*parts, RSAPublicNumbers(e, p * q))
    file = written(numbers.private_key(), tmp_path / "weak.pem")
    with pytest.raises(BadConfiguration, match="has 511 bits; make one of 2,048"):
        DkimSigner([DkimSection(domain="example.com", selector="a", key_file=file)])


def test_a_record_is_what_the_dns_has(key: Keys) -> None:
    assert key("ed25519").record_name == "ed25519._domainkey.example.com"
    assert len(b64decode(key("ed25519").record.partition("p=")[2])) == 32
    assert key("rsa").record.startswith("v=DKIM1; k=rsa; p=MIIB")


def test_mailroom_toml_names_keys(tmp_path: Path) -> None:
    file = tmp_path / "mailroom.toml"
    file.write_text(
        '[[outbound.dkim]]\ndomain = "Example.com"\nselector = "s1"\nkey_file = "keys/s1.pem"\n'
        'headers = ["From", "X-Campaign"]\n'
    )
    [section] = load_config_file(file).outbound.dkim
    assert (section.domain, section.headers) == ("example.com", ("from", "x-campaign"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"domain": "no domain"},
        {"domain": ""},
        {"selector": "a;b"},
        {"headers": ["Received"]},
        {"headers": ["a:b"]},
        {"headers": ["a\r\nb"]},
    ],
)
def test_what_would_break_a_signature_is_refused(wrong: dict[str, object]) -> None:
    known = {"domain": "example.com", "selector": "a", "key_file": "a.pem"}
    with pytest.raises(ValidationError):
        DkimSection.model_validate(known | wrong)
