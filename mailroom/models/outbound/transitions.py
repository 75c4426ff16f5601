"""Which status may follow which: the one table that workflow, store and tests share."""

from collections.abc import Mapping

from mailroom.models.outbound.words import MessageQueueStatus as S

ENDED = frozenset({S.DELIVERED, S.BOUNCED, S.EXPIRED, S.CANCELLED})
WAITING = frozenset(S) - ENDED

_BY_PEOPLE = frozenset({S.SUSPENDED, S.CANCELLED, S.BOUNCED, S.EXPIRED})

TRANSITIONS: Mapping[S, frozenset[S]] = {
    S.SCHEDULED: _BY_PEOPLE | {S.READY, S.IN_DELIVERY},
    S.READY: _BY_PEOPLE | {S.IN_DELIVERY, S.SCHEDULED, S.DEFERRED},
    S.IN_DELIVERY: _BY_PEOPLE | {S.DELIVERED, S.DEFERRED, S.READY},
    S.DEFERRED: _BY_PEOPLE | {S.READY, S.IN_DELIVERY, S.DELIVERED},
    # Suspended is also what may have been sent and got no answer: a report may tell.
    S.SUSPENDED: _BY_PEOPLE | {S.READY, S.SCHEDULED, S.DEFERRED, S.IN_DELIVERY, S.DELIVERED},
    # The next three by reports alone: a server may accept first and bounce later (RFC 3464), and
    # one that relays for us may deliver what we have given up.
    S.DELIVERED: frozenset({S.BOUNCED}),
    S.EXPIRED: frozenset({S.DELIVERED, S.BOUNCED}),
    S.BOUNCED: frozenset({S.DELIVERED}),
    S.CANCELLED: frozenset({S.DELIVERED}),
}


def may_follow(before: S, after: S) -> bool:
    """Whether `after` may come next; staying is always allowed."""
    return before is after or after in TRANSITIONS[before]


def may_precede(after: S) -> list[S]:
    """The statuses from which a message may come to this one."""
    return [before for before in S if may_follow(before, after)]
