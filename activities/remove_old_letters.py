"""Letters that ended long ago go as mails do: bodies first, rows later."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from mailroom.models.names import agent_mail_id
from mailroom.models.retention import Kept, OldLetter, Removed
from mailroom.ports import Blobs, Executions
from mailroom.ports.letters import LetterRetention

BATCH = 200
MOST_LETTERS = 5_000


@dataclass(frozen=True)
class OldLetters:
    store: LetterRetention
    blobs: Blobs
    executions: Executions

    async def remove(self, what: Kept, older_than: datetime) -> Removed:
        letters = blobs = running = 0
        after: OldLetter | None = None
        while batch := await self.store.due(what, older_than, after, BATCH):
            if letters >= MOST_LETTERS or activity.is_worker_shutdown():
                return Removed(letters=letters, blobs=blobs, running=running, more=True)
            ended = [
                letter.id
                for letter in batch
                if await self.executions.remove(agent_mail_id(letter.id))
            ]
            blobs += await self.batch(what, ended)
            letters += len(ended)
            running += len(batch) - len(ended)
            after = batch[-1]
        while what is Kept.ROWS and await self.store.remove_events(older_than, BATCH):
            activity.heartbeat()
        return Removed(letters=letters, blobs=blobs, running=running)

    async def batch(self, what: Kept, ids: Sequence[str]) -> int:
        """Blobs first, as with mails: a blob without a row is never found again."""
        if not ids:
            return 0
        own = await self.store.own_blobs(ids)
        for blob in own:
            await self.blobs.discard(blob)
        await self.store.remove(what, ids)
        return len(own)
