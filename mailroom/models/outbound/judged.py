"""What a report does to the message that it is about."""

from collections.abc import Iterable
from uuid import UUID

from mailroom.models.base import Frozen
from mailroom.models.outbound.bounces import BounceRule, Classification, classify, complained
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.message import Event
from mailroom.models.outbound.report import Report, ReportKind, ReportSource
from mailroom.models.outbound.suppression import SuppressionReason, suppressed_form
from mailroom.models.outbound.transitions import may_precede
from mailroom.models.outbound.words import BounceType, MessageQueueStatus

LONGEST_REASON = 500

_EVENTS = {
    ReportKind.DELIVERED: Event.DELIVERED,
    ReportKind.DEFERRED: Event.DEFERRED,
    ReportKind.BOUNCED: Event.BOUNCED,
    ReportKind.EXPIRED: Event.EXPIRED,
    ReportKind.COMPLAINT: Event.COMPLAINT,
}


class ReportedOn(Frozen):
    """What has to be known of a message."""

    id: UUID
    recipient: str
    tenant_id: str | None = None


class Judged(Frozen):
    """`why` has nothing that others wrote: it goes into histories. `before`: the statuses that
    it may follow; `suppress` is why the recipient gets no more mail."""

    id: UUID
    key: str
    source: ReportSource
    kind: ReportKind
    event: Event
    status: MessageQueueStatus | None
    before: tuple[MessageQueueStatus, ...]
    why: str
    reason: str | None = None
    bounce_type: BounceType | None = None
    category: str | None = None
    response: SmtpResponse | None = None
    num_attempts: int | None = None
    outcome: str | None = None
    suppress: SuppressionReason | None = None
    address: str
    tenant_id: str


def judged(report: Report, message: ReportedOn, rules: Iterable[BounceRule] = ()) -> Judged:
    found = _classified(report, rules)
    kind = (report.bounce_type or found.type) if found else None
    status = report.kind.status
    return Judged(
        id=message.id,
        key=report.key,
        source=report.source,
        kind=report.kind,
        event=_EVENTS[report.kind],
        status=status,
        before=tuple(may_precede(status)) if status else (),
        why=found.why if found else "Its recipient's server has it.",
        reason=found.reason[:LONGEST_REASON] if found else None,
        bounce_type=kind,
        category=found.category if found else None,
        response=report.response,
        num_attempts=report.num_attempts,
        outcome=_outcome(report.kind, kind),
        suppress=_suppress(report, found),
        address=suppressed_form(message.recipient),
        tenant_id=message.tenant_id or "",
    )


def of_message(report: Report, rows: list[ReportedOn]) -> ReportedOn | None:
    """Which of the messages with the same Message-ID. A complaint may keep its recipient to itself
    (RFC 6590); whoever reports a bounce names whom it was for."""
    if report.recipient:
        wanted = suppressed_form(report.recipient)
        named = [row for row in rows if suppressed_form(row.recipient) == wanted]
        if named:
            return named[0] if len(named) == 1 else None
    alone = report.kind is ReportKind.COMPLAINT and len(rows) == 1
    return rows[0] if alone else None


def _classified(report: Report, rules: Iterable[BounceRule]) -> Classification | None:
    """None of what was delivered."""
    if report.kind is ReportKind.DELIVERED:
        return None
    if report.kind is ReportKind.COMPLAINT:
        return complained(report.reason or "")
    found = classify(report.response, report.reason or "", rules)
    if report.kind is ReportKind.EXPIRED:
        # What it waited for all the time says more than that it waited.
        return found.model_copy(update={"suppresses": False})
    return found


def _outcome(kind: ReportKind, bounce: BounceType | None) -> str | None:
    """What it says of the recipient's domain."""
    match kind:
        case ReportKind.BOUNCED:
            return "blocked" if bounce is BounceType.BLOCK else "bounced"
        case ReportKind.EXPIRED:
            return "bounced"
        case _:
            return kind.value


def _suppress(report: Report, found: Classification | None) -> SuppressionReason | None:
    if report.kind is ReportKind.COMPLAINT:
        return SuppressionReason.COMPLAINT
    if report.kind is not ReportKind.BOUNCED or found is None:
        return None
    known = report.suppresses
    suppresses = found.suppresses if known is None else known
    return SuppressionReason.HARD_BOUNCE if suppresses else None
