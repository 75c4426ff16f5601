"""Asks the Email Monitor for its mail. A Schedule starts it; another one never runs beside it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.poll_inbox import PollInbox
from mailroom.models.poll import Polled
from workflows import retry_policies

# Ten thousand mails at a tenth of the rate that a small machine takes.
LONGEST_POLL = timedelta(minutes=30)


@workflow.defn
class InboxPollWorkflow:
    @workflow.run
    async def run(self) -> Polled:
        return await workflow.execute_activity_method(
            PollInbox.poll_inbox,
            summary="the Email Monitor's pending mail",
            start_to_close_timeout=LONGEST_POLL,
            heartbeat_timeout=retry_policies.HEARTBEAT,
            # After these the next poll is the next attempt.
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=2),
                maximum_attempts=3,
                non_retryable_error_types=retry_policies.NEVER_AGAIN,
            ),
        )
