"""One e-mail: a draft, a text to its owner, the owner's word, the reply."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.ask_again import AskAgain
from activities.draft_reply import DraftReply
from activities.postpone import Postpone
from activities.record import Record
from activities.say import Say
from activities.send_reply import SendReply
from activities.text_owner import TextOwner
from activities.write_owner import WriteOwner
from mailroom.models.decisions import judge
from mailroom.models.email_reply import (
    AskAgainInput,
    Draft,
    DraftReplyInput,
    EmailReplyInput,
    Heard,
    Notice,
    Outcome,
    OwnersWord,
    PostponeInput,
    Progress,
    RecordInput,
    ReplyOutcome,
    ReplyStatus,
    SayInput,
    SendReplyInput,
    Sent,
    SupersededBy,
    TextOwnerInput,
)
from mailroom.models.names import (
    REASON_BY_OPERATOR,
    REASON_BY_OWNER,
    REASON_LATER_MAIL,
    REASON_NO_ANSWER,
    REASON_SEND_UNKNOWN,
    REASON_SUPERSEDED,
)
from mailroom.models.states import MailState, Stage, advance
from mailroom.models.words import Approve, Decision, Edit, Ignore, Snooze
from workflows import retry_policies
from workflows.display import details
from workflows.failures import cause, is_ours, is_send_unknown
from workflows.search_attributes import MAIL_STATE

T = TypeVar("T")
SEEN_LIMIT = 500
# After that a mail may be what our worker or store dies of.
OWN_RETRIES = 3
# An owner can answer a text before the gateway has confirmed it.
LAST_MOMENT = timedelta(seconds=5)


class Ended(Exception):
    """The mail's story ends here, wherever it was."""

    def __init__(self, state: MailState, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


@workflow.defn
class EmailReplyWorkflow:
    @workflow.init
    def __init__(self, mail: EmailReplyInput) -> None:
        # Handlers may run before `run`, so nothing is set there.
        self.input = mail
        self.progress = mail.carried or Progress()
        self.retry_asked = False
        self.told: set[str] = set()
        self.sent: Sent | None = None

    @workflow.run
    async def run(self, mail: EmailReplyInput) -> ReplyOutcome:
        try:
            await self.answer(mail)
        except Ended as end:
            await self.close(end.state, end.reason)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.outcome()

    async def answer(self, mail: EmailReplyInput) -> None:
        if mail.not_answerable:
            raise Ended(MailState.USER_IGNORED, mail.not_answerable)
        if mail.only_notify:
            await self.owners_hours()
            await self.tell(Notice.ARRIVED)
            raise Ended(MailState.USER_IGNORED, mail.only_notify)
        while True:
            draft = await self.draft()
            await self.text_owner(draft)
            match await self.owners_word():
                case Approve() as approval:
                    if await self.is_time_to_send(approval):
                        return await self.send()
                case Edit(instructions=how):
                    self.ask_for_edit(how)
                case Snooze():
                    await self.snooze()
                case Ignore():
                    raise Ended(MailState.USER_IGNORED, REASON_BY_OWNER)

    # The steps

    async def draft(self) -> Draft:
        progress = self.progress
        if progress.draft is None or progress.draft.revision != progress.wanted_revision:
            progress.draft = await self.stage(Stage.DRAFT, self.make_draft)
        return progress.draft

    async def make_draft(self) -> Draft:
        progress = self.progress
        self.enter(MailState.AI_GENERATING)
        draft = await workflow.execute_activity_method(
            DraftReply.draft_reply,
            DraftReplyInput(
                mail=self.input.mail,
                step=self.next_step(),
                revision=progress.wanted_revision,
                previous=progress.draft.blob if progress.draft else None,
                instructions=progress.instructions,
                word=progress.edit_word,
                earlier=self.input.earlier,
            ),
            **self.policy(Stage.DRAFT, f"revision {progress.wanted_revision}"),
        )
        self.enter(MailState.AI_GENERATED)
        return draft

    async def text_owner(self, draft: Draft) -> None:
        if self.progress.texted_revision == draft.revision:
            return
        await self.owners_hours()
        await self.stage(Stage.SMS, lambda: self.text_about(draft))
        self.progress.texted_revision = draft.revision
        self.progress.prompted_at = workflow.now()
        self.progress.reminded = False

    async def owners_hours(self) -> None:
        """Nobody is texted at night who doesn't want it; a word on the page comes first."""
        if self.input.text_after:
            await self.until(self.spoken, self.input.text_after)

    async def text_about(self, draft: Draft) -> None:
        """Texts the owner, unless the word comes first: then the text has become needless."""
        if self.spoken():
            return
        self.enter(MailState.SMS_SENDING)
        texting = asyncio.create_task(self.notify(Notice.DRAFT))
        await workflow.wait_condition(lambda: texting.done() or self.spoken())
        if not await self.until(texting.done, workflow.now() + LAST_MOMENT):
            texting.cancel()
            with suppress(ActivityError):
                await texting
            return
        await texting
        self.enter(MailState.SMS_SENT)
        self.enter(MailState.AWAITING_USER)

    async def owners_word(self) -> Decision:
        """The owner's word; a reminder after a while, and `Ended` after twice that."""
        progress = self.progress
        if progress.approved:
            return progress.approved.command
        if not self.spoken():
            self.show()
        self.end_if_superseded()
        asked = progress.prompted_at or workflow.now()
        if not await self.spoken_by(asked + self.input.reminder_after) and not progress.reminded:
            progress.reminded = True
            await self.tell(Notice.REMINDER)
        if not await self.spoken_by(asked + 2 * self.input.reminder_after):
            raise Ended(MailState.TIMEOUT, REASON_NO_ANSWER)
        self.end_if_superseded()
        if progress.word is None:
            raise Ended(MailState.TIMEOUT, REASON_BY_OPERATOR)
        return progress.word.command

    def end_if_superseded(self) -> None:
        match self.progress.superseded:
            case SupersededBy.OWNER:
                raise Ended(MailState.USER_IGNORED, REASON_SUPERSEDED)
            case SupersededBy.LATER_MAIL:
                raise Ended(MailState.USER_IGNORED, REASON_LATER_MAIL)

    async def is_time_to_send(self, approval: Approve) -> bool:
        """Waits for the time that the owner named; False if they have another word till then."""
        progress = self.progress
        if progress.send_at is None:
            if not (approval.later or self.input.send_after):
                return True
            # From here on another word may follow.
            progress.approved, progress.word = progress.word, None
            progress.send_at = await self.postpone(MailState.USER_APPROVED, progress.approved)
        self.show()
        if not await self.until(self.spoken, progress.send_at):
            return True
        progress.send_at = progress.approved = None
        # Said while a reply waits, a plain `1` means now.
        return progress.word is not None and progress.word.command == Approve()

    async def snooze(self) -> None:
        progress = self.progress
        said, progress.word = progress.word, None
        progress.snoozed_until = await self.postpone(MailState.AWAITING_USER, said)
        self.show()
        if not await self.until(self.spoken, progress.snoozed_until):
            progress.texted_revision = 0
        progress.snoozed_until = None

    async def postpone(self, state: MailState, word: Heard | None) -> datetime:
        assert word is not None
        if self.progress.state is not state:
            self.enter(state)
        return await workflow.execute_activity_method(
            Postpone.postpone,
            PostponeInput(
                mail=self.input.mail,
                step=self.next_step(),
                state=state,
                word=word,
                send_after=self.input.send_after,
            ),
            **retry_policies.of_record(word.command.kind),
        )

    def ask_for_edit(self, instructions: str) -> None:
        progress = self.progress
        self.enter(MailState.USER_EDIT_REQUESTED)
        progress.edit_word, progress.word = progress.word, None
        progress.instructions = instructions
        progress.edits += 1
        progress.wanted_revision += 1

    async def send(self) -> None:
        progress = self.progress
        # From now on it is too late for another word.
        progress.approved = progress.word = progress.approved or progress.word
        self.sent = await self.stage(Stage.REPLY, self.send_reply)
        self.enter(MailState.REPLY_SENT)
        self.show()

    async def send_reply(self) -> Sent:
        assert self.progress.draft is not None
        if self.progress.state is not MailState.USER_APPROVED:
            self.enter(MailState.USER_APPROVED)
        return await workflow.execute_activity_method(
            SendReply.send_reply,
            SendReplyInput(
                mail=self.input.mail,
                step=self.next_step(),
                draft=self.progress.draft,
                sends=self.progress.sends,
                retries=self.progress.retries,
                word=self.progress.approved,
                send_at=self.progress.send_at,
            ),
            **self.policy(Stage.REPLY, f"revision {self.progress.draft.revision}"),
        )

    async def close(self, state: MailState, reason: str) -> None:
        if state is not self.progress.state:
            self.enter(state)
        self.progress.reason = reason
        await self.record(closed=True)
        self.show()
        if state is MailState.TIMEOUT:
            await self.tell(Notice.EXPIRED)
        elif reason == REASON_SUPERSEDED and self.progress.prompted_at:
            await self.tell(Notice.SUPERSEDED)

    # A stage that failed waits for `retry`, or for a word that makes it needless

    async def stage(self, stage: Stage, attempt: Callable[[], Awaitable[T]]) -> T:
        if self.progress.failed_stage is stage:
            # A later run of a mail that failed: what people see does not come along.
            self.show()
            await self.until_mended(stage)
        while True:
            try:
                return await attempt()
            except ActivityError as error:
                await self.fail(stage, error)
                await self.until_mended(stage)

    async def fail(self, stage: Stage, error: ActivityError) -> None:
        progress = self.progress
        unknown = is_send_unknown(error)
        self.enter(MailState.FAILED)
        progress.error = cause(error)
        progress.reason = REASON_SEND_UNKNOWN if unknown else f"{stage} failed"
        progress.failed_stage = stage
        progress.failed_at = workflow.now()
        await self.record()
        if unknown:
            await self.ask_whether_to_send_again()
        if stage is Stage.REPLY:
            progress.word = None
        if is_ours(error) and progress.retries < OWN_RETRIES:
            # Store and worker were back when the failure could be recorded.
            self.retry_asked = True
            return
        self.show()
        await self.tell(Notice.SEND_UNKNOWN if unknown else Notice.FAILED)

    async def ask_whether_to_send_again(self) -> None:
        """The same draft under a new code, so that an old `1` can't send it twice."""
        progress = self.progress
        assert progress.draft is not None
        progress.draft = await workflow.execute_activity_method(
            AskAgain.ask_again,
            AskAgainInput(mail=self.input.mail, step=self.next_step(), draft=progress.draft),
            **retry_policies.of_record("may have been sent"),
        )
        progress.wanted_revision = progress.texted_revision = progress.draft.revision

    async def until_mended(self, stage: Stage) -> None:
        progress = self.progress
        give_up = (progress.failed_at or workflow.now()) + retry_policies.FAILED_WAITS
        if not await self.until(lambda: self.retry_asked or self.spoken(), give_up):
            raise Ended(MailState.FAILED, f"{progress.reason}; nobody mended it in 7 days")
        self.end_if_superseded()
        if progress.word and isinstance(progress.word.command, Ignore):
            raise Ended(MailState.USER_IGNORED, REASON_BY_OWNER)
        if progress.word is None and progress.expired:
            raise Ended(MailState.TIMEOUT, REASON_BY_OPERATOR)
        self.mend(stage)

    def mend(self, stage: Stage) -> None:
        progress = self.progress
        if stage is Stage.REPLY:
            progress.word = progress.approved = progress.word or progress.approved
            progress.sends += progress.reason == REASON_SEND_UNKNOWN
        progress.retries += 1
        progress.failed_stage = progress.error = progress.reason = None
        self.retry_asked = False

    # Telling the owner

    async def notify(self, notice: Notice) -> None:
        await workflow.execute_activity_method(
            TextOwner.text_owner,
            self.about(notice),
            **self.policy(Stage.SMS, notice),
        )

    async def tell(self, notice: Notice) -> None:
        """By text, else by e-mail; what reaches nobody still stands on the page."""
        try:
            if self.progress.failed_stage is not Stage.SMS:
                return await self.notify(notice)
        except ActivityError as error:
            workflow.logger.warning("The owner could not be texted: %s", cause(error))
        try:
            await workflow.execute_activity_method(
                WriteOwner.write_owner,
                self.about(notice),
                **self.policy(Stage.SMS, notice),
            )
        except ActivityError as error:
            workflow.logger.warning("The owner could not be written to: %s", cause(error))

    def about(self, notice: Notice) -> TextOwnerInput:
        progress = self.progress
        return TextOwnerInput(
            mail=self.input.mail,
            step=self.next_step(),
            notice=notice,
            draft=progress.draft,
            edits=progress.edits,
            reminder_after=self.input.reminder_after,
            stage=progress.failed_stage,
            error=progress.error,
            earlier=self.input.earlier,
        )

    # What people say

    @workflow.signal(description='The owner\'s word: "1", "2 make it warmer", "3".')
    async def command(self, word: OwnersWord) -> None:
        outcome = self.hear(word)
        if word.id and word.id not in self.told:
            # A word with an ID came from a channel whose sender waits for an answer.
            self.told.add(word.id)
            await self.say(outcome.text, word.id)

    @workflow.update(description='The same as the signal "command", answered with the outcome.')
    def decide(self, word: OwnersWord) -> Outcome:
        return self.hear(word)

    @workflow.signal(description="Go on from the stage that failed.")
    def retry(self) -> None:
        # A reply that may have been sent goes out again only by the owner's word.
        if self.progress.failed_stage and self.progress.reason != REASON_SEND_UNKNOWN:
            self.retry_asked = True

    @workflow.signal(description="Stop waiting for the owner now.")
    def expire(self) -> None:
        progress = self.progress
        # What was approved is not waited for, unless sending it failed.
        if progress.word is None and (progress.approved is None or progress.failed_stage):
            progress.expired = True

    @workflow.signal(description="The owner answered by themselves; nothing is sent.")
    def supersede(self, by: SupersededBy = SupersededBy.OWNER) -> None:
        # What may have been sent stays a question to the owner.
        if self.progress.reason != REASON_SEND_UNKNOWN:
            self.progress.superseded = by

    @workflow.query(description="State, revision, code and what went wrong.")
    def status(self) -> ReplyStatus:
        progress = self.progress
        return ReplyStatus(
            state=progress.state,
            reason=progress.reason,
            revision=progress.draft.revision if progress.draft else 0,
            code=progress.draft.code if progress.draft else None,
            edits=progress.edits,
            failed_stage=progress.failed_stage,
            error=progress.error,
        )

    @workflow.query(description="What became of the word with this ID.")
    def heard(self, word_id: str) -> Outcome | None:
        return self.progress.seen.get(word_id)

    @workflow.query(name="draft", description="The draft the owner was last asked about.")
    def current_draft(self) -> Draft | None:
        return self.progress.draft

    def hear(self, word: OwnersWord) -> Outcome:
        seen = self.progress.seen
        if word.id and word.id in seen:
            return seen[word.id]
        outcome, heard = judge(word, self.progress, workflow.now())
        if heard:
            self.progress.word = heard
        if word.id:
            seen[word.id] = outcome
            if len(seen) > SEEN_LIMIT:
                seen.pop(next(iter(seen)))
        return outcome

    async def say(self, text: str, word_id: str) -> None:
        try:
            await workflow.execute_activity_method(
                Say.say,
                SayInput(owner=self.input.mail.owner, text=text, reference=f"word/{word_id}"),
                **self.policy(Stage.SMS, "answer to a word"),
            )
        except ActivityError as error:
            # Out of a signal handler it would end the mail's story.
            workflow.logger.warning("The outcome could not be texted: %s", cause(error))

    # Bookkeeping

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

    def policy(self, stage: Stage, summary: str) -> workflow.ActivityConfig:
        return retry_policies.of_stage(stage, self.input.attempts, summary)

    def enter(self, state: MailState) -> None:
        self.progress.state = advance(self.progress.state, state)

    def next_step(self) -> int:
        self.progress.step += 1
        return self.progress.step

    async def record(self, *, closed: bool = False) -> None:
        progress = self.progress
        await workflow.execute_activity_method(
            Record.record,
            RecordInput(
                mail=self.input.mail,
                step=self.next_step(),
                state=progress.state,
                reason=progress.reason,
                failed_stage=progress.failed_stage,
                error=progress.error,
                retries=progress.retries,
                word=progress.word,
                closed=closed,
            ),
            **retry_policies.of_record(progress.state),
        )

    def show(self) -> None:
        """The points of rest, where people look."""
        workflow.upsert_search_attributes([MAIL_STATE.value_set(self.progress.state)])
        workflow.set_current_details(details(self.input.mail, self.progress))

    def outcome(self) -> ReplyOutcome:
        return ReplyOutcome(
            state=self.progress.state,
            reason=self.progress.reason,
            reply_message_id=self.sent.message_id if self.sent else None,
        )
