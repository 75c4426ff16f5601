"""Letters as their workflows write them (port `LetterStore`). One statement for each step."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres import letter_steps_sql as sql
from mailroom.models.agent_mail import (
    ENDED,
    Channel,
    Event,
    Letter,
    LetterOutcome,
    LetterState,
    Move,
    Placed,
    Placing,
    Priority,
    Waiting,
    event_owner,
)
from mailroom.models.breaker import CLOSED, BreakerTerms, Circuit, after

PROCESSING = "agent-mail"
"""The switch of `mailroom daemon enable | disable`."""
# Tries of one step are told apart on the timeline.
TRIES = 100


class PostgresLetters:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def place(self, placing: Placing) -> Placed:
        async with self._engine.connect() as connection:
            row = (await connection.execute(sql.PLACE, _placing(placing))).mappings().one()
        return Placed.model_validate({**row, "events": tuple(row["events"])})

    async def move(self, move: Move, to: str) -> LetterState:
        """The letter's state afterwards: one that has arrived stays so."""
        values = {
            **move.model_dump(exclude={"event", "state", "channel"}),
            "state": move.state.value,
            "event": move.event.value,
            "channel": move.channel.value if move.channel else None,
            "attempted": move.event in (Event.ROUTING_FAILED, Event.ROUTED),
            "owner": event_owner(to),
            "order": move.step * TRIES + TRIES - 1,
            "detail": json.dumps({"reason": move.reason} if move.reason else {}),
            "ended": _ENDED,
        }
        async with self._engine.connect() as connection:
            return LetterState(str(await connection.scalar(sql.MOVE, values)))

    async def state(self, letter_id: str) -> LetterState | None:
        async with self._engine.connect() as connection:
            found = await connection.scalar(sql.STATE, {"id": letter_id})
        return LetterState(found) if found else None

    async def outcomes(self, letters: Sequence[str]) -> list[LetterOutcome]:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(sql.OUTCOMES, {"ids": list(letters)})).mappings()
            return [LetterOutcome.model_validate(dict(row)) for row in rows]

    async def thread_of(self, letter_id: str) -> str | None:
        async with self._engine.connect() as connection:
            found = await connection.scalar(sql.THREAD, {"id": letter_id})
        return None if found is None else str(found)

    async def depth(self, address: str) -> int:
        """Letters that wait for an address."""
        async with self._engine.connect() as connection:
            return int(await connection.scalar(sql.DEPTH, {"to": address}) or 0)

    async def oldest(self, address: str, beyond: int) -> list[str]:
        """The oldest of those that wait, where there are more than `beyond`; none that a session
        has before it."""
        values = {"to": address, "beyond": beyond}
        async with self._engine.connect() as connection:
            return [str(one) for one in await connection.scalars(sql.OLDEST, values)]

    async def waiting(
        self,
        address: str,
        most: int,
        *,
        by_priority: bool,
        besides: Sequence[str] = (),
        unannounced: bool = False,
    ) -> list[Waiting]:
        """Those whose workflows rest, in the order in which they go on; `unannounced`: of which
        nobody was told."""
        statement = sql.WAITING_BY_PRIORITY if by_priority else sql.WAITING_BY_AGE
        values = {
            "to": address,
            "most": most,
            "besides": list(besides),
            "unannounced": unannounced,
        }
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement, values)).mappings().all()
        return [
            Waiting.model_validate({**row, "priority": Priority.of_rank(row["priority"])})
            for row in rows
        ]

    async def push(self, address: str, letters: Sequence[str], *, all_sessions: bool) -> list[int]:
        """Pushes them to the latest session, or to all; the events. None where nobody is online."""
        values = {
            "to": address,
            "ids": list(letters),
            "owner": event_owner(address),
            "all": all_sessions,
        }
        async with self._engine.connect() as connection:
            return [int(one) for one in await connection.scalars(sql.PUSH, values)]

    async def unconfirmed(self, events: Sequence[int]) -> list[str]:
        """The letters of these events that nobody has confirmed."""
        async with self._engine.connect() as connection:
            found = await connection.scalars(sql.UNCONFIRMED, {"events": list(events)})
            return [str(one) for one in found]

    async def notified(self, address: str, letters: Sequence[str], how: Channel | None) -> None:
        values = {
            "ids": list(letters),
            "owner": event_owner(address),
            "detail": json.dumps({"channel": how.value if how else None}),
            "quietly": how is None,
        }
        async with self._engine.connect() as connection:
            await connection.execute(sql.NOTIFIED, values)

    async def enabled(self) -> bool:
        async with self._engine.connect() as connection:
            return bool(await connection.scalar(sql.ENABLED, {"name": PROCESSING}))

    async def circuit(self, address: str) -> Circuit:
        async with self._engine.connect() as connection:
            row = (await connection.execute(sql.CIRCUIT, {"to": address})).mappings().first()
        return Circuit.model_validate(dict(row)) if row else CLOSED

    async def broke_off(self, letter: Letter) -> bool:
        values = {"owner": event_owner(letter.to), "id": letter.id}
        async with self._engine.connect() as connection:
            return bool(await connection.scalar(sql.TRY_BEFORE, values) == Event.DELIVERING)

    async def online(self, address: str) -> bool:
        async with self._engine.connect() as connection:
            return bool(await connection.scalar(sql.IS_ONLINE, {"to": address}))

    async def arrived(self, address: str, letters: Sequence[str], how: Channel) -> None:
        """Letters whose workflows rest were taken."""
        values = {
            "ids": list(letters),
            "channel": how.value,
            "owner": event_owner(address),
            "detail": json.dumps({"channel": how.value}),
            "ended": _ENDED,
        }
        async with self._engine.connect() as connection:
            await connection.execute(sql.ARRIVED, values)

    async def claim_probe(self, address: str, free_after: float) -> bool:
        """Whether the caller may try a recipient whose circuit is half open."""
        values = {"to": address, "seconds": free_after}
        async with self._engine.connect() as connection:
            return await connection.scalar(sql.CLAIM_PROBE, values) is not None

    async def reached(self, address: str, *, ok: bool, terms: BreakerTerms) -> None:
        """What an attempt says of the recipient's circuit."""
        if ok:
            async with self._engine.connect() as connection:
                await connection.execute(sql.REACHED, {"to": address})
            return
        async with self._engine.execution_options(isolation_level="READ COMMITTED").begin() as one:
            row = (await one.execute(sql.LOCKED_CIRCUIT, {"to": address})).mappings().first()
            if row:
                now = after(Circuit.model_validate(dict(row)), False, datetime.now(UTC), terms)
                await one.execute(sql.SET_CIRCUIT, {"to": address, **now.model_dump()})

    async def tell(self, address: str, about: str, event: Event, detail: dict[str, object]) -> None:
        """A line of the timeline that changes no letter."""
        values = {
            "owner": event_owner(address),
            "id": about,
            "event": event.value,
            "detail": json.dumps(detail),
        }
        async with self._engine.connect() as connection:
            await connection.execute(sql.TELL, values)

    async def untold(self, most: int) -> list[tuple[str, str]]:
        """Letters that arrived while their workflows rested, and were told nothing yet, with
        their states."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(sql.UNTOLD, {"most": most})
            return [(str(row.id), str(row.status)) for row in rows]

    async def told(self, letters: Sequence[str]) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(sql.TOLD, {"ids": list(letters)})


_ENDED = [state.value for state in ENDED]


def _placing(placing: Placing) -> dict[str, object]:
    letter = placing.letter
    return {
        **letter_values(letter),
        "step": placing.step,
        "order": placing.step * TRIES + placing.attempt,
        "attempt": placing.attempt,
        "push": placing.push,
        "trying": placing.trying,
        "all": placing.all_sessions,
        "by_priority": placing.by_priority,
        "opens": placing.circuit_opens,
        "switch": PROCESSING,
        "owner": event_owner(letter.to),
    }


def letter_values(letter: Letter) -> dict[str, object]:
    return {
        "id": letter.id,
        "to": letter.to,
        "from": letter.sender,
        "subject": letter.subject,
        "body": letter.body,
        "blob": letter.blob,
        "priority": letter.priority.rank,
        "delivery": letter.delivery.value,
        "thread": letter.thread,
        "reply_to": letter.reply_to,
        "pinned": letter.pinned,
        "strategy": letter.strategy,
        "source": letter.source,
        "channel_id": letter.channel,
        "sent_at": letter.sent_at,
        "expires_at": letter.expires_at,
    }
