"""Signals and updates whose arguments no handler takes.

The SDK drops what it can't decode, but calls handlers with too few or too many arguments, with
nil and with raw bytes. The error that follows would stop the workflow for good: one `temporal
workflow signal` without `--input` would do.
"""

import inspect
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


class CheckedArguments(Interceptor):
    """Such signals change nothing; such updates are refused."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return _Checking


class _Checking(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:
        if _takes(input.signal, input.args):
            await super().handle_signal(input)
        else:
            workflow.logger.warning("The signal %s came with other arguments", input.signal)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        if _takes(input.update, input.args):
            return await super().handle_update_handler(input)
        raise ApplicationError(f"{input.update} does not take these arguments.")


def _takes(handler: str, arguments: Sequence[Any]) -> bool:
    """Whether the workflow's method of this name takes them."""
    here = workflow.instance()
    signature = inspect.signature(getattr(type(here), handler))
    try:
        (_, *given) = signature.bind(here, *arguments).arguments.items()
    except TypeError:
        return False
    return all(isinstance(value, signature.parameters[name].annotation) for name, value in given)
