"""A mail about a message of ours, read: a delivery status notification, a complaint, or a bounce in
no standard form. Such mail is never answered, and never makes another one."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from uuid import UUID

from mailroom.models.base import Frozen
from mailroom.models.mail import IncomingMail, read_mail
from mailroom.models.mime import parsed
from mailroom.models.outbound.arf import Feedback, read_arf
from mailroom.models.outbound.dsn import Action, Dsn, DsnRecipient, read_dsn
from mailroom.models.outbound.loose_bounces import LooseBounce, Unreadable, read_loose
from mailroom.models.outbound.replies import reply_in
from mailroom.models.outbound.report import Report, ReportKind, ReportSource
from mailroom.models.outbound.returned import own_id

# A message of ours has one recipient; a list that it was expanded to may report many.
MOST_REPORTS = 20

Bounced = Callable[[str], UUID | None]
"""The message of a bounce address of ours."""

_KINDS = {
    Action.FAILED: ReportKind.BOUNCED,
    Action.DELAYED: ReportKind.DEFERRED,
    Action.DELIVERED: ReportKind.DELIVERED,
}


class ReturnedMail(Frozen):
    """What it says; where that is nothing that moves the message `id`, `note` says what it is. The
    mail itself is `message_id`."""

    message_id: str
    reports: tuple[Report, ...] = ()
    note: str | None = None
    id: UUID | None = None


def read_returned(
    raw: bytes, at: datetime, bounced: Bounced, id: UUID | None = None
) -> ReturnedMail | None:
    """`id`: the message whose bounce address it came to. Without it, None of all mail that does
    not say in a standard form which message it is about."""
    reading = _Reading(raw, at, bounced, id)
    found = reading.dsn() or reading.feedback()
    if found is None and id is not None:
        return reading.loose()
    return found


def may_be_returned(raw: bytes) -> bool:
    """Whether it is worth the while to read a mail that came to nobody's bounce address."""
    return b"multipart/report" in raw[: 64 << 10].lower()


class _Reading:
    def __init__(self, raw: bytes, at: datetime, bounced: Bounced, id: UUID | None) -> None:
        self._raw = raw
        self._at = at
        self._bounced = bounced
        self._id = id
        self._mail = parsed(raw)
        self._own = own_id(self._mail, raw)

    def dsn(self) -> ReturnedMail | None:
        dsn = read_dsn(self._mail)
        if dsn is None:
            return None
        id = self._id or self._bounced(dsn.returned.sender or "") or _as_id(dsn.envelope_id)
        if id is None and dsn.returned.message_id is None:
            return None
        told = list(islice(_told(dsn, one=id is not None), MOST_REPORTS))
        if not told:
            actions = ", ".join(sorted({one.action for one in dsn.recipients}))
            return self._note(f"A server says that it was {actions}.", id)
        return self._reports(*(self._of_dsn(dsn, one, id) for one in told))

    def feedback(self) -> ReturnedMail | None:
        found = read_arf(self._mail)
        if found is None:
            return None
        id = self._id or self._bounced(found.sender or "") or self._bounced(_return(found))
        if id is None and found.returned.message_id is None:
            return None
        if not found.is_complaint:
            return self._note(f"Feedback that is no complaint: {found.kind}.", id)
        return self._reports(self._of_feedback(found, id))

    def loose(self) -> ReturnedMail:
        try:
            found = read_loose(self._raw)
        except Unreadable as error:
            return self._note(str(error), self._id)
        mail = read_mail(self._raw)
        if found is None:
            return self._note(_described(mail), self._id)
        return self._reports(self._of_loose(found, mail))

    def _reports(self, *reports: Report) -> ReturnedMail:
        return ReturnedMail(message_id=self._own, reports=reports)

    def _note(self, note: str, id: UUID | None) -> ReturnedMail:
        return ReturnedMail(message_id=self._own, note=note, id=id)

    def _of_dsn(self, dsn: Dsn, told: DsnRecipient, id: UUID | None) -> Report:
        kind = _KINDS[told.action]
        recipient = told.original or told.final
        return Report(
            key=self._key(ReportSource.DSN, kind, id, dsn.returned.message_id, told.final),
            kind=kind,
            source=ReportSource.DSN,
            id=id,
            message_id=dsn.returned.message_id,
            recipient=recipient,
            at=self._at,
            reason=told.diagnostic or None,
            response=reply_in(told.diagnostic, self._at, told.status),
        )

    def _of_feedback(self, found: Feedback, id: UUID | None) -> Report:
        by = f", says {found.agent}" if found.agent else ""
        about = found.returned.message_id
        return Report(
            key=self._key(ReportSource.ARF, ReportKind.COMPLAINT, id, about, found.kind),
            kind=ReportKind.COMPLAINT,
            source=ReportSource.ARF,
            id=id,
            message_id=about,
            recipient=found.recipient,
            at=self._at,
            reason=f"{found.kind}{by}",
        )

    def _of_loose(self, found: LooseBounce, mail: IncomingMail) -> Report:
        kind = ReportKind.BOUNCED if found.failed else ReportKind.DEFERRED
        named = found.failed or found.delayed
        return Report(
            key=self._key(ReportSource.DSN, kind, self._id, None, None),
            kind=kind,
            source=ReportSource.DSN,
            id=self._id,
            recipient=next(iter(named), None),
            at=self._at,
            reason=found.said or _described(mail),
            response=reply_in(found.said, self._at) if found.said else None,
        )

    def _key(self, *parts: object) -> str:
        """The same for a mail that comes twice, as servers and spools send it."""
        own = (self._own, *parts)
        digest = hashlib.sha256("\0".join(map(str, own)).encode("utf-8", "replace")).hexdigest()
        return f"mail/{digest[:40]}"


def _told(dsn: Dsn, *, one: bool) -> Iterator[DsnRecipient]:
    """What moves a message. Where it is known which, its worst: it has one recipient."""
    for action in _KINDS:
        found = [each for each in dsn.recipients if each.action is action]
        yield from found[:1] if one else found
        if one and found:
            return


def _return(found: Feedback) -> str:
    return found.returned.sender or ""


def _as_id(envelope_id: str | None) -> UUID | None:
    """RFC 3461 §4.4: the envelope ID that we gave, which is the message's."""
    try:
        return UUID((envelope_id or "").removeprefix("outbound/"))
    except ValueError:
        return None


def _described(mail: IncomingMail) -> str:
    sender = mail.sender.address if mail.sender else "nobody"
    return f"A mail from {sender}: {mail.subject or '(no subject)'}"
