"""Letters and outbound messages that ended long ago go as mails do: bodies first, rows later."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from temporalio import activity

from mailroom.models.retention import Kept, OldOne, Removed
from mailroom.ports import Blobs, Executions, OldOnesStore

BATCH = 200
MOST = 5_000


@dataclass(frozen=True)
class OldOnes:
    """`workflow_id` is that of one by its ID."""

    kind: Literal["letters", "messages"]
    store: OldOnesStore
    blobs: Blobs
    executions: Executions
    workflow_id: Callable[[str], str]

    async def remove(self, what: Kept, older_than: datetime) -> Removed:
        removed = Removed()
        after: OldOne | None = None
        while batch := await self.store.due(what, older_than, after, BATCH):
            if getattr(removed, self.kind) >= MOST or activity.is_worker_shutdown():
                return removed.model_copy(update={"more": True})
            ended = [
                one.id for one in batch if await self.executions.remove(self.workflow_id(one.id))
            ]
            blobs = await self.batch(what, ended)
            running = removed.running + len(batch) - len(ended)
            removed += Removed(blobs=blobs, running=running, **{self.kind: len(ended)})
            after = batch[-1]
        while what is Kept.ROWS and await self.store.remove_events(older_than, BATCH):
            activity.heartbeat()
        return removed

    async def batch(self, what: Kept, ids: Sequence[str]) -> int:
        """Blobs first, as with mails: a blob without a row is never found again."""
        if not ids:
            return 0
        own = await self.store.own_blobs(ids)
        for blob in own:
            await self.blobs.discard(blob)
        await self.store.remove(what, ids)
        return len(own)
