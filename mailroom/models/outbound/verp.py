"""Envelope senders that say which message a bounce is about: `b-<id>-<tag>@bounces.example.com`.

Variable envelope return paths: whatever a server writes into its bounce, it goes to the address
that we gave it. The tag keeps strangers from bouncing what they were never sent.
"""

import hmac
import re
from uuid import UUID

from mailroom.models.triage import mailbox_forms

# 50 bits: guessing takes 10^14 mails to addresses that are refused at RCPT.
TAG_LENGTH = 10
LONGEST_ADDRESS = 320
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
# b-, 32, -, 10: 45 characters; RFC 5321 §4.5.3.1.1 allows 64.
_LOCAL = re.compile(rf"b-([0-9a-f]{{32}})-([a-z2-7]{{{TAG_LENGTH}}})", re.ASCII)


def verp_address(id: UUID, domain: str, secret: str) -> str:
    """The envelope sender of a message."""
    return f"b-{id.hex}-{_tag(id, secret)}@{domain}"


def message_of(address: str, domain: str, secret: str) -> UUID | None:
    """The message that the address belongs to; None of any other, and of a forged one. Servers
    may have changed the case of the local part."""
    parts = address_parts(address, domain)
    if parts is None:
        return None
    id, tag = parts
    return id if hmac.compare_digest(_tag(id, secret), tag) else None


def address_parts(address: str, domain: str) -> tuple[UUID, str] | None:
    """The message and the tag that an address of that form names, whoever made it."""
    if len(address) > LONGEST_ADDRESS:
        return None
    # Lower case and IDNA, as mailboxes are compared everywhere.
    local, _, host = mailbox_forms(address)[0].rpartition("@")
    found = _LOCAL.fullmatch(local)
    wanted = mailbox_forms(f"b@{domain}")[0].rpartition("@")[2]
    return (UUID(found[1]), found[2]) if found and host == wanted else None


def _tag(id: UUID, secret: str) -> str:
    """Letters of one case, because the local part may lose it."""
    digest = hmac.digest(secret.encode(), b"verp\0" + id.bytes, "sha256")
    return "".join(_BASE32[byte & 31] for byte in digest[:TAG_LENGTH])
