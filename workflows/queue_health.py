"""How well mail to each domain goes. A Schedule starts it, every minute; none runs beside it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.score_domains import ScoreDomains
from mailroom.models.outbound.queues import HealthRun
from workflows import retry_policies

LONGEST_RUN = timedelta(minutes=10)


@workflow.defn
class QueueHealthWorkflow:
    @workflow.run
    async def run(self) -> HealthRun:
        return await workflow.execute_activity_method(
            ScoreDomains.score_domains,
            summary="health of domains",
            start_to_close_timeout=LONGEST_RUN,
            heartbeat_timeout=retry_policies.HEARTBEAT,
            # After these the next minute's run is the next attempt.
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=2),
                maximum_attempts=3,
                non_retryable_error_types=retry_policies.NEVER_AGAIN,
            ),
        )
