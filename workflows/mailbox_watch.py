"""One mailbox, watched for ever: session after session, unless paused."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType, ActivityHandle

from activities.watch_mailbox import LONGEST_SESSION, WatchMailbox
from mailroom.models.mailbox import MailboxStatus, MailboxWatch, Watched
from workflows import retry_policies

SESSIONS_IN_A_RUN = 200
# Above the longest session and the socket time-outs at its end.
LONGEST_ATTEMPT = LONGEST_SESSION + timedelta(hours=1)
# Disconnects and outages are nobody's failure: tried again for ever.
RETRIES = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))


@workflow.defn
class MailboxWatchWorkflow:
    @workflow.init
    def __init__(self, watch: MailboxWatch) -> None:
        self.watch = watch
        self.paused = watch.paused
        self.sessions = 0

    @workflow.run
    async def run(self, watch: MailboxWatch) -> None:
        while not self.has_run_long():
            await workflow.wait_condition(lambda: not self.paused)
            if await self.session() is Watched.GONE:
                return
            self.sessions += 1
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self.watch.model_copy(update={"paused": self.paused}))

    async def session(self) -> Watched:
        """Until the connection ends, or its owner says pause."""
        watching = self.start()
        pause = asyncio.ensure_future(workflow.wait_condition(lambda: self.paused))
        await workflow.wait([watching, pause], return_when=asyncio.FIRST_COMPLETED)
        pause.cancel()
        watching.cancel()
        try:
            return await watching
        except ActivityError as error:
            if is_cancelled_exception(error):
                return Watched.AGAIN
            raise

    def start(self) -> ActivityHandle[Watched]:
        return workflow.start_activity_method(
            WatchMailbox.watch_mailbox,
            self.watch,
            summary="watch the mailbox",
            start_to_close_timeout=LONGEST_ATTEMPT,
            heartbeat_timeout=retry_policies.HEARTBEAT,
            retry_policy=RETRIES,
            # Two sessions at once have no use.
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )

    def has_run_long(self) -> bool:
        return self.sessions >= SESSIONS_IN_A_RUN or workflow.info().is_continue_as_new_suggested()

    @workflow.signal(description="Stops watching; mail that comes waits in the mailbox.")
    def pause(self) -> None:
        self.paused = True

    @workflow.signal(description="Goes on, and takes what came meanwhile.")
    def resume(self) -> None:
        self.paused = False

    @workflow.query(description="Whether it is watched or paused.")
    def status(self) -> MailboxStatus:
        return MailboxStatus(
            owner=self.watch.owner,
            name=self.watch.name,
            paused=self.paused,
            sessions=self.sessions,
        )
