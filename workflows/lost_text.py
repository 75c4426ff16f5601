"""A text that its provider took and did not deliver: its owner is told by e-mail."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.tell_lost_text import TellLostText
from mailroom.models.receipts import LostText
from mailroom.models.states import Stage
from workflows import retry_policies
from workflows.failures import cause

# Over a minute: a receipt may be faster than the row of its text.
ATTEMPTS = 6


@workflow.defn
class LostTextWorkflow:
    @workflow.run
    async def run(self, text: LostText) -> None:
        try:
            await workflow.execute_activity_method(
                TellLostText.tell_lost_text,
                text,
                **retry_policies.of_stage(Stage.SMS, ATTEMPTS, f"a text was {text.status}"),
            )
        except ActivityError as error:
            # It still stands with its mail.
            workflow.logger.warning("The owner could not be told of a text: %s", cause(error))
