"""KumoMTA's records as reports about messages."""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

from mailroom.models.mail import MESSAGE_ID, read_mail
from mailroom.models.outbound.bounces import classify
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
    if record.type == "OOB":
        # The mail that brought it went to the envelope sender of ours; all else is a stranger's.
        id, message_id = bounced_to(record.sender), None
    else:
        id, message_id = _our_id(record.meta), _message_id(_header(record.headers, "message-id"))
    return _report(record, kind, id, message_id) if id or message_id else None


def _report(record: LogRecord, kind: ReportKind, id: UUID | None, message_id: str | None) -> Report:
    by_operator = record.type == "AdminBounce"
    return Report(
        key=record.key,
        kind=kind,
        source=ReportSource.KUMOMTA,
        id=id,
        message_id=message_id,
        recipient=_address(record.recipient),
        at=record.at,
        reason=_by_operator(record) if by_operator else _reason(record, kind),
        bounce_type=BounceType.UNKNOWN if by_operator else _type(record, kind),
        suppresses=False if by_operator else _suppresses(record),
        # Nobody's server said anything about the recipient.
        response=None if by_operator else record.answer,
        num_attempts=None if record.type == "OOB" else record.num_attempts,
    )


def _complaint(
    record: LogRecord, feedback: FeedbackReport, bounced_to: Callable[[str], UUID | None]
) -> Report | None:
    kind = feedback.feedback_type.strip().lower()
    id = bounced_to(_bare(feedback.original_mail_from or ""))
    message_id = _original_id(feedback)
    if kind in NO_COMPLAINTS or (id is None and message_id is None):
        return None
    return Report(
        key=record.key,
        kind=K.COMPLAINT,
        source=ReportSource.KUMOMTA,
        id=id,
        message_id=message_id,
        recipient=_address(feedback.original_rcpto_to),
        at=record.at,
        reason=one_line(f"{kind}, reported by {feedback.user_agent or 'a mail provider'}", 200),
        bounce_type=BounceType.COMPLAINT,
    )


def _by_operator(record: LogRecord) -> str:
    said = record.answer.message if record.answer else "no reason"
    return f"An operator of KumoMTA bounced it: {said}"


def _reason(record: LogRecord, kind: ReportKind) -> str | None:
    """What was said, in words that the response's classification explains."""
    if kind is K.DELIVERED or record.answer is None:
        return None
    return classify(record.answer, "").reason


def _type(record: LogRecord, kind: ReportKind) -> BounceType | None:
    """KumoMTA's own class, where it has one, as its rules are the operator's."""
    if kind is K.DELIVERED:
        return None
    if kind is K.EXPIRED:
        return BounceType.SOFT
    known = CLASSES.get(record.bounce_classification or "")
    type = known or classify(record.answer, "").type
    # It is tried again: whatever it is, it is not for good (RFC 3463 §2).
    return BounceType.SOFT if kind is K.DEFERRED and type is BounceType.HARD else type


def _suppresses(record: LogRecord) -> bool | None:
    known = CLASSES.get(record.bounce_classification or "")
    return known is BounceType.HARD if known else None


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
