"""Signs of life, so that the end of a worker shows long before a step's time is over."""

import asyncio
from contextvars import ContextVar
from typing import Any

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

SECONDS_BETWEEN_BEATS = 5
_noted: ContextVar[list[object]] = ContextVar("noted")


def note(detail: object) -> None:
    """What another try of this step is to know (`heartbeat_details`). Beats repeat it: each takes
    the place of the one before."""
    # A step without a heartbeat time-out, or one that is run by itself, has no beats.
    _noted.get([])[:] = [detail]
    activity.heartbeat(detail)


class Heartbeats(Interceptor):
    """Every step that has a heartbeat time-out beats; steps know nothing of it."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if activity.info().heartbeat_timeout is None:
            return await self.next.execute_activity(input)
        # What an earlier try has noted stays known until this one notes something else: a beat
        # without it would take its place.
        noted: list[object] = list(activity.info().heartbeat_details)
        _noted.set(noted)
        beats = asyncio.create_task(_beat(noted))
        try:
            return await self.next.execute_activity(input)
        finally:
            beats.cancel()


async def _beat(noted: list[object]) -> None:
    # The step's start counts as the first beat, so that most steps end before they send any.
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_BEATS)
        activity.heartbeat(*noted)
