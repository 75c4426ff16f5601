"""Where one mail stands: its progress, how its workflow waits, and what people see of it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow

from activities.record import Record
from mailroom.models.email_reply import EmailReplyInput, Heard, Progress, RecordInput, SupersededBy
from mailroom.models.names import REASON_LATER_MAIL, REASON_SUPERSEDED
from mailroom.models.states import MailState, Stage, advance
from workflows import retry_policies
from workflows.display import details
from workflows.search_attributes import MAIL_STATE


class Ended(Exception):
    """The mail's story ends here, wherever it was."""

    def __init__(self, state: MailState, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


class OneMail:
    def __init__(self, mail: EmailReplyInput) -> None:
        self.input = mail
        self.ref = mail.mail
        self.progress = mail.carried or Progress()

    def spoken(self) -> bool:
        progress = self.progress
        return progress.word is not None or progress.expired or progress.superseded is not None

    async def spoken_by(self, deadline: datetime) -> bool:
        return await self.until(self.spoken, deadline)

    async def until(self, condition: Callable[[], bool], deadline: datetime) -> bool:
        """Whether the condition came true by the deadline."""
        if condition():
            return True
        remaining = deadline - workflow.now()
        if remaining <= timedelta(0):
            return False
        try:
            await workflow.wait_condition(
                lambda: condition() or workflow.info().is_continue_as_new_suggested(),
                timeout=remaining,
                timeout_summary=f"until {deadline:%Y-%m-%d %H:%M} UTC",
            )
        except TimeoutError:
            return False
        if not condition():
            await workflow.wait_condition(workflow.all_handlers_finished)
        if not condition():
            workflow.continue_as_new(self.input.model_copy(update={"carried": self.progress}))
        return True

    def end_if_superseded(self) -> None:
        match self.progress.superseded:
            case SupersededBy.OWNER:
                raise Ended(MailState.USER_IGNORED, REASON_SUPERSEDED)
            case SupersededBy.LATER_MAIL:
                raise Ended(MailState.USER_IGNORED, REASON_LATER_MAIL)

    def policy(self, stage: Stage, summary: str) -> workflow.ActivityConfig:
        return retry_policies.of_stage(stage, self.input.attempts, summary)

    def enter(self, state: MailState) -> None:
        self.progress.state = advance(self.progress.state, state)

    def next_step(self) -> int:
        self.progress.step += 1
        return self.progress.step

    async def record(self, said: Heard | None = None, *, closed: bool = False) -> None:
        """`said`: the word that led here, where another one may follow already."""
        progress = self.progress
        await workflow.execute_activity_method(
            Record.record,
            RecordInput(
                mail=self.ref,
                step=self.next_step(),
                state=progress.state,
                reason=progress.reason,
                failed_stage=progress.failed_stage,
                error=progress.error,
                retries=progress.retries,
                word=said or progress.word,
                closed=closed,
            ),
            **retry_policies.of_record(progress.state),
        )

    def show(self) -> None:
        """The points of rest, where people look."""
        workflow.upsert_search_attributes([MAIL_STATE.value_set(self.progress.state)])
        workflow.set_current_details(details(self.ref, self.progress))
