"""Whether a recipient that failed may be tried."""

from datetime import UTC, datetime

from mailroom.models.agent_handling import Mailbox
from mailroom.models.breaker import Circuit, Try, may_try
from mailroom.ports.letters import LetterStore


async def may_try_now(letters: LetterStore, mailbox: Mailbox, circuit: Circuit) -> Try:
    """Of several that ask while a circuit is half open, one gets PROBE."""
    terms = mailbox.breaker
    verdict = may_try(circuit, datetime.now(UTC), terms)
    if verdict is not Try.PROBE:
        return verdict
    seconds = terms.probe_within.total_seconds()
    return Try.PROBE if await letters.claim_probe(mailbox.address, seconds) else Try.NO
