"""One operation of an operator over many messages: planned, perhaps confirmed, carried out."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from activities.queue_operation import QueueOperations
from mailroom.models.outbound.bulk import (
    CONFIRM_WITHIN,
    FOR_RELAYS,
    OperationProgress,
    OperationRef,
    OperationStatus,
)
from mailroom.models.outbound.operations import QueueOperationResult
from workflows import retry_policies

S = OperationStatus

# To choose among millions is one statement.
LONGEST_PLAN, LONGEST_SHARE = timedelta(minutes=15), timedelta(minutes=30)
RETRIES = RetryPolicy(
    maximum_interval=timedelta(minutes=1), non_retryable_error_types=retry_policies.NEVER_AGAIN
)


@workflow.defn
class QueueOperationWorkflow:
    @workflow.init
    def __init__(self, ref: OperationRef) -> None:
        self.ref = ref
        self.progress = OperationProgress()
        self.confirmed = ref.confirmed
        self.abandoned = False
        self.unfollowed: str | None = None

    @workflow.run
    async def run(self, ref: OperationRef) -> QueueOperationResult:
        try:
            self.progress = await self.step(QueueOperations.plan_operation, LONGEST_PLAN)
            if not ref.dry_run and await self.is_confirmed():
                await self.carry_out()
        except ActivityError as error:
            return await self.finish(S.ABANDONED, _sentence(error))
        return await self.finish(*self.ending())

    async def is_confirmed(self) -> bool:
        """Few messages, or many that somebody has looked at."""
        if self.abandoned or not self.progress.asks(self.ref):
            return not self.abandoned
        await self.step(QueueOperations.ask_operator)
        self.enter(S.AWAITING_CONFIRMATION)
        try:
            await workflow.wait_condition(
                lambda: self.confirmed or self.abandoned,
                timeout=CONFIRM_WITHIN,
                timeout_summary="for somebody who confirms it",
            )
        except TimeoutError:
            return False
        return self.confirmed and not self.abandoned

    async def carry_out(self) -> None:
        await self.step(QueueOperations.begin_operation)
        self.enter(S.RUNNING)
        if self.ref.whole and not self.abandoned:
            # What is opened may also have messages that were suspended one by one.
            self.progress = await self.step(QueueOperations.operate_on_whole)
        while not (self.progress.is_done or self.abandoned):
            self.progress = await workflow.execute_activity_method(
                QueueOperations.operate_on_share,
                self.ref,
                summary=f"{self.ref.operation}, after {self.progress.done:,} messages",
                start_to_close_timeout=LONGEST_SHARE,
                heartbeat_timeout=retry_policies.HEARTBEAT,
                retry_policy=RETRIES,
            )
        if self.progress.is_done and self.ref.operation in FOR_RELAYS:
            self.unfollowed = await self.step(QueueOperations.tell_relay)

    def ending(self) -> tuple[OperationStatus, str | None]:
        if self.ref.dry_run or (self.progress.status is S.RUNNING and self.progress.is_done):
            return S.COMPLETED, self.unfollowed
        if self.progress.status is S.RUNNING:
            return S.ABANDONED, f"stopped after {self.progress.done:,} messages"
        why = "abandoned by an operator" if self.abandoned else "nobody confirmed it in time"
        return S.ABANDONED, f"{why}; no message was changed"

    async def step(
        self, method: Callable[..., Any], within: timedelta = timedelta(minutes=1)
    ) -> Any:
        return await workflow.execute_activity_method(
            method,
            self.ref,
            start_to_close_timeout=within,
            heartbeat_timeout=retry_policies.HEARTBEAT,
            retry_policy=RETRIES,
        )

    async def finish(self, status: OperationStatus, error: str | None) -> QueueOperationResult:
        result: QueueOperationResult = await workflow.execute_activity_method(
            QueueOperations.finish_operation,
            args=[self.ref, status, error],
            **retry_policies.of_record("it is written down for good"),
        )
        self.enter(status)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    def enter(self, status: OperationStatus) -> None:
        self.progress = self.progress.model_copy(update={"status": status})

    @workflow.signal(description="all messages that were counted are meant")
    def confirm(self) -> None:
        self.confirmed = True

    @workflow.signal(description="it changes no more messages")
    def abandon(self) -> None:
        self.abandoned = True

    @workflow.update(description="answers when it has ended, or asks to be confirmed")
    async def at_rest(self) -> OperationProgress:
        await workflow.wait_condition(self.is_at_rest)
        return self.progress

    @workflow.query(description="how far it is")
    def status(self) -> OperationProgress:
        return self.progress

    def is_at_rest(self) -> bool:
        asks = self.progress.status is S.AWAITING_CONFIRMATION
        return self.progress.status.ended or (asks and not (self.confirmed or self.abandoned))


def _sentence(error: ActivityError) -> str:
    cause = error.cause
    return cause.message if isinstance(cause, ApplicationError) else str(cause or error)
