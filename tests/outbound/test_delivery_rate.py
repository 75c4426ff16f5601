"""The rate of queues, where a Temporal server has no such thing."""

import pytest
from temporalio.testing import WorkflowEnvironment

from mailroom.adapters.delivery_rate import keep_rate
from mailroom.models.names import DELIVERY_TASK_QUEUE


async def test_a_server_without_rates_is_no_obstacle(
    env: WorkflowEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not await keep_rate(env.client, DELIVERY_TASK_QUEUE, 6_000)
    assert "throttle_rate has no effect" in capsys.readouterr().out
