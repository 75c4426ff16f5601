"""Complaints of recipients, in the abuse reporting format (RFC 5965)."""

from email.message import Message

from mailroom.models.base import Frozen
from mailroom.models.outbound.returned import Returned, address_in, field, parts_of, returned

# RFC 5965 §7.3; `opt-out` stood in its drafts, and is in use. The others (not-spam, RFC 6430;
# auth-failure, RFC 6591) are no complaints.
COMPLAINTS = frozenset({"abuse", "fraud", "virus", "opt-out"})


class Feedback(Frozen):
    """`kind` is the feedback type; recipients are often left out of it (RFC 6590)."""

    kind: str
    sender: str | None = None
    recipient: str | None = None
    agent: str = ""
    returned: Returned = Returned()

    @property
    def is_complaint(self) -> bool:
        return self.kind in COMPLAINTS


def read_arf(mail: Message) -> Feedback | None:
    """None of what is no such report."""
    if mail.get_content_type() != "multipart/report":
        return None
    for part in parts_of(mail, "message/feedback-report"):
        payload = part.get_payload()
        fields = payload[0] if isinstance(payload, list) and payload else None
        if isinstance(fields, Message) and (kind := field(fields, "feedback-type")):
            return Feedback(
                kind=kind.lower()[:40],
                sender=address_in(field(fields, "original-mail-from")),
                recipient=address_in(field(fields, "original-rcpt-to")),
                agent=field(fields, "user-agent")[:100],
                returned=returned(mail),
            )
    return None
