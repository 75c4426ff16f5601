"""A stage that failed waits for `retry`, or for a word that makes it needless."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.ask_again import AskAgain
from mailroom.models.email_reply import AskAgainInput, Notice
from mailroom.models.names import (
    REASON_BOUNCED,
    REASON_BY_OPERATOR,
    REASON_BY_OWNER,
    REASON_SEND_UNKNOWN,
)
from mailroom.models.states import MailState, Stage
from mailroom.models.words import Ignore
from workflows import retry_policies
from workflows.failures import cause, is_ours, is_send_unknown
from workflows.one_mail import Ended, OneMail
from workflows.telling import Telling

T = TypeVar("T")
# After that a mail may be what our worker or store dies of.
OWN_RETRIES = 3


class Stages:
    def __init__(self, mail: OneMail, telling: Telling) -> None:
        self.mail = mail
        self.telling = telling
        self.retry_asked = False

    async def through(self, stage: Stage, attempt: Callable[[], Awaitable[T]]) -> T:
        if self.mail.progress.failed_stage is stage:
            # A later run of a mail that failed: what people see does not come along.
            self.mail.show()
            await self.until_mended(stage)
        while True:
            try:
                return await attempt()
            except ActivityError as error:
                await self.fail(stage, error)
                await self.until_mended(stage)

    async def fail(self, stage: Stage, error: ActivityError) -> None:
        progress = self.mail.progress
        unknown = is_send_unknown(error)
        self.mail.enter(MailState.FAILED)
        progress.error = cause(error)
        progress.reason = REASON_SEND_UNKNOWN if unknown else f"{stage} failed"
        progress.failed_stage = stage
        progress.failed_at = workflow.now()
        said = progress.word
        if stage is Stage.REPLY and not unknown and workflow.patched("words-while-it-fails"):
            # Whoever reads that it failed may be there with another word before this is.
            progress.word = None
        await self.mail.record(said)
        if unknown:
            await self.ask_whether_to_send_again()
        if stage is Stage.REPLY and progress.word is said:
            progress.word = None
        if is_ours(error) and progress.retries < OWN_RETRIES:
            # Store and worker were back when the failure could be recorded.
            self.retry_asked = True
            return
        self.mail.show()
        await self.telling.tell(Notice.SEND_UNKNOWN if unknown else Notice.FAILED)

    async def came_back(self, why: str) -> None:
        """A server took the reply, and reported later that it could not deliver it."""
        progress = self.mail.progress
        progress.error, progress.reason = why, REASON_BOUNCED
        progress.failed_stage, progress.failed_at = Stage.REPLY, workflow.now()
        await self.mail.record()
        await self.ask_whether_to_send_again()
        await self.telling.owners_hours()
        await self.telling.tell(Notice.BOUNCED)

    async def ask_whether_to_send_again(self) -> None:
        """The same draft under a new code, so that an old `1` can't send it twice."""
        mail, progress = self.mail, self.mail.progress
        assert progress.draft is not None
        progress.draft = await workflow.execute_activity_method(
            AskAgain.ask_again,
            AskAgainInput(
                mail=mail.ref,
                step=mail.next_step(),
                draft=progress.draft,
                reason=progress.reason or REASON_SEND_UNKNOWN,
            ),
            **retry_policies.of_record("send it again?"),
        )
        progress.wanted_revision = progress.texted_revision = progress.draft.revision

    async def until_mended(self, stage: Stage) -> None:
        mail, progress = self.mail, self.mail.progress
        give_up = (progress.failed_at or workflow.now()) + retry_policies.FAILED_WAITS
        if not await mail.until(lambda: self.retry_asked or mail.spoken(), give_up):
            raise Ended(MailState.FAILED, f"{progress.reason}; nobody mended it in 7 days")
        mail.end_if_superseded()
        if progress.word and isinstance(progress.word.command, Ignore):
            raise Ended(MailState.USER_IGNORED, REASON_BY_OWNER)
        if progress.word is None and progress.expired:
            raise Ended(MailState.TIMEOUT, REASON_BY_OPERATOR)
        self.mend(stage)

    def mend(self, stage: Stage) -> None:
        progress = self.mail.progress
        if stage is Stage.REPLY:
            progress.word = progress.approved = progress.word or progress.approved
            progress.sends += progress.reason == REASON_SEND_UNKNOWN
        progress.retries += 1
        progress.failed_stage = progress.error = progress.reason = None
        self.retry_asked = False
