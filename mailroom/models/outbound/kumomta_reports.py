"""KumoMTA's records as reports about messages."""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

from mailroom.models.mail import MESSAGE_ID, read_mail
from mailroom.models.outbound.bounces import Classification, classify, complained
from mailroom.models.outbound.kumomta import FeedbackReport, LogRecord
from mailroom.models.outbound.report import Report, ReportKind, ReportSource
from mailroom.models.outbound.words import BounceType
from mailroom.models.text import one_line

K = ReportKind

KINDS: Final[Mapping[str, ReportKind]] = {
    "Delivery": K.DELIVERED,
    "Bounce": K.BOUNCED,
    "AdminBounce": K.BOUNCED,
    "OOB": K.BOUNCED,
    "Expiration": K.EXPIRED,
    "TransientFailure": K.DEFERRED,
    "Feedback": K.COMPLAINT,
}

# https://docs.kumomta.com/reference/kumo/configure_bounce_classifier/: its predefined classes.
# Those that say nothing of the recipient (Uncategorized, AutoReply, ...) are left to the response.
CLASSES: Final[Mapping[str, BounceType]] = {
    **dict.fromkeys(("InvalidRecipient", "InactiveMailbox", "BadDomain"), BounceType.HARD),
    **dict.fromkeys(
        (
            *("DNSFailure", "TransientFailure", "BadConnection", "NoAnswerFromHost"),
            *("MessageExpired", "QuotaIssues", "TooManyRecipients", "BadConfiguration"),
            "RoutingErrors",
        ),
        BounceType.SOFT,
    ),
    **dict.fromkeys(
        (
            *("SpamBlock", "SpamContent", "SpamRelated", "VirusRelated", "ContentRelated"),
            *("ProhibitedAttachment", "PolicyRelated", "RelayDenied", "RelayingIssues"),
            *("AuthenticationFailed", "InvalidSender"),
        ),
        BounceType.BLOCK,
    ),
}

# RFC 6430 and RFC 6591: no complaints, the first one even the contrary.
NO_COMPLAINTS = frozenset({"not-spam", "auth-failure"})

# RFC 5322 §2.1.1 for a line, RFC 5321 §4.5.3.1 for an address.
LONGEST_ID, LONGEST_ADDRESS = 998, 320
MOST_HEADER_BYTES = 64 * 1024


def _nobody(address: str) -> UUID | None:
    return None


def report_of(
    record: LogRecord, bounced_to: Callable[[str], UUID | None] = _nobody
) -> Report | None:
    """What the record says of one of our messages; None where it says nothing, or of nobody that
    we could know. `bounced_to`: the message whose bounces go to an address."""
    kind = KINDS.get(record.type)
    # What its log hook hands over is logged, too.
    if kind is None or record.reception_protocol == "LogRecord":
        return None
    feedback = record.feedback_report
    if kind is K.COMPLAINT:
        return _complaint(record, feedback, bounced_to) if feedback else None
    id = _our_id(record.meta)
    # The mail that brought an out-of-band bounce went to the envelope sender of ours.
    id = id or (bounced_to(record.sender) if record.type == "OOB" else None)
    message_id = _message_id(_header(record.headers, "message-id"))
    if id is None and (message_id is None or record.type == "OOB"):
        return None
    found = _classified(record, kind)
    return Report(
        key=record.key,
        kind=kind,
        source=ReportSource.KUMOMTA,
        id=id,
        message_id=message_id if record.type != "OOB" else None,
        recipient=_address(record.recipient),
        at=record.at,
        reason=_reason(record, kind, found),
        bounce_type=None if kind is K.DELIVERED else _type(record, kind, found),
        response=record.answer,
        num_attempts=record.num_attempts if record.type != "OOB" else None,
    )


def _complaint(
    record: LogRecord, feedback: FeedbackReport, bounced_to: Callable[[str], UUID | None]
) -> Report | None:
    kind = feedback.feedback_type.strip().lower()
    id = bounced_to(_bare(feedback.original_mail_from or ""))
    message_id = _original_id(feedback)
    if kind in NO_COMPLAINTS or (id is None and message_id is None):
        return None
    said = one_line(f"{kind}, reported by {feedback.user_agent or 'a mail provider'}", 200)
    return Report(
        key=record.key,
        kind=K.COMPLAINT,
        source=ReportSource.KUMOMTA,
        id=id,
        message_id=message_id,
        recipient=_address(feedback.original_rcpto_to),
        at=record.at,
        reason=complained(said).reason,
        bounce_type=BounceType.COMPLAINT,
    )


def _classified(record: LogRecord, kind: ReportKind) -> Classification | None:
    return None if kind is K.DELIVERED else classify(record.answer, "KumoMTA gave no reason.")


def _reason(record: LogRecord, kind: ReportKind, found: Classification | None) -> str | None:
    if found is None:
        return None
    said = record.answer.message if record.answer else ""
    if record.type == "AdminBounce":
        return one_line(f"An operator of KumoMTA bounced it: {said}", 500)
    if kind is K.EXPIRED:
        return one_line(f"KumoMTA gave it up: {said}", 500)
    return found.reason


def _type(record: LogRecord, kind: ReportKind, found: Classification | None) -> BounceType:
    """KumoMTA's own class, where it has one, as its rules are the operator's."""
    if record.type == "AdminBounce":
        # Nobody's server said anything about the recipient.
        return BounceType.UNKNOWN
    if kind is K.EXPIRED:
        return BounceType.SOFT
    known = CLASSES.get(record.bounce_classification or "")
    type = known or (found.type if found else BounceType.UNKNOWN)
    # It is tried again: whatever it is, it is not for good (RFC 3463 §2).
    return BounceType.SOFT if kind is K.DEFERRED and type is BounceType.HARD else type


def _our_id(meta: Mapping[str, object]) -> UUID | None:
    """Recipients' metadata are the meta item `extra`; a policy may have moved them."""
    extra = meta.get("extra")
    given = extra.get("mailroom_id") if isinstance(extra, dict) else meta.get("mailroom_id")
    try:
        return UUID(given) if isinstance(given, str) else None
    except ValueError:
        return None


def _header(headers: Mapping[str, object], name: str) -> str:
    """A header that occurs twice is a list."""
    for known, value in headers.items():
        if known.lower() == name:
            first = value[0] if isinstance(value, list) and value else value
            return first if isinstance(first, str) else ""
    return ""


def _message_id(text: str) -> str | None:
    found = MESSAGE_ID.search(text[:LONGEST_ID])
    return found[0] if found else None


def _original_id(feedback: FeedbackReport) -> str | None:
    """From the headers of our message, as the report quotes them (RFC 5965 §2)."""
    quoted = feedback.original_message or ""
    data = quoted.encode(errors="replace") if isinstance(quoted, str) else bytes(quoted)
    original = read_mail(data[:MOST_HEADER_BYTES])
    return None if original.message_id_derived else original.message_id


def _address(recipients: list[str]) -> str | None:
    return one_line(_bare(recipients[0]), LONGEST_ADDRESS) if recipients else None


def _bare(address: str) -> str:
    return address.strip().removeprefix("<").removesuffix(">")
