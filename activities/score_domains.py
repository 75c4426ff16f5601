"""Looks at all domains, once a minute: counts results, scores, opens and judges circuits."""

from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from temporalio import activity

from activities.add_up import AddUp
from activities.mirror_suspensions import MirrorSuspensions
from activities.queue_release import for_all
from mailroom.models.outbound.health import HealthSection, ScoredDomain, scored, sentence
from mailroom.models.outbound.queues import HealthRun, QueueRef
from mailroom.ports.outbound import MessageFlows
from mailroom.ports.queues import Circuits, DomainHealthStore, QueueFlows, QueueStates

log = structlog.get_logger()

RESULTS_AT_ONCE, MOST_FOLDS = 5_000, 50
DOMAINS_AT_ONCE, MOST_PAGES = 500, 50
"""The next minute takes the others."""
MOST_LATE = 500


@dataclass(frozen=True)
class ScoreDomains:
    health: DomainHealthStore
    circuits: Circuits
    states: QueueStates
    queues: QueueFlows
    messages: MessageFlows
    terms: HealthSection
    counts: AddUp
    mirror: MirrorSuspensions | None = None

    @activity.defn
    async def score_domains(self) -> HealthRun:
        await self.counts.add_up()
        results = await self.fold()
        # Before the scores: a circuit that closes begins anew.
        judged = await self.circuits.judge()
        await for_all(self.queues.look_after, judged)
        domains, opened = await self.score()
        await for_all(self.look_after, await self.states.overdue(MOST_LATE))
        stranded = await self.states.stranded(MOST_LATE)
        await for_all(self.messages.wake, stranded)
        await self.health.tidy()
        await self.states.tidy(self.terms.forget_after)
        mirrored = await self.mirror.align() if self.mirror else 0
        return HealthRun(
            results=results,
            domains=domains,
            opened=opened,
            judged=len(judged),
            woken=len(stranded),
            mirrored=mirrored,
        )

    async def look_after(self, late: QueueRef) -> None:
        await self.queues.look_after(late.queue_name, late.scope)

    async def fold(self) -> int:
        results = 0
        for _ in range(MOST_FOLDS):
            folded = await self.health.fold(RESULTS_AT_ONCE)
            results += folded
            if folded < RESULTS_AT_ONCE or activity.is_worker_shutdown():
                break
        return results

    async def score(self) -> tuple[int, int]:
        """How many domains have a new score, and how many circuits opened."""
        domains = opened = 0
        for _ in range(MOST_PAGES):
            now, readings = await self.health.due(DOMAINS_AT_ONCE)
            scores = [scored(each, now, self.terms) for each in readings]
            if scores:
                await self.health.keep(now, scores)
                opened += await self.open(scores)
            domains += len(scores)
            if len(scores) < DOMAINS_AT_ONCE or activity.is_worker_shutdown():
                break
        return domains, opened

    async def open(self, scores: Iterable[ScoredDomain]) -> int:
        if not self.terms.circuits:
            return 0
        bad = [each for each in scores if each.score < self.terms.open_below]
        reasons = {each.domain: sentence(each.score, each.tally) for each in bad}
        opened = await self.circuits.open(reasons) if reasons else []
        for domain in opened:
            log.warning("a circuit opened", domain=domain, reason=reasons[domain])
        await for_all(self.queues.look_after, opened)
        return len(opened)
