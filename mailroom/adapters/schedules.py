"""Temporal Schedules as a worker wants them at its start."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from mailroom.models.names import MAIL_TASK_QUEUE

# The shortest that Temporal knows: what was missed while it was away, the next run does too.
CATCH_UP = timedelta(seconds=10)


@dataclass(frozen=True)
class Repeated:
    """A workflow, started every so often, never twice at once."""

    id: str
    workflow: Callable[..., Awaitable[object]]
    every: timedelta
    note: str
    catch_up: timedelta = CATCH_UP
    arguments: tuple[object, ...] = ()


async def keep(client: Client, wanted: Repeated) -> None:
    """Creates the Schedule, or brings it up to date. One that an operator paused stays paused."""
    schedule = _schedule(wanted)
    try:
        await client.create_schedule(wanted.id, schedule, trigger_immediately=True)
    except ScheduleAlreadyRunningError:

        def updated(found: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(replace(schedule, state=found.description.schedule.state))

        await client.get_schedule_handle(wanted.id).update(updated)


async def drop(client: Client, schedule_id: str) -> None:
    """Deletes the Schedule, if there is one."""
    try:
        await client.get_schedule_handle(schedule_id).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


def _schedule(wanted: Repeated) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            wanted.workflow,
            args=list(wanted.arguments),
            id=wanted.id,
            task_queue=MAIL_TASK_QUEUE,
            static_summary=wanted.note,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=wanted.every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=wanted.catch_up),
    )
