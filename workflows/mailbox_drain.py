"""A mailbox whose owner came online, or is to be told of letters: those that wait go on."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.drain_mailbox import DrainMailbox
from mailroom.models.agent_mail import Drained, DrainInput
from workflows.retry_policies import HEARTBEAT

LONGEST_DRAIN = timedelta(minutes=10)


@workflow.defn
class MailboxDrainWorkflow:
    @workflow.init
    def __init__(self, drain: DrainInput) -> None:
        self.asked = True
        self.hurries = False

    @workflow.run
    async def run(self, drain: DrainInput) -> Drained:
        if drain.gathers:
            await self.gather(drain.within)
        drained = Drained()
        while self.asked:
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(drain.model_copy(update={"gathers": False}))
            self.asked = False
            drained = await workflow.execute_activity_method(
                DrainMailbox.drain_mailbox,
                drain,
                start_to_close_timeout=LONGEST_DRAIN,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
            )
        return drained

    async def gather(self, within: timedelta) -> None:
        """Letters that come together make one notification; a session that comes is not kept
        waiting."""
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self.hurries, timeout=within)

    @workflow.signal(description="somebody came, or more letters did")
    def again(self, gathers: bool = False) -> None:
        self.asked = True
        self.hurries = self.hurries or not gathers
