"""Removes what has outlived its retention, in bounded batches; repeated, it goes on where it broke
off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.remove_old_ones import OldOnes
from mailroom.models.retention import DueMail, Kept, Removed, Share
from mailroom.ports import Blobs, Executions, RetentionStore

BATCH = 200
# A share of about a minute: then the workflow has it written down, and another worker may go on.
MOST_MAILS = 5_000


@dataclass(frozen=True)
class RemoveOld:
    """`periods` has what is not kept for ever."""

    store: RetentionStore
    blobs: Blobs
    executions: Executions
    others: Sequence[OldOnes]
    periods: Mapping[Kept, timedelta]

    @activity.defn
    async def remove_old(self, share: Share) -> Removed:
        period = self.periods.get(share.what)
        if period is None:
            return Removed()
        older_than = datetime.now(UTC) - period
        # Before anything goes: mailboxes are not read again from further back than that.
        await self.store.begin(share.what, older_than)
        removed = await self.mails(share.what, older_than)
        if removed.more:
            return removed
        removed += Removed(texts=await self.texts(share.what, older_than), running=removed.running)
        for each in self.others:
            ones = await each.remove(share.what, older_than)
            removed += ones.model_copy(update={"running": removed.running + ones.running})
            if removed.more:
                return removed
        await self.store.ended(share.what)
        return removed

    async def mails(self, what: Kept, older_than: datetime) -> Removed:
        mails = blobs = running = 0
        after: DueMail | None = None
        while batch := await self.store.due(what, older_than, after, BATCH):
            if mails >= MOST_MAILS or activity.is_worker_shutdown():
                return Removed(mails=mails, blobs=blobs, running=running, more=True)
            ended = [
                mail.workflow_id for mail in batch if await self.executions.remove(mail.workflow_id)
            ]
            blobs += await self.batch(what, ended)
            mails += len(ended)
            running += len(batch) - len(ended)
            after = batch[-1]
        return Removed(mails=mails, blobs=blobs, running=running)

    async def batch(self, what: Kept, workflow_ids: Sequence[str]) -> int:
        """Blobs first: a row without its blob is seen to next time, a blob without a row never."""
        if not workflow_ids:
            return 0
        own = await self.store.own_blobs(workflow_ids)
        for blob in own:
            await self.blobs.discard(blob)
        await self.store.remove(what, workflow_ids)
        return len(own)

    async def texts(self, what: Kept, older_than: datetime) -> int:
        """Texts that belong to no mail, or came from the owner."""
        texts, after = 0, 0
        while ids := await self.store.remove_texts(what, older_than, after, BATCH):
            texts += len(ids)
            after = max(ids)
        return texts
