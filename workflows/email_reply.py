"""One e-mail: a draft, a text to its owner, the owner's word, the reply."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio import workflow

from activities.draft_reply import DraftReply
from activities.postpone import Postpone
from activities.send_reply import SendReply
from mailroom.models.decisions import judge
from mailroom.models.email_reply import (
    Draft,
    DraftReplyInput,
    EmailReplyInput,
    Heard,
    Notice,
    Outcome,
    OwnersWord,
    PostponeInput,
    ReplyOutcome,
    ReplyStatus,
    SendReplyInput,
    Sent,
    SupersededBy,
)
from mailroom.models.names import (
    ASKED_AGAIN,
    REASON_BY_OPERATOR,
    REASON_BY_OWNER,
    REASON_NO_ANSWER,
    REASON_SEND_UNKNOWN,
    REASON_SUPERSEDED,
)
from mailroom.models.states import MailState, Stage
from mailroom.models.words import Approve, Decision, Edit, Ignore, Snooze
from workflows import retry_policies
from workflows.one_mail import Ended, OneMail
from workflows.stages import Stages
from workflows.telling import Telling

SEEN_LIMIT = 500


@workflow.defn
class EmailReplyWorkflow:
    @workflow.init
    def __init__(self, mail: EmailReplyInput) -> None:
        # Handlers may run before `run`, so nothing is set there.
        self.mail = OneMail(mail)
        self.progress = self.mail.progress
        self.telling = Telling(self.mail)
        self.stages = Stages(self.mail, self.telling)
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
            await self.telling.owners_hours()
            await self.telling.tell(Notice.ARRIVED)
            raise Ended(MailState.USER_IGNORED, mail.only_notify)
        if mail.bounced:
            return await self.send_again(mail.bounced)
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
            progress.draft = await self.stages.through(Stage.DRAFT, self.make_draft)
        return progress.draft

    async def make_draft(self) -> Draft:
        progress = self.progress
        self.mail.enter(MailState.AI_GENERATING)
        draft = await workflow.execute_activity_method(
            DraftReply.draft_reply,
            DraftReplyInput(
                mail=self.mail.ref,
                step=self.mail.next_step(),
                revision=progress.wanted_revision,
                previous=progress.draft.blob if progress.draft else None,
                instructions=progress.instructions,
                word=progress.edit_word,
                earlier=self.mail.input.earlier,
            ),
            **self.mail.policy(Stage.DRAFT, f"revision {progress.wanted_revision}"),
        )
        self.mail.enter(MailState.AI_GENERATED)
        return draft

    async def text_owner(self, draft: Draft) -> None:
        if self.progress.texted_revision == draft.revision:
            return
        await self.telling.owners_hours()
        await self.stages.through(Stage.SMS, self.telling.ask)
        self.progress.texted_revision = draft.revision
        self.progress.prompted_at = workflow.now()
        self.progress.reminded = False

    async def owners_word(self) -> Decision:
        """The owner's word, or their delegate's; `Ended` when there is none."""
        progress = self.progress
        if progress.approved:
            return progress.approved.command
        if not self.mail.spoken():
            self.mail.show()
        self.mail.end_if_superseded()
        asked = progress.prompted_at or workflow.now()
        for wait, prompt in self.prompts():
            if not await self.mail.spoken_by(asked + wait):
                await prompt()
        if not await self.mail.spoken_by(asked + self.longest_wait):
            raise Ended(MailState.TIMEOUT, REASON_NO_ANSWER)
        self.mail.end_if_superseded()
        if progress.word is None:
            raise Ended(MailState.TIMEOUT, REASON_BY_OPERATOR)
        return progress.word.command

    @property
    def longest_wait(self) -> timedelta:
        return 2 * self.mail.input.reminder_after

    def prompts(self) -> list[tuple[timedelta, Callable[[], Awaitable[None]]]]:
        """What happens after how long without an answer, in order."""
        mail = self.mail.input
        found = [(mail.reminder_after, self.telling.remind)]
        if mail.delegate and mail.delegate_after and mail.delegate_after < self.longest_wait:
            found.append((mail.delegate_after, self.telling.ask_delegate))
        return sorted(found, key=lambda each: each[0])

    async def is_time_to_send(self, approval: Approve) -> bool:
        """Waits for the time that the owner named; False if they have another word till then."""
        progress = self.progress
        if progress.send_at is None:
            if not (approval.later or self.mail.input.send_after):
                return True
            # From here on another word may follow.
            progress.approved, progress.word = progress.word, None
            progress.send_at = await self.postpone(MailState.USER_APPROVED, progress.approved)
        self.mail.show()
        if not await self.mail.spoken_by(progress.send_at):
            return True
        progress.send_at = progress.approved = None
        # Said while a reply waits, a plain `1` means now; what was to be attached it keeps.
        said = progress.word and progress.word.command
        return isinstance(said, Approve) and not said.later

    async def snooze(self) -> None:
        progress = self.progress
        said, progress.word = progress.word, None
        progress.snoozed_until = await self.postpone(MailState.AWAITING_USER, said)
        self.mail.show()
        if not await self.mail.spoken_by(progress.snoozed_until):
            progress.texted_revision = 0
        progress.snoozed_until = None

    async def postpone(self, state: MailState, word: Heard | None) -> datetime:
        assert word is not None
        if self.progress.state is not state:
            self.mail.enter(state)
        return await workflow.execute_activity_method(
            Postpone.postpone,
            PostponeInput(
                mail=self.mail.ref,
                step=self.mail.next_step(),
                state=state,
                word=word,
                send_after=self.mail.input.send_after,
            ),
            **retry_policies.of_record(word.command.kind),
        )

    def ask_for_edit(self, instructions: str) -> None:
        progress = self.progress
        self.mail.enter(MailState.USER_EDIT_REQUESTED)
        progress.edit_word, progress.word = progress.word, None
        progress.instructions = instructions
        progress.edits += 1
        progress.wanted_revision += 1

    async def send(self) -> None:
        progress = self.progress
        # From now on it is too late for another word.
        progress.approved = progress.word = progress.approved or progress.word
        self.sent = await self.stages.through(Stage.REPLY, self.send_reply)
        self.mail.enter(MailState.REPLY_SENT)
        self.mail.show()

    async def send_reply(self) -> Sent:
        assert self.progress.draft is not None
        if self.progress.state is not MailState.USER_APPROVED:
            self.mail.enter(MailState.USER_APPROVED)
        return await workflow.execute_activity_method(
            SendReply.send_reply,
            SendReplyInput(
                mail=self.mail.ref,
                step=self.mail.next_step(),
                draft=self.progress.draft,
                sends=self.progress.sends,
                retries=self.progress.retries,
                word=self.progress.approved,
                send_at=self.progress.send_at,
            ),
            **self.mail.policy(Stage.REPLY, f"revision {self.progress.draft.revision}"),
        )

    async def send_again(self, bounced: str) -> None:
        """Once the owner says so."""
        if self.progress.failed_stage is None:
            await self.stages.came_back(bounced)
        await self.send()

    async def close(self, state: MailState, reason: str) -> None:
        if state is not self.progress.state:
            self.mail.enter(state)
        self.progress.reason = reason
        await self.mail.record(closed=True)
        self.mail.show()
        if state is MailState.TIMEOUT:
            await self.telling.tell(Notice.EXPIRED)
        elif reason == REASON_SUPERSEDED and self.progress.prompted_at:
            await self.telling.tell(Notice.SUPERSEDED)

    # What people say

    @workflow.signal(description='The owner\'s word: "1", "2 make it warmer", "3".')
    async def command(self, word: OwnersWord) -> None:
        outcome = self.hear(word)
        if word.id and word.id not in self.told:
            # A word with an ID came from a channel whose sender waits for an answer.
            self.told.add(word.id)
            await self.telling.say(outcome.text, word.id)

    @workflow.update(description='The same as the signal "command", answered with the outcome.')
    def decide(self, word: OwnersWord) -> Outcome:
        return self.hear(word)

    @workflow.signal(description="Go on from the stage that failed.")
    def retry(self) -> None:
        # A reply that may have been sent goes out again only by the owner's word.
        if self.progress.failed_stage and self.progress.reason not in ASKED_AGAIN:
            self.stages.retry_asked = True

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

    def outcome(self) -> ReplyOutcome:
        return ReplyOutcome(
            state=self.progress.state,
            reason=self.progress.reason,
            reply_message_id=self.sent.message_id if self.sent else None,
        )
