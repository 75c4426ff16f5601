"""Starts the watch of each mailbox that is configured, or finds it running."""

import asyncio
from collections.abc import Iterable

from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from mailroom.models.mailbox import Mailbox, MailboxWatch
from mailroom.models.names import MAIL_TASK_QUEUE
from workflows.mailbox_watch import MailboxWatchWorkflow
from workflows.search_attributes import MAIL_KIND, MAIL_OWNER


async def watch_mailboxes(client: Client, mailboxes: Iterable[Mailbox]) -> None:
    """All at once: a start waits for no longer, however many there are."""
    await asyncio.gather(*(_watch(client, mailbox) for mailbox in mailboxes))


async def _watch(client: Client, mailbox: Mailbox) -> None:
    await client.start_workflow(
        MailboxWatchWorkflow.run,
        MailboxWatch(owner=mailbox.owner, name=mailbox.name),
        id=mailbox.id,
        task_queue=MAIL_TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        # One that ended was not configured for a while.
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(MAIL_KIND, "mailbox"),
                SearchAttributePair(MAIL_OWNER, mailbox.owner),
            ]
        ),
        static_summary=f"mailbox {mailbox.name} of {mailbox.owner}",
    )
