"""Takes reports about outbound messages, wherever they come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from mailroom.adapters.postgres.message_reports import PostgresReports
from mailroom.bridge.message_flows import MessageFlows
from mailroom.models.outbound.bounces import BounceRule
from mailroom.models.outbound.judged import judged
from mailroom.models.outbound.report import Report
from mailroom.models.outbound.transitions import ENDED

log = structlog.get_logger()


@dataclass(frozen=True)
class Reports:
    """`rules` are those of mailroom.toml."""

    store: PostgresReports
    flows: MessageFlows
    rules: Sequence[BounceRule] = ()

    async def take(self, report: Report) -> bool:
        """Written down when this returns; False of one that came before, or is about no message
        of ours. Raises what `way.AWAY` has: then it may be sent again, and counts once."""
        message = await self.store.find(report)
        if message is None:
            log.info("a report is about no message of ours", kind=report.kind, source=report.source)
            return False
        known = judged(report, message, self.rules)
        is_new, status = await self.store.take(known)
        if status is known.status and status in ENDED:
            # Also of one that came before: nobody may have been told.
            await self.flows.reported(message.id, status, known.why)
        return is_new

    async def about(self, report: Report) -> UUID | None:
        """The message of ours that it is about."""
        message = await self.store.find(report)
        return message.id if message else None

    async def note(self, id: UUID, key: str, note: str) -> bool:
        """Mail about a message that moves it nowhere, for its timeline; False where there is no
        such message."""
        return await self.store.note(id, key, note)
