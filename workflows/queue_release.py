"""The end of a suspension, of a queue or of a domain, campaign, tenant or pool: waited for, then
what was held goes on; a circuit lets one message through first. The state is in the store;
signals only say that it changed."""

from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.queue_release import QueueRelease
from mailroom.models.outbound.queues import (
    CircuitState,
    Ended,
    Probe,
    QueueRef,
    QueueStanding,
    Release,
)
from mailroom.models.outbound.words import QueueState
from workflows import retry_policies

LONGEST_SHARE = timedelta(minutes=30)
# The store and Temporal will be back.
RETRIES = RetryPolicy(maximum_interval=timedelta(minutes=1))


@workflow.defn
class QueueReleaseWorkflow:
    @workflow.init
    def __init__(self, queue: QueueRef) -> None:
        self.queue = queue
        self.standing = QueueStanding(queue_name=queue.queue_name, scope=queue.scope)
        self.changed = True

    @workflow.run
    async def run(self, queue: QueueRef) -> QueueStanding:
        while self.changed:
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(queue)
            self.changed = False
            self.standing = await self.look()
            if self.standing.circuit is CircuitState.HALF_OPEN:
                await self.probe()
                continue
            if self.standing.state.delivers:
                await self.release()
            if self.standing.until and self.standing.state is not QueueState.ACTIVE:
                await self.wait_for(self.standing.until, self.standing.ends_in)
        return self.standing

    async def look(self) -> QueueStanding:
        return await workflow.execute_activity_method(
            QueueRelease.queue_standing,
            self.queue,
            **retry_policies.of_record("how the queue stands"),
        )

    async def wait_for(self, until: datetime, ends_in: timedelta | None) -> None:
        left = until - workflow.now() if ends_in is None else ends_in
        if await self.says_somebody(left, "until the end of the suspension"):
            return
        await workflow.execute_activity_method(
            QueueRelease.end_suspension,
            Ended(queue_name=self.queue.queue_name, scope=self.queue.scope, until=until),
            **retry_policies.of_record("the suspension is over"),
        )
        self.changed = True

    async def probe(self) -> None:
        """What becomes of it, health tells by a signal; a probe that is lost never tells."""
        probe: Probe = await workflow.execute_activity_method(
            QueueRelease.offer_probe,
            self.queue,
            **retry_policies.of_record("one message is let through"),
        )
        await self.says_somebody(probe.again_after, "until the probe counts as lost")
        self.changed = True

    async def release(self) -> None:
        """Share by share, unless the queue is closed again meanwhile."""
        release = Release(queue_name=self.queue.queue_name, scope=self.queue.scope)
        while not (release.done or self.changed):
            release = await workflow.execute_activity_method(
                QueueRelease.release_queue,
                release,
                summary=f"what was held goes on, after {release.place.woken:,}",
                start_to_close_timeout=LONGEST_SHARE,
                heartbeat_timeout=retry_policies.HEARTBEAT,
                retry_policy=RETRIES,
            )

    async def says_somebody(self, within: timedelta, summary: str) -> bool:
        """Whether the queue's state changed within that time."""
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self.changed,
                timeout=max(within, timedelta(0)),
                timeout_summary=summary,
            )
        return self.changed

    @workflow.signal(description="the queue's state changed; it is looked at again")
    def look_again(self) -> None:
        self.changed = True

    @workflow.query(description="the queue's state as it was last looked at")
    def status(self) -> QueueStanding:
        return self.standing
