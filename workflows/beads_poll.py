"""Takes over the open messages of Beads. A Schedule starts it; another one never runs beside it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.poll_beads import PollBeads
from mailroom.models.beads import BeadsPolled
from workflows import retry_policies

# Twice a minute for `bd`, and a thousand letters.
LONGEST_POLL = timedelta(minutes=10)


@workflow.defn
class BeadsPollWorkflow:
    @workflow.run
    async def run(self) -> BeadsPolled:
        return await workflow.execute_activity_method(
            PollBeads.poll_beads,
            summary="open messages of Beads",
            start_to_close_timeout=LONGEST_POLL,
            heartbeat_timeout=retry_policies.HEARTBEAT,
            # After these the next poll is the next attempt.
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=2),
                maximum_attempts=2,
                non_retryable_error_types=retry_policies.NEVER_AGAIN,
            ),
        )
