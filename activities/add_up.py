"""Adds up what changed about messages, so that figures of queues stay quick to read."""

from dataclasses import dataclass

from temporalio import activity

from mailroom.ports.queues import QueueCounts

CHANGES_AT_ONCE, MOST_FOLDS = 10_000, 50


@dataclass(frozen=True)
class AddUp:
    counts: QueueCounts

    async def add_up(self) -> None:
        """What is left over, the next minute takes."""
        for _ in range(MOST_FOLDS):
            folded = await self.counts.fold(CHANGES_AT_ONCE)
            if folded < CHANGES_AT_ONCE or activity.is_worker_shutdown():
                break
        await self.counts.tidy()
