"""`[[outbound.dkim]]` of mailroom.toml: with which keys mail is signed (RFC 6376)."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator

from mailroom.models.base import Frozen
from mailroom.models.outbound.domains import ascii_domain, with_parents
from mailroom.models.outbound.unsubscribe import FIELD, POST_HEADER

FROM = "from"
# RFC 6376 §5.4.1 names what makes a mail what it is; RFC 8058 §4 wants its two headers signed.
SIGNED = (
    FROM, "sender", "reply-to", "subject", "date", "message-id", "to", "cc", "mime-version",
    "content-type", "content-transfer-encoding", "content-id", "content-description",
    "in-reply-to", "references", "list-id", "list-help", "list-subscribe", "list-post",
    "list-owner", "list-archive", "resent-date", "resent-from", "resent-sender", "resent-to",
    "resent-cc", "resent-message-id",
)  # fmt: skip
ALWAYS = (FROM, FIELD.lower(), POST_HEADER.lower())
# RFC 6376 §5.4: what servers on the way add or change.
NEVER = frozenset({"return-path", "received", "comments", "keywords", "bcc", "dkim-signature"})

_LABELS = re.compile(
    r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]+")

Key = TypeVar("Key")


def _labels(given: str) -> str:
    name = ascii_domain(given)
    if len(name) > 253 or not _LABELS.fullmatch(name):
        raise ValueError(f"{given!r} is no name in the DNS such as example.com")
    return name


def _header(given: str) -> str:
    name = given.lower()
    if not _NAME.fullmatch(name):
        raise ValueError(f"{given!r} is no name of a header")
    if name in NEVER:
        raise ValueError(f"{given} changes on the way and is not to be signed (RFC 6376 §5.4)")
    return name


DnsName = Annotated[str, AfterValidator(_labels)]
HeaderName = Annotated[str, AfterValidator(_header)]


class DkimSection(Frozen):
    """A key signs mail whose From is at `domain` or below. `headers`: which ones, besides those
    that are signed always."""

    domain: DnsName
    selector: DnsName
    key_file: Path
    headers: tuple[HeaderName, ...] = SIGNED


def closest(keys: Mapping[str, Sequence[Key]], domain: str) -> Sequence[Key]:
    """The keys of the domain itself, or else of its next parent that has any: both are aligned
    with the From in the sense of DMARC (RFC 7489 §3.1.1)."""
    return next((keys[one] for one in with_parents(ascii_domain(domain)) if one in keys), ())


def names_to_sign(present: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The `h=` of a signature. Each header as often as it is there, and From once more, so that
    nobody adds another (RFC 6376 §5.4.2)."""
    sought = {*wanted, *ALWAYS}
    there = Counter(name.lower() for name in present if name.lower() in sought)
    return [*there.elements(), FROM]
