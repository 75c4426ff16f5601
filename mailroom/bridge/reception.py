"""Mail that comes in from outside, by SMTP or HTTP."""

from dataclasses import dataclass

from mailroom.bridge.handover import Handover
from mailroom.bridge.intake import Intake
from mailroom.models.arrival import Accepted, Arrival
from mailroom.models.spool import NORMAL, VIP, SpooledMail

# Usually some 10 ms: only an outage takes that long.
SECONDS = 10.0


@dataclass(frozen=True)
class Kept:
    """A mail in the spool; whether it is new shows when it goes on."""

    id: str
    message_id: str


@dataclass(frozen=True)
class Reception:
    intake: Intake
    handover: Handover

    def knows(self, address: str) -> bool:
        return self.intake.knows(address)

    async def mail(self, arrival: Arrival) -> Accepted | Kept:
        """Returns once the mail is durable. Raises `NobodysMail`, `SpoolFull`, `SpoolBusy`, and
        whatever else keeps it from being so."""
        accepted = await self.handover.on(lambda: self.intake.accept(arrival), SECONDS)
        if accepted:
            return accepted
        mail, owners = await self.intake.read(arrival)
        vip = mail.sender is not None and any(one.is_vip(mail.sender.address) for one in owners)
        kept = await self.handover.keep(SpooledMail.of(arrival), VIP if vip else NORMAL)
        return Kept(kept.id, mail.message_id)
