"""How fast Temporal hands out the messages of one queue, whatever number of workers there is."""

import structlog
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

log = structlog.get_logger()

REASON = "throttle_rate of [outbound] in mailroom.toml"
# An older server, one whose operator keeps this to himself, and the one that tests skip time on.
NOT_TO_BE_HAD = (
    RPCStatusCode.UNIMPLEMENTED,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.FAILED_PRECONDITION,
)


async def keep_rate(client: Client, task_queue: str, per_minute: float) -> bool:
    """The rate of a queue (a fairness key) of weight 1; others have their weight's multiple.
    False where the server has no such thing: messages are delivered without a limit then."""
    limit = RateLimit(requests_per_second=per_minute / 60)
    wanted = UpdateTaskQueueConfigRequest(
        namespace=client.namespace,
        identity=client.identity,
        task_queue=task_queue,
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        update_fairness_key_rate_limit_default=UpdateTaskQueueConfigRequest.RateLimitUpdate(
            rate_limit=limit, reason=REASON
        ),
    )
    try:
        await client.workflow_service.update_task_queue_config(wanted)
    except RPCError as error:
        if error.status not in NOT_TO_BE_HAD:
            raise
        log.warning(
            "This Temporal server keeps no rates; throttle_rate has no effect", said=error.message
        )
        return False
    return True
