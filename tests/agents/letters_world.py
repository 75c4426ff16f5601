"""Letters as rows, each in the state that a test needs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import URL, text

from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.letter_actions import PostgresLetterActions
from mailroom.adapters.postgres.letter_figures import PostgresLetterFigures
from mailroom.adapters.postgres.letter_views import PostgresLetterViews
from mailroom.adapters.postgres.letters import PostgresLetters
from mailroom.adapters.postgres.sessions import PostgresSessions
from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_mail import (
    Channel,
    Event,
    Letter,
    LetterState,
    Move,
    Placing,
    Priority,
)
from mailroom.models.letter_rows import LetterRow

EVENTS = {
    LetterState.QUEUED: Event.QUEUED,
    LetterState.DELIVERED: Event.ROUTED,
    LetterState.RETRYING: Event.ROUTING_FAILED,
    LetterState.DEAD_LETTER: Event.DEAD,
    LetterState.EXPIRED: Event.EXPIRED,
    LetterState.DISCARDED: Event.DISCARDED,
}
RESTS = (LetterState.QUEUED, LetterState.RETRYING, LetterState.DEAD_LETTER)


@dataclass
class Post:
    """The store of agent mail; letters are a second apart."""

    engines: engine.Engines
    agents: AgentsSection
    start: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=1))
    sent: int = 0

    @property
    def letters(self) -> PostgresLetters:
        return PostgresLetters(self.engines.write)

    @property
    def sessions(self) -> PostgresSessions:
        return PostgresSessions(self.engines.write)

    @property
    def views(self) -> PostgresLetterViews:
        return PostgresLetterViews(self.engines.read)

    @property
    def figures(self) -> PostgresLetterFigures:
        return PostgresLetterFigures(self.engines.read, self.agents)

    @property
    def actions(self) -> PostgresLetterActions:
        return PostgresLetterActions(self.engines.write)

    async def letter(self, to: str, state: LetterState = LetterState.QUEUED, **more: object) -> str:
        """The ID of a letter that is there now, in this state."""
        self.sent += 1
        letter_id = str(more.get("id") or uuid4().hex)
        sent_at = self.start + timedelta(seconds=self.sent)
        known = {"id": letter_id, "sender": "mayor/", "thread": letter_id, "sent_at": sent_at}
        letter = Letter.model_validate({**known, "to": to, "subject": "Work", **more})
        trying = state is LetterState.DELIVERING
        await self.letters.place(Placing(letter=letter, step=1, push=False, trying=trying))
        if state is not LetterState.DELIVERING:
            await self.letters.move(moved(letter_id, state), to)
        return letter_id

    async def row(self, letter_id: str) -> LetterRow:
        [row] = await self.views.rows([letter_id])
        return row

    async def lines(self, letter_id: str) -> list[str]:
        row = await self.row(letter_id)
        return [line.type for line in await self.views.timeline(letter_id, row.to)]

    async def run(self, statement: str, **values: object) -> None:
        async with self.engines.write.connect() as connection:
            await connection.execute(text(statement), values)

    async def online(self, address: str) -> str:
        session = uuid4().hex
        await self.sessions.register(session, address, "daemon", None, timedelta(hours=1))
        return session


def moved(letter_id: str, state: LetterState) -> Move:
    failed = state in (LetterState.RETRYING, LetterState.DEAD_LETTER)
    return Move(
        id=letter_id,
        step=1,
        state=state,
        event=EVENTS[state],
        reason="Nobody took it." if failed else None,
        attempts=2 if failed else 0,
        retry_at=datetime.now(UTC) + timedelta(minutes=5) if failed else None,
        waits=state in RESTS,
        channel=Channel.SESSION if state is LetterState.DELIVERED else None,
    )


@asynccontextmanager
async def post_on(database: URL, agents: AgentsSection | None = None) -> AsyncIterator[Post]:
    engines = engine.connect(database, 4)
    try:
        yield Post(engines, agents or AgentsSection())
    finally:
        await engines.dispose()


def urgent(**more: object) -> dict[str, object]:
    return {"priority": Priority.URGENT, **more}
