"""Removes what has outlived its retention. A Schedule starts it, once a day."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.remove_old import RemoveOld
from mailroom.models.retention import Kept, Removed, Retained, Share
from workflows import retry_policies

# A share is at most some thousand mails, each with a question to Temporal.
LONGEST_SHARE = timedelta(hours=1)


@workflow.defn
class RetentionWorkflow:
    @workflow.run
    async def run(self) -> Retained:
        # What is old enough to go altogether needs no step in between.
        rows = await self.all_of(Kept.ROWS)
        return Retained(bodies=await self.all_of(Kept.BODIES), rows=rows)

    async def all_of(self, what: Kept) -> Removed:
        removed = await self.share_of(what)
        while removed.more:
            removed += await self.share_of(what)
        return removed

    async def share_of(self, what: Kept) -> Removed:
        return await workflow.execute_activity_method(
            RemoveOld.remove_old,
            Share(what=what),
            summary=f"{what} that are too old",
            start_to_close_timeout=LONGEST_SHARE,
            heartbeat_timeout=retry_policies.HEARTBEAT,
            # After these the next day's run is the next attempt.
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=10),
                maximum_attempts=5,
                non_retryable_error_types=retry_policies.NEVER_AGAIN,
            ),
        )
