"""A sentence to somebody who texted: the answer to a word that decided nothing."""

from temporalio import workflow

from activities.say import Say
from mailroom.models.email_reply import SayInput
from mailroom.models.states import Stage
from workflows import retry_policies

ATTEMPTS = 3


@workflow.defn
class OwnerNoticeWorkflow:
    @workflow.run
    async def run(self, notice: SayInput) -> None:
        await workflow.execute_activity_method(
            Say.say, notice, **retry_policies.of_stage(Stage.SMS, ATTEMPTS, "answer to a text")
        )
