"""What the owner is told about one mail, and how it reaches them."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.say import Say
from activities.text_owner import TextOwner
from activities.write_owner import WriteOwner
from mailroom.models.email_reply import Notice, SayInput, TextOwnerInput
from mailroom.models.states import MailState, Stage
from workflows.failures import cause
from workflows.one_mail import OneMail

# An owner can answer a text before the gateway has confirmed it.
LAST_MOMENT = timedelta(seconds=5)


class Telling:
    def __init__(self, mail: OneMail) -> None:
        self.mail = mail

    async def owners_hours(self) -> None:
        """Nobody is texted at night who doesn't want it; a word on the page comes first."""
        if self.mail.input.text_after:
            await self.mail.spoken_by(self.mail.input.text_after)

    async def ask(self) -> None:
        """Texts the owner, unless the word comes first: then the text has become needless."""
        mail = self.mail
        if mail.spoken():
            return
        mail.enter(MailState.SMS_SENDING)
        texting = asyncio.create_task(self.text(Notice.DRAFT))
        await workflow.wait_condition(lambda: texting.done() or mail.spoken())
        if not await mail.until(texting.done, workflow.now() + LAST_MOMENT):
            texting.cancel()
            with suppress(ActivityError):
                await texting
            return
        await texting
        mail.enter(MailState.SMS_SENT)
        mail.enter(MailState.AWAITING_USER)

    async def remind(self) -> None:
        progress = self.mail.progress
        if not progress.reminded:
            progress.reminded = True
            await self.tell(Notice.REMINDER)

    async def ask_delegate(self) -> None:
        """From here on both are asked, and the first word counts."""
        progress = self.mail.progress
        if progress.delegated:
            return
        progress.delegated = True
        try:
            await self.text(Notice.DELEGATED)
        except ActivityError as error:
            workflow.logger.warning("The delegate could not be texted: %s", cause(error))

    async def text(self, notice: Notice) -> None:
        await workflow.execute_activity_method(
            TextOwner.text_owner,
            self.about(notice),
            **self.mail.policy(Stage.SMS, notice),
        )

    async def tell(self, notice: Notice) -> None:
        """By text, else by e-mail; what reaches nobody still stands on the page."""
        try:
            if self.mail.progress.failed_stage is not Stage.SMS:
                return await self.text(notice)
        except ActivityError as error:
            workflow.logger.warning("The owner could not be texted: %s", cause(error))
        try:
            await workflow.execute_activity_method(
                WriteOwner.write_owner,
                self.about(notice),
                **self.mail.policy(Stage.SMS, notice),
            )
        except ActivityError as error:
            workflow.logger.warning("The owner could not be written to: %s", cause(error))

    async def say(self, text: str, word_id: str) -> None:
        owner = self.mail.ref.owner
        try:
            await workflow.execute_activity_method(
                Say.say,
                SayInput(owner=owner, text=text, reference=f"word/{word_id}"),
                **self.mail.policy(Stage.SMS, "answer to a word"),
            )
        except ActivityError as error:
            # Out of a signal handler it would end the mail's story.
            workflow.logger.warning("The outcome could not be texted: %s", cause(error))

    def about(self, notice: Notice) -> TextOwnerInput:
        progress = self.mail.progress
        return TextOwnerInput(
            mail=self.mail.ref,
            step=self.mail.next_step(),
            notice=notice,
            draft=progress.draft,
            edits=progress.edits,
            reminder_after=self.mail.input.reminder_after,
            stage=progress.failed_stage,
            error=progress.error,
            earlier=self.mail.input.earlier,
            delegate=self.mail.input.delegate if progress.delegated else None,
        )
