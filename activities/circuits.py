"""Whether a recipient that failed may be tried."""

from datetime import UTC, datetime

from mailroom.models.agent_handling import Mailbox
from mailroom.models.breaker import Circuit, Try, may_try
from mailroom.ports import LetterStore


async def may_try_now(letters: LetterStore, mailbox: Mailbox, circuit: Circuit) -> bool:
    """Of several that ask while a circuit is half open, one may."""
    terms = mailbox.breaker
    match may_try(circuit, datetime.now(UTC), terms):
        case Try.YES:
            return True
        case Try.PROBE:
            seconds = terms.probe_within.total_seconds()
            return await letters.claim_probe(mailbox.address, seconds)
        case Try.NO:
            return False
