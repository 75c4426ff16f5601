"""What agents' clients want of their mailboxes (port `Mailboxes`)."""

from cachetools import TTLCache
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_handling import Mailbox, Wishes

# Asked for each letter. A client that registers anew is heard within this time everywhere.
CACHE_SECONDS = 5.0
MOST_CACHED = 10_000


class PostgresMailboxes:
    """`mailroom.toml`, and over it what the address' own client said last."""

    def __init__(self, engine: AsyncEngine, agents: AgentsSection) -> None:
        self._engine = engine
        self._agents = agents
        self._known: TTLCache[str, Mailbox] = TTLCache(MOST_CACHED, CACHE_SECONDS)

    async def of(self, address: str) -> Mailbox:
        if (known := self._known.get(address)) is not None:
            return known
        mailbox = self._agents.for_address(address)
        async with self._engine.connect() as connection:
            said = await connection.scalar(_WISHES, {"address": address})
        if said is not None:
            mailbox = _wishes(said).over(mailbox)
        self._known[address] = mailbox
        return mailbox

    async def wish(self, address: str, wishes: Wishes) -> None:
        said = wishes.model_dump_json(exclude_unset=True)
        async with self._engine.connect() as connection:
            await connection.execute(_WISH, {"address": address, "wishes": said})
        self._known.pop(address, None)


def _wishes(said: object) -> Wishes:
    try:
        return Wishes.model_validate(said)
    except ValidationError:
        # Of another version of Mailroom: what it does not know it does not do.
        return Wishes()


_WISHES = text("SELECT wishes FROM agents WHERE address = :address")
_WISH = text("""
    INSERT INTO agents (address, wishes) VALUES (:address, CAST(:wishes AS jsonb))
    ON CONFLICT (address) DO UPDATE SET wishes = excluded.wishes
""")
