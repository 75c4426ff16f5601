"""Every so often: what should have gone on and did not."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.scan_mailboxes import ScanMailboxes
from mailroom.models.agent_mail import ScanInput


@workflow.defn
class MailboxScanWorkflow:
    @workflow.run
    async def run(self, scan: ScanInput) -> None:
        await workflow.execute_activity_method(
            ScanMailboxes.scan_mailboxes,
            scan,
            start_to_close_timeout=timedelta(minutes=2),
            retry_policy=RetryPolicy(maximum_attempts=3),
        )
