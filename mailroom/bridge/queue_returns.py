"""Mail that comes back about outbound messages: it becomes reports, and never an e-mail for an
owner."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import structlog

from mailroom.adapters.links import SignedLinks
from mailroom.bridge.queue_reports import Reports
from mailroom.models.arrival import Accepted, Arrival
from mailroom.models.names import outbound_id
from mailroom.models.outbound.report import Report
from mailroom.models.outbound.returned_mail import ReturnedMail, may_be_returned, read_returned

log = structlog.get_logger()


@dataclass(frozen=True)
class Returns:
    """`domain` is where bounces go; without it they come to the owners' own mailboxes."""

    reports: Reports
    links: SignedLinks
    domain: str | None = None

    def message_of(self, address: str) -> UUID | None:
        """The message whose bounces go to this address."""
        return self.links.read_bounce_address(address, self.domain) if self.domain else None

    def refuses(self, address: str) -> bool:
        """It looks like a bounce address, and is none of ours."""
        return bool(self.domain) and self.links.is_forged_bounce_address(address, self.domain or "")

    def others(self, arrival: Arrival) -> Arrival:
        """The mail, as far as it is for anybody else."""
        rest = tuple(one for one in arrival.recipients if self.message_of(one) is None)
        if len(rest) == len(arrival.recipients):
            return arrival
        return Arrival(arrival.raw, arrival.sender, rest, arrival.why_not)

    async def take(self, arrival: Arrival) -> Accepted | Arrival:
        """What is left of it for owners, if anything. Raises what `way.AWAY` has."""
        ids = dict.fromkeys(filter(None, map(self.message_of, arrival.recipients)))
        taken = [await self._for_message(arrival, id) for id in ids]
        rest = self.others(arrival)
        if taken and not rest.recipients:
            return taken[0]
        return await self._for_owner(rest) or rest

    async def _for_message(self, arrival: Arrival, id: UUID) -> Accepted:
        """What came to the bounce address of a message is about that, whatever it says."""
        found = await self._read(arrival, id)
        assert found is not None, "what comes to a bounce address says something"
        if found.reports:
            new = [await self.reports.take(report) for report in found.reports]
            return Accepted(outbound_id(id), found.message_id, any(new))
        if not await self._note(found, id):
            log.warning("a mail came back about a message that is gone", message=str(id))
        return Accepted(outbound_id(id), found.message_id, new=True)

    async def _for_owner(self, arrival: Arrival) -> Accepted | None:
        if not may_be_returned(arrival.raw):
            return None
        found = await self._read(arrival)
        if found is None:
            return None
        if found.id and await self._note(found, found.id):
            return Accepted(outbound_id(found.id), found.message_id, new=True)
        taken = [await self._known(found, report) for report in found.reports]
        return next(filter(None, taken), None)

    async def _known(self, found: ReturnedMail, report: Report) -> Accepted | None:
        message = await self.reports.about(report)
        if message is None:
            return None
        return Accepted(outbound_id(message), found.message_id, await self.reports.take(report))

    async def _note(self, found: ReturnedMail, id: UUID) -> bool:
        own = f"{found.message_id}\0{id}".encode("utf-8", "replace")
        key = f"note/{hashlib.sha256(own).hexdigest()[:40]}"
        return await self.reports.note(id, key, found.note or "")

    async def _read(self, arrival: Arrival, id: UUID | None = None) -> ReturnedMail | None:
        """In a thread: what strangers write may take a second to parse."""
        return await asyncio.to_thread(
            read_returned, arrival.raw, datetime.now(UTC), self._bounced, id
        )

    def _bounced(self, address: str) -> UUID | None:
        return self.message_of(address)
