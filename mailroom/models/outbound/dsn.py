"""Delivery status notifications: what another server says of a message (RFC 3464, RFC 6533)."""

import re
from email.message import Message
from enum import StrEnum

from mailroom.models.base import Frozen
from mailroom.models.outbound.returned import Returned, address_in, field, parts_of, returned

MOST_RECIPIENTS = 100
FIRST = 3


class Action(StrEnum):
    """RFC 3464 §2.3.3: only `failed` is a bounce."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class DsnRecipient(Frozen):
    """`final` is who it was about in the end, `original` whom we had named."""

    action: Action
    final: str | None = None
    original: str | None = None
    status: str | None = None
    diagnostic: str = ""


class Dsn(Frozen):
    envelope_id: str | None = None
    returned: Returned = Returned()
    recipients: tuple[DsnRecipient, ...]


def read_dsn(mail: Message) -> Dsn | None:
    """None of what is no delivery status notification, or says nothing about anybody."""
    if mail.get_content_type() != "multipart/report":
        return None
    blocks = [
        block for part in parts_of(mail, "message/delivery-status") for block in _blocks(part)
    ]
    recipients = tuple(filter(None, map(_recipient, blocks[: MOST_RECIPIENTS + FIRST])))
    if not recipients:
        return None
    # It is in the first one, which is about the message (RFC 3464 §2.2).
    first = (field(block, "original-envelope-id") for block in blocks[:FIRST])
    envelope = next(filter(None, first), None)
    return Dsn(envelope_id=envelope, returned=returned(mail), recipients=recipients)


def _blocks(part: Message) -> list[Message]:
    """One for the message, then one for each recipient; some servers write a single one."""
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _recipient(block: Message) -> DsnRecipient | None:
    action = _action(field(block, "action"))
    if action is None:
        return None
    return DsnRecipient(
        action=action,
        final=address_in(field(block, "final-recipient")),
        original=address_in(field(block, "original-recipient")),
        status=field(block, "status")[:100] or None,
        diagnostic=_diagnostic(field(block, "diagnostic-code")),
    )


def _action(value: str) -> Action | None:
    """Comments are tolerated, and what servers write in the place of `failed`."""
    word = re.match(r"[a-z]*", value.strip().lower())
    known = {"fail": "failed", "failure": "failed", "error": "failed"}
    name = word[0] if word else ""
    name = known.get(name, name)
    return Action(name) if name in list(Action) else None


def _diagnostic(value: str) -> str:
    """Without its type: `smtp; 550 ...`, `X-Postfix; ...` (RFC 3464 §2.3.6)."""
    kind, separator, text = value.partition(";")
    typed = separator and re.fullmatch(r"[\w-]{1,40}", kind.strip(), re.ASCII)
    return (text if typed else value).strip()
