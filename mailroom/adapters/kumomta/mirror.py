"""What we suspend, in KumoMTA. It forgets its suspensions when it restarts; ours are durable, so
they are compared and said again.

One there is ours if its reason begins with `Mailroom: `. Who suspends the same once more takes the
place of the one before, so what somebody else holds is not touched: it is held.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from mailroom.adapters.kumomta.admin import KumoAdmin
from mailroom.adapters.kumomta.shapes import ReadyQueueSuspension, Suspension
from mailroom.models.outbound.kumo_queues import Which
from mailroom.models.outbound.scopes import SuspensionScope
from mailroom.models.outbound.suspensions import Held

OURS = "Mailroom: "
# KumoMTA does not list by which names of queues it suspends: ours stand in the reason.
OF_QUEUE = f"{OURS}queue "
# KumoMTA has none without an end.
FOREVER = timedelta(days=365)
# Two clocks, and the way there.
TOLERANCE = timedelta(minutes=2)

Entry = Suspension | ReadyQueueSuspension
Target = Which | str
"""Scheduled queues, or the name of a ready one."""


class There(NamedTuple):
    """All that is suspended there."""

    scheduled: Sequence[Suspension]
    ready: Sequence[ReadyQueueSuspension]

    @property
    def entries(self) -> list[Entry]:
        return [*self.scheduled, *self.ready]


async def there(admin: KumoAdmin) -> There:
    return There(await admin.suspensions(), await admin.ready_queue_suspensions())


def target_of(scope: SuspensionScope | None, name: str) -> Target | None:
    """None for what has no counterpart: a pool, a name that no queue of KumoMTA's has."""
    if scope is SuspensionScope.POOL:
        return None
    if scope:
        return Which.model_validate({scope.value: name})
    if any(letter.isspace() for letter in name):
        return None
    return name if is_ready_queue(name) else Which(queue_names=(name,))


def is_ready_queue(name: str) -> bool:
    """`source->site@protocol`"""
    return "->" in name


def is_about(entry: Entry) -> Target:
    if isinstance(entry, ReadyQueueSuspension):
        return entry.name
    if entry.reason.startswith(OF_QUEUE):
        name, _, _ = entry.reason.removeprefix(OF_QUEUE).partition(": ")
        return Which(queue_names=(name,))
    return Which(campaign=entry.campaign, tenant=entry.tenant, domain=entry.domain)


async def lift(admin: KumoAdmin, scope: SuspensionScope | None, name: str) -> None:
    if (target := target_of(scope, name)) is not None:
        for entry in (await there(admin)).entries:
            if is_ours(entry) and is_about(entry) == target:
                await _lift(admin, entry)


async def align(admin: KumoAdmin, theirs: There, ours: Sequence[Held]) -> int:
    """`theirs` were read before `ours`: what we hold since is there, and no mistake."""
    changed = 0
    for entry in superfluous(theirs.entries, ours):
        changed += await _lift(admin, entry)
    for one in ours:
        changed += await hold(admin, one, theirs)
    return changed


def superfluous(theirs: Iterable[Entry], ours: Iterable[Held]) -> list[Entry]:
    """Those that we made there, and that have ended here."""
    wanted = [target_of(one.scope, one.name) for one in ours]
    return [each for each in theirs if is_ours(each) and is_about(each) not in wanted]


def is_ours(entry: Entry) -> bool:
    return entry.reason.startswith(OURS)


async def hold(admin: KumoAdmin, ours: Held, theirs: There) -> bool:
    """Whether anything was to be said."""
    if (target := target_of(ours.scope, ours.name)) is None:
        return False
    length = left(ours, datetime.now(UTC))
    known = next((each for each in theirs.entries if is_about(each) == target), None)
    if length <= timedelta() or (known and not differs(known, ours, length)):
        return False
    if isinstance(target, str):
        await admin.suspend_ready_queue(target, reason_of(ours), length)
    else:
        await admin.suspend(target, reason_of(ours), length)
    return True


def differs(known: Entry, ours: Held, length: timedelta) -> bool:
    """Whether ours has another reason or end by now. What somebody else set there stays."""
    if not is_ours(known):
        return False
    off = TOLERANCE if ours.until else FOREVER / 2
    return known.reason != reason_of(ours) or abs(known.duration - length) > off


def left(ours: Held, now: datetime) -> timedelta:
    return min(ours.until - now, FOREVER) if ours.until else FOREVER


def reason_of(ours: Held) -> str:
    return f"{OURS}{ours.reason}" if ours.scope else f"{OF_QUEUE}{ours.name}: {ours.reason}"


async def _lift(admin: KumoAdmin, entry: Entry) -> bool:
    if isinstance(entry, ReadyQueueSuspension):
        return await admin.lift_ready_queue(entry.id)
    return await admin.lift(entry.id)
