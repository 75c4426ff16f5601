"""Finds what should have gone on and did not: the net below events and signals."""

from dataclasses import dataclass

from temporalio import activity

from activities.reach import Reach
from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_mail import ScanInput
from mailroom.ports.letters import AgentSessions, LetterFlows, LetterStore

MOST = 500


@dataclass(frozen=True)
class ScanMailboxes:
    letters: LetterStore
    sessions: AgentSessions
    flows: LetterFlows
    reach: Reach
    agents: AgentsSection

    @activity.defn
    async def scan_mailboxes(self, request: ScanInput) -> None:
        await self.sessions.clean(self.agents.confirmations_kept)
        await self.tell_rested()
        if not await self.letters.enabled():
            return
        ready = await self.sessions.ready(request.priorities, MOST)
        unnotified = await self.sessions.waiting_addresses(request.priorities, MOST)
        boxes = [self.agents.for_address(each) for each in unnotified]
        for address in dict.fromkeys((*ready, *await self.reach.reachable(boxes))):
            await self.flows.drain(address)

    async def tell_rested(self) -> None:
        """Letters that arrived while their workflows rested, where whoever saw it then died."""
        untold = await self.letters.untold(MOST)
        for letter, state in untold:
            signal = "acknowledge" if state == "acknowledged" else "delivered"
            await self.flows.tell_letter(letter, signal, "scan")
        if untold:
            await self.letters.told([letter for letter, _ in untold])
