"""How often and how long each step of a letter is tried."""

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig, LocalActivityConfig

from mailroom.models.agent_mail import LetterState, Terms
from workflows.retry_policies import HEARTBEAT

STORE_PAUSE = timedelta(seconds=10)
# A terminal, a webhook or a command takes half a minute at most each.
SLOWEST_CHANNEL = timedelta(minutes=2)


# Below the ten seconds after which Temporal gives a workflow's task to another worker.
AT_ONCE = LocalActivityConfig(
    start_to_close_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(maximum_attempts=1),
)


def of_delivery(terms: Terms) -> ActivityConfig:
    """A try, and retries for a session that does not confirm (seed 002: after 1, 2 and 4 s)."""
    return ActivityConfig(
        start_to_close_timeout=terms.confirm_within + SLOWEST_CHANNEL,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=RetryPolicy(
            initial_interval=terms.confirm_pause,
            backoff_coefficient=terms.confirm_backoff,
            maximum_interval=terms.confirm_longest_pause,
            maximum_attempts=terms.confirm_retries + 1,
        ),
    )


def of_settling(state: LetterState) -> ActivityConfig:
    """A row must be written; the store will be back."""
    return ActivityConfig(
        summary=state.value,
        start_to_close_timeout=timedelta(seconds=30),
        retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
    )


def of_telling(summary: str) -> ActivityConfig:
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=90),
        heartbeat_timeout=HEARTBEAT,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=2),
            maximum_attempts=3,
            non_retryable_error_types=["Permanent"],
        ),
    )
