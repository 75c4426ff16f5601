"""The end of a queue's suspension, in steps: whether it has ended, a probe, those that waited."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from temporalio import activity

from mailroom.models.outbound.health import HealthSection
from mailroom.models.outbound.queues import Ended, Probe, QueueRef, QueueStanding, Release
from mailroom.ports.outbound import MessageFlows
from mailroom.ports.queues import Circuits, QueueStates

T = TypeVar("T")

PAGE = 100
AT_ONCE = 20
# A share's end is in the workflow's history: who goes on after a kill begins there.
SHARE = 5_000


@dataclass(frozen=True)
class QueueRelease:
    states: QueueStates
    circuits: Circuits
    messages: MessageFlows
    terms: HealthSection

    @activity.defn
    async def queue_standing(self, queue: QueueRef) -> QueueStanding:
        return await self.states.standing(queue.queue_name, queue.scope)

    @activity.defn
    async def end_suspension(self, ended: Ended) -> bool:
        return await self.states.end(ended.queue_name, ended.until, ended.scope)

    @activity.defn
    async def offer_probe(self, queue: QueueRef) -> Probe:
        """One of those that wait; where none does, the first that comes."""
        waiting = await self.circuits.offer_probe(queue.queue_name)
        if waiting is None:
            return Probe(woken=False, again_after=self.terms.longest_opening)
        await self.messages.wake(waiting)
        return Probe(woken=True, again_after=self.terms.probe_again)

    @activity.defn
    async def release_queue(self, release: Release) -> Release:
        """A share of those that wait; `done` when there are no more. Who is woken twice asks its
        queue twice, and no more than that."""
        begun = release.place.woken
        while release.place.woken - begun < SHARE:
            place = release.place
            page = await self.states.held(release.queue_name, place, PAGE, release.scope)
            await for_all(self.messages.wake, page)
            release = release.moved(page)
            if release.done or activity.is_worker_shutdown():
                break
        return release


async def for_all(
    do: Callable[[T], Awaitable[None]], these: Iterable[T], at_once: int = AT_ONCE
) -> None:
    """Some at once; the first failure, once all have been tried."""
    limit = asyncio.Semaphore(at_once)

    async def each(one: T) -> None:
        async with limit:
            await do(one)

    told = await asyncio.gather(*map(each, these), return_exceptions=True)
    for failed in filter(None, told):
        raise failed
