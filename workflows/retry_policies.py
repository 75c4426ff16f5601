"""How often and how long each step is tried: the one table (design: "Activities and retry
policies"). Counts are totals, the first try included."""

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

from mailroom.models.states import Stage

NEVER_AGAIN = ["Permanent", "SendUnknown"]
FAILED_WAITS = timedelta(days=7)

_FIRST_PAUSE = {
    Stage.DRAFT: timedelta(seconds=2),
    Stage.SMS: timedelta(seconds=2),
    Stage.REPLY: timedelta(seconds=5),
}

# Longer than the sum of the socket time-outs inside.
_LONGEST_TRY = {
    Stage.DRAFT: timedelta(seconds=90),
    Stage.SMS: timedelta(seconds=90),
    # The answer to the final dot alone may take 10 minutes (RFC 5321 §4.5.3.2.6).
    Stage.REPLY: timedelta(minutes=15),
}

# A worker that was killed shows in 15 s; its step is tried again then.
HEARTBEAT = timedelta(seconds=15)


def of_stage(stage: Stage, attempts: int, summary: str) -> ActivityConfig:
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=_LONGEST_TRY[stage],
        heartbeat_timeout=HEARTBEAT,
        retry_policy=RetryPolicy(
            initial_interval=_FIRST_PAUSE[stage],
            maximum_attempts=attempts,
            non_retryable_error_types=NEVER_AGAIN,
        ),
    )


def of_record(summary: str) -> ActivityConfig:
    """A row must be written; the store will be back."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=30),
        retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
    )
