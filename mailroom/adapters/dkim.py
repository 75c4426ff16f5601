"""DKIM signatures (RFC 6376; Ed25519: RFC 8463).

dkimpy says what is hashed. The signature itself is OpenSSL's: with RSA of 2,048 bits all of
it takes 0.6 ms, where dkimpy's own, in Python, takes 10 ms and lets nothing else run meanwhile.
"""

import asyncio
import hashlib
from base64 import b64encode
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from dkim import MessageFormatError, fold, hash_headers, rfc822_parse
from dkim.canonicalization import CanonicalizationPolicy, Simple

from mailroom.adapters.settings import BadConfiguration
from mailroom.models.outbound.dkim import DkimSection, closest, names_to_sign
from mailroom.ports import Permanent

# RFC 8301 §3.2.
LEAST_RSA_BITS = 1_024
NAME = b"DKIM-Signature"
_RELAXED = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
_LINE = 64
_TABS_TO_SPACES = bytes.maketrans(b"\t", b" ")

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


@dataclass(frozen=True)
class DkimKey:
    section: DkimSection
    private: PrivateKey

    @property
    def algorithm(self) -> str:
        return "ed25519" if isinstance(self.private, Ed25519PrivateKey) else "rsa"

    @property
    def record_name(self) -> str:
        return f"{self.section.selector}._domainkey.{self.section.domain}"

    @property
    def public(self) -> str:
        """The `p=` of the record in the DNS: of Ed25519 the bare key (RFC 8463 §4.2)."""
        key = self.private.public_key()
        if isinstance(self.private, Ed25519PrivateKey):
            return b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64encode(spki).decode()

    @property
    def record(self) -> str:
        return f"v=DKIM1; k={self.algorithm}; p={self.public}"

    def sign(self, digest: bytes) -> bytes:
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(digest)
        return self.private.sign(digest, PKCS1v15(), Prehashed(SHA256()))


class DkimSigner:
    """Reads the keys once, when it is made (port `Signer`)."""

    def __init__(self, sections: Sequence[DkimSection]) -> None:
        self._keys: defaultdict[str, list[DkimKey]] = defaultdict(list)
        for section in sections:
            self._keys[section.domain].append(read_key(section))

    async def sign(self, data: bytes, from_domain: str) -> bytes:
        if not (keys := closest(self._keys, from_domain)):
            return data
        return await asyncio.to_thread(signed, data, keys)


def read_key(section: DkimSection) -> DkimKey:
    """Raises `BadConfiguration` where the file is no key that can sign."""
    about = f"The DKIM key of {section.domain}, {section.key_file},"
    try:
        key = load_pem_private_key(_content(section.key_file, about), None)
    except TypeError as error:
        raise BadConfiguration(f"{about} has a passphrase; write it without one.") from error
    except (ValueError, UnsupportedAlgorithm):
        # What the library says may quote the file.
        raise BadConfiguration(f"{about} is no private key in PEM.") from None
    if not isinstance(key, PrivateKey):
        raise BadConfiguration(f"{about} is neither RSA nor Ed25519.")
    if isinstance(key, RSAPrivateKey) and key.key_size < LEAST_RSA_BITS:
        raise BadConfiguration(f"{about} has {key.key_size} bits; make one of 2,048.")
    return DkimKey(section, key)


def _content(file: Path, about: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadConfiguration(f"{about} can't be read: {error.strerror}.") from error


def signed(data: bytes, keys: Sequence[DkimKey]) -> bytes:
    """The mail with a signature of each key in front. The same bytes get the same signature: there
    is no `t=`, which RFC 6376 §3.5 only recommends, and which a mail that waits for its time would
    have from the future or the past."""
    try:
        headers, body = rfc822_parse(data)
    except (IndexError, MessageFormatError) as error:
        raise Permanent(
            "The message can't be signed with DKIM: one of its header lines has no name."
        ) from error
    body_hash = b64encode(hashlib.sha256(_relaxed_body(body)).digest())
    return b"".join([*(_signature(key, headers, body_hash) for key in keys), data])


def _signature(key: DkimKey, headers: list[list[bytes]], body_hash: bytes) -> bytes:
    present = [name.decode("ascii") for name, _ in headers]
    names = [name.encode() for name in names_to_sign(present, key.section.headers)]
    tags = b"; ".join(
        [
            f"v=1; a={key.algorithm}-sha256; c=relaxed/relaxed".encode(),
            f"d={key.section.domain}; s={key.section.selector}".encode(),
            b"h=" + b" : ".join(names),
            b"bh=" + body_hash,
            b"b=",
        ]
    )
    value: bytes = b" " + fold(tags, namelen=len(NAME))
    signature = _folded(b64encode(key.sign(_digest(headers, names, value))))
    return NAME + b":" + value + signature + b"\r\n"


def _digest(headers: list[list[bytes]], names: list[bytes], value: bytes) -> bytes:
    """Of the headers, and of the signature's own with an empty `b=` (RFC 6376 §3.7)."""
    digest = hashlib.sha256()
    canonical = _RELAXED.canonicalize_headers(headers)
    hash_headers(digest, _RELAXED, canonical, names, (NAME, value), {})
    return digest.digest()


def _folded(signature: bytes) -> bytes:
    parts = (signature[at : at + _LINE] for at in range(0, len(signature), _LINE))
    return b"\r\n " + b"\r\n ".join(parts)


def _relaxed_body(body: bytes) -> bytes:
    """As RFC 6376 §3.4.4 has it. dkimpy's own takes the square of a run of spaces, and seconds for
    a long text, during which nothing else runs in this process."""
    short = body.translate(_TABS_TO_SPACES)
    while b"  " in short:
        short = short.replace(b"  ", b" ")
    # The end of the mail is the end of a line: SMTP has no other.
    ended = (short.removesuffix(b"\r\n") + b"\r\n").replace(b" \r\n", b"\r\n")
    canonical: bytes = Simple.canonicalize_body(ended)
    return b"" if canonical == b"\r\n" else canonical
