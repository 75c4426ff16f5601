"""Letters as their workflows write them (port `LetterStore`). One statement for each step."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.moments import THIS_MOMENT
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
            row = (await connection.execute(_PLACE, _placing(placing))).mappings().one()
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
            return LetterState(str(await connection.scalar(_MOVE, values)))

    async def state(self, letter_id: str) -> LetterState | None:
        async with self._engine.connect() as connection:
            found = await connection.scalar(_STATE, {"id": letter_id})
        return LetterState(found) if found else None

    async def outcomes(self, letters: Sequence[str]) -> list[LetterOutcome]:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_OUTCOMES, {"ids": list(letters)})).mappings()
            return [LetterOutcome.model_validate(dict(row)) for row in rows]

    async def thread_of(self, letter_id: str) -> str | None:
        async with self._engine.connect() as connection:
            found = await connection.scalar(_THREAD, {"id": letter_id})
        return None if found is None else str(found)

    async def depth(self, address: str) -> int:
        """Letters that wait for an address."""
        async with self._engine.connect() as connection:
            return int(await connection.scalar(_DEPTH, {"to": address}) or 0)

    async def oldest(self, address: str, beyond: int) -> list[str]:
        """The oldest of those that wait, where there are more than `beyond`; none that a session
        has before it."""
        values = {"to": address, "beyond": beyond}
        async with self._engine.connect() as connection:
            return [str(one) for one in await connection.scalars(_OLDEST, values)]

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
        statement = _WAITING_BY_PRIORITY if by_priority else _WAITING_BY_AGE
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
            return [int(one) for one in await connection.scalars(_PUSH, values)]

    async def unconfirmed(self, events: Sequence[int]) -> list[str]:
        """The letters of these events that nobody has confirmed."""
        async with self._engine.connect() as connection:
            found = await connection.scalars(_UNCONFIRMED, {"events": list(events)})
            return [str(one) for one in found]

    async def notified(self, address: str, letters: Sequence[str], how: Channel | None) -> None:
        values = {
            "ids": list(letters),
            "owner": event_owner(address),
            "detail": json.dumps({"channel": how.value if how else None}),
            "quietly": how is None,
        }
        async with self._engine.connect() as connection:
            await connection.execute(_NOTIFIED, values)

    async def enabled(self) -> bool:
        async with self._engine.connect() as connection:
            return bool(await connection.scalar(_ENABLED, {"name": PROCESSING}))

    async def circuit(self, address: str) -> Circuit:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_CIRCUIT, {"to": address})).mappings().first()
        return Circuit.model_validate(dict(row)) if row else CLOSED

    async def broke_off(self, letter: Letter) -> bool:
        values = {"owner": event_owner(letter.to), "id": letter.id}
        async with self._engine.connect() as connection:
            return bool(await connection.scalar(_TRY_BEFORE, values) == Event.DELIVERING)

    async def online(self, address: str) -> bool:
        async with self._engine.connect() as connection:
            return bool(await connection.scalar(_IS_ONLINE, {"to": address}))

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
            await connection.execute(_ARRIVED, values)

    async def claim_probe(self, address: str, free_after: float) -> bool:
        """Whether the caller may try a recipient whose circuit is half open."""
        values = {"to": address, "seconds": free_after}
        async with self._engine.connect() as connection:
            return await connection.scalar(_CLAIM_PROBE, values) is not None

    async def reached(self, address: str, *, ok: bool, terms: BreakerTerms) -> None:
        """What an attempt says of the recipient's circuit."""
        if ok:
            async with self._engine.connect() as connection:
                await connection.execute(_REACHED, {"to": address})
            return
        async with self._engine.execution_options(isolation_level="READ COMMITTED").begin() as one:
            row = (await one.execute(_LOCKED_CIRCUIT, {"to": address})).mappings().first()
            if row:
                now = after(Circuit.model_validate(dict(row)), False, datetime.now(UTC), terms)
                await one.execute(_SET_CIRCUIT, {"to": address, **now.model_dump()})

    async def tell(self, address: str, about: str, event: Event, detail: dict[str, object]) -> None:
        """A line of the timeline that changes no letter."""
        values = {
            "owner": event_owner(address),
            "id": about,
            "event": event.value,
            "detail": json.dumps(detail),
        }
        async with self._engine.connect() as connection:
            await connection.execute(_TELL, values)

    async def untold(self, most: int) -> list[tuple[str, str]]:
        """Letters that arrived while their workflows rested, and were told nothing yet, with
        their states."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(_UNTOLD, {"most": most})
            return [(str(row.id), str(row.status)) for row in rows]

    async def told(self, letters: Sequence[str]) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(_TOLD, {"ids": list(letters)})


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


# A session that is chosen does not end before its letter is pushed; one that has is not chosen.
_PLACE = text("""
    WITH mailbox AS (
        SELECT coalesce(max(failures), 0) AS failures, max(opened_at) AS opened_at,
               max(probing_since) AS probing_since,
               EXISTS (SELECT FROM switches WHERE name = :switch AND NOT enabled) AS paused
        FROM agents WHERE address = :to
    ), overtakes AS (
        -- Those that wait go first: the drain of this address takes this letter along.
        SELECT EXISTS (
            SELECT FROM agent_mail
            WHERE "to" = :to AND status = 'queued' AND waits AND id <> :id
              AND (priority >= :priority OR NOT :by_priority)
        ) AS others
    ), online AS (
        SELECT session_id, count(*) OVER () AS several,
               row_number() OVER (ORDER BY last_active_at DESC, session_id) - 1 AS place
        FROM sessions, mailbox, overtakes
        WHERE address = :to AND expires_at > now() AND :push AND NOT paused AND failures < :opens
          AND NOT others
    ), chosen AS MATERIALIZED (
        SELECT session_id FROM sessions
        WHERE session_id IN (SELECT session_id FROM online
                             WHERE :all OR place = mod(:attempt, several))
        FOR KEY SHARE
    ), placed AS (
        INSERT INTO agent_mail AS m (id, "to", "from", subject, body, blob, priority, delivery,
                                     status, thread, reply_to, pinned, strategy, source,
                                     channel_id, sent_at, expires_at, step, last_attempt)
        SELECT :id, :to, :from, :subject, :body, :blob, :priority, :delivery,
               CASE WHEN go THEN 'delivering' ELSE 'queued' END, :thread, :reply_to, :pinned,
               :strategy, :source, :channel_id, :sent_at, :expires_at, :step,
               CASE WHEN go THEN now() END
        FROM (SELECT EXISTS (SELECT FROM chosen) OR (:trying AND NOT paused) AS go
              FROM mailbox) AS now_or_later
        ON CONFLICT (id) DO UPDATE
        SET status = CASE WHEN m.status IN ('queued', 'delivering', 'retrying', 'dead_letter')
                          THEN excluded.status ELSE m.status END,
            last_attempt = coalesce(excluded.last_attempt, m.last_attempt),
            step = greatest(m.step, excluded.step), waits = false, updated_at = now()
        RETURNING status, read_at IS NOT NULL AS read
    ), pushed AS (
        INSERT INTO session_events AS e (session_id, message_id)
        SELECT session_id, :id FROM chosen, placed WHERE status = 'delivering'
        ON CONFLICT (message_id, session_id) DO UPDATE SET attempt = e.attempt + 1
        RETURNING event_id, session_id
    ), withdrawn AS (
        DELETE FROM session_events
        WHERE message_id = :id AND confirmed_at IS NULL AND EXISTS (SELECT FROM pushed)
          AND session_id NOT IN (SELECT session_id FROM chosen)
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, :id, :order, 'message.delivering', '{}' FROM placed
        WHERE status = 'delivering'
        ON CONFLICT DO NOTHING
    )
    SELECT status AS state, read, paused, failures, opened_at, probing_since,
           ARRAY(SELECT event_id FROM pushed) AS events
    FROM placed, mailbox
""")

_MOVE = text("""
    WITH moved AS (
        UPDATE agent_mail
        SET status = :state, reason = :reason, attempts = :attempts, retry_at = :retry_at,
            waits = :waits, step = :step, updated_at = now(),
            channel = coalesce(CAST(:channel AS text), channel),
            last_attempt = CASE WHEN :attempted THEN now() ELSE last_attempt END,
            delivered_at = CASE WHEN :state IN ('delivered', 'acknowledged')
                                THEN coalesce(delivered_at, now()) ELSE delivered_at END,
            acknowledged_at = CASE WHEN :state = 'acknowledged' THEN now()
                                   ELSE acknowledged_at END
        WHERE id = :id AND step <= :step
          AND (status <> ALL(:ended) OR (status = 'delivered' AND :state = 'acknowledged'))
        RETURNING id
    ), withdrawn AS (
        DELETE FROM session_events
        WHERE message_id IN (SELECT id FROM moved) AND confirmed_at IS NULL
    ), confirmed AS (
        INSERT INTO delivery_confirmations (message_id)
        SELECT id FROM moved WHERE :state IN ('delivered', 'acknowledged') ON CONFLICT DO NOTHING
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, id, :order, :event, CAST(:detail AS jsonb) FROM moved
        ON CONFLICT DO NOTHING
    )
    SELECT coalesce((SELECT CAST(:state AS text) FROM moved),
                    (SELECT status FROM agent_mail WHERE id = :id))
""")

_STATE = text("SELECT status FROM agent_mail WHERE id = :id")
_OUTCOMES = text("""
    SELECT id, "to", status, session_id, reason AS error FROM agent_mail WHERE id = ANY(:ids)
""")
_THREAD = text("SELECT thread FROM agent_mail WHERE id = :id")
_TRY_BEFORE = text("""
    SELECT type FROM events
    WHERE owner = :owner AND message_id = :id
      AND type IN ('message.delivering', 'message.routing_error')
    ORDER BY id DESC OFFSET 1 LIMIT 1
""")
_DEPTH = text("""
    SELECT count(*) FROM agent_mail
    WHERE "to" = :to AND status IN ('queued', 'delivering', 'retrying')
""")
_OLDEST = text("""
    SELECT id FROM agent_mail
    WHERE "to" = :to AND status = 'queued' AND waits
      AND NOT EXISTS (SELECT FROM session_events
                      WHERE message_id = agent_mail.id AND confirmed_at IS NULL)
    ORDER BY sent_at, number
    LIMIT greatest((SELECT count(*) FROM agent_mail
                    WHERE "to" = :to AND status IN ('queued', 'delivering', 'retrying'))
                   - :beyond, 0)
""")
# A letter that failed waits for its own time, unless somebody has come since then.
_WAITING = """
    SELECT id, "from" AS sender, subject, priority, delivery, body, blob, thread, reply_to,
           sent_at, channel_id AS channel, strategy, notified_at IS NOT NULL AS notified
    FROM agent_mail
    WHERE "to" = :to AND waits AND id <> ALL(:besides)
      AND (status = 'queued' OR (status = 'retrying' AND EXISTS (
          SELECT FROM sessions
          WHERE address = :to AND expires_at > now() AND created_at > agent_mail.last_attempt)))
      AND (notified_at IS NULL OR NOT :unannounced)
      AND (expires_at IS NULL OR expires_at > now())
    ORDER BY {order} LIMIT :most
"""
_WAITING_BY_PRIORITY = text(_WAITING.format(order="priority DESC, sent_at, number"))
_WAITING_BY_AGE = text(_WAITING.format(order="sent_at, number"))

# What ended since it was looked for is not pushed, and what ends from now on is withdrawn.
_PUSH = text(f"""
    WITH letter AS MATERIALIZED (
        SELECT id FROM agent_mail
        WHERE id = ANY(:ids) AND status IN ('queued', 'delivering', 'retrying')
        ORDER BY id FOR UPDATE
    ), chosen AS MATERIALIZED (
        SELECT session_id FROM sessions
        WHERE address = :to AND expires_at > now()
        ORDER BY last_active_at DESC, session_id LIMIT CASE WHEN :all THEN NULL ELSE 1 END
        FOR KEY SHARE
    ), pushed AS (
        INSERT INTO session_events AS e (session_id, message_id)
        SELECT session_id, id
        FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS wanted (id, place)
        JOIN letter USING (id), chosen
        ORDER BY place
        ON CONFLICT (message_id, session_id) DO UPDATE SET attempt = e.attempt + 1
        RETURNING event_id, message_id
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, message_id, {THIS_MOMENT}, 'message.delivering', '{{}}'
        FROM (SELECT DISTINCT message_id FROM pushed) AS letters
        ON CONFLICT DO NOTHING
    )
    SELECT event_id FROM pushed
""")  # noqa: S608  parts of ours
_UNCONFIRMED = text("""
    SELECT DISTINCT message_id FROM session_events
    WHERE event_id = ANY(:events) AND message_id NOT IN (
        SELECT message_id FROM session_events
        WHERE confirmed_at IS NOT NULL
          AND message_id IN (SELECT message_id FROM session_events WHERE event_id = ANY(:events)))
""")
# Of several letters each statement takes the rows in one order, so that no two wait for each other.
_IN_ORDER = "(SELECT id FROM agent_mail WHERE id = ANY(:ids) ORDER BY id FOR UPDATE)"
_NOTIFIED = text(f"""
    WITH noted AS (
        UPDATE agent_mail SET notified_at = now(), updated_at = now()
        WHERE id IN {_IN_ORDER} RETURNING id
    )
    INSERT INTO events (owner, message_id, step, type, detail)
    SELECT :owner, id, {THIS_MOMENT}, 'message.notified', CAST(:detail AS jsonb)
    FROM noted WHERE NOT :quietly ON CONFLICT DO NOTHING
""")  # noqa: S608
_ENABLED = text("""
    SELECT coalesce((SELECT enabled FROM switches WHERE name = :name), true)
""")
_CIRCUIT = text("SELECT failures, opened_at, probing_since FROM agents WHERE address = :to")
_IS_ONLINE = text("""
    SELECT EXISTS (SELECT FROM sessions WHERE address = :to AND expires_at > now())
""")
_ARRIVED = text(f"""
    WITH arrived AS (
        UPDATE agent_mail SET status = 'delivered', channel = :channel, delivered_at = now(),
                              updated_at = now(), reason = NULL
        WHERE id IN {_IN_ORDER} AND status <> ALL(:ended) RETURNING id
    ), confirmed AS (
        INSERT INTO delivery_confirmations (message_id)
        SELECT id FROM arrived ON CONFLICT DO NOTHING
    )
    INSERT INTO events (owner, message_id, step, type, detail)
    SELECT :owner, id, 0, 'message.routed', CAST(:detail AS jsonb) FROM arrived
    ON CONFLICT DO NOTHING
""")  # noqa: S608
_CLAIM_PROBE = text("""
    UPDATE agents SET probing_since = now()
    WHERE address = :to
      AND (probing_since IS NULL OR probing_since < now() - make_interval(secs => :seconds))
    RETURNING address
""")
_REACHED = text("""
    UPDATE agents SET failures = 0, opened_at = NULL, probing_since = NULL
    WHERE address = :to AND failures > 0
""")
_LOCKED_CIRCUIT = text("""
    SELECT failures, opened_at, probing_since FROM agents WHERE address = :to FOR UPDATE
""")
_SET_CIRCUIT = text("""
    UPDATE agents SET failures = :failures, opened_at = :opened_at, probing_since = :probing_since
    WHERE address = :to
""")
_TELL = text(f"""
    INSERT INTO events (owner, message_id, step, type, detail)
    VALUES (:owner, :id, {THIS_MOMENT}, :event, CAST(:detail AS jsonb))
    ON CONFLICT DO NOTHING
""")  # noqa: S608
_UNTOLD = text("""
    SELECT id, status FROM agent_mail
    WHERE waits AND status IN ('delivered', 'acknowledged') ORDER BY updated_at LIMIT :most
""")
_TOLD = text(f"UPDATE agent_mail SET waits = false WHERE id IN {_IN_ORDER}")  # noqa: S608
