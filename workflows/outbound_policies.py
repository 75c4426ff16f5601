"""How often and how long the steps of outbound messages are tried."""

from datetime import timedelta

from temporalio.common import Priority, RetryPolicy
from temporalio.workflow import ActivityConfig

from mailroom.models.names import DELIVERY_TASK_QUEUE, MAIL_TASK_QUEUE, fairness_key
from mailroom.models.outbound.message import OutboundMessage
from mailroom.models.outbound.orders import temporal_priority
from workflows.retry_policies import HEARTBEAT, of_record


def of_delivery(message: OutboundMessage, left: timedelta) -> ActivityConfig:
    """What a server answers is an outcome, and no failure of the step. The step fails where
    something of ours is away, or where a destination has as many connections as it may have.

    `left` is how long it may wait for its turn: then it expires."""
    return ActivityConfig(
        task_queue=DELIVERY_TASK_QUEUE,
        priority=Priority(
            priority_key=temporal_priority(message.priority),
            fairness_key=fairness_key(message.queue_name),
            fairness_weight=message.weight,
        ),
        schedule_to_start_timeout=left,
        # The answer to the final dot alone may take 10 minutes (RFC 5321 §4.5.3.2.6).
        start_to_close_timeout=timedelta(minutes=25),
        heartbeat_timeout=HEARTBEAT,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=1),
            maximum_interval=timedelta(minutes=1),
            non_retryable_error_types=["Permanent"],
        ),
    )


def of_settling(event: str) -> ActivityConfig:
    """Not where deliveries wait for their turn."""
    return ActivityConfig(**of_record(event), task_queue=MAIL_TASK_QUEUE)
