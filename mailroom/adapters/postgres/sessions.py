"""Sessions of agents: leases, and the letters that were pushed to them."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.moments import THIS_MOMENT
from mailroom.models.agent_mail import Priority, event_owner
from mailroom.models.sessions import Confirmation, Confirmed, Presence, Pushed, Session

NOTHING: Mapping[int, int] = {}


class PostgresSessions:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def register(
        self, session: str, address: str, daemon_id: str, channel: str | None, lease: timedelta
    ) -> tuple[Session, int] | None:
        """The session with a new lease, and how many letters wait for its address. The same
        session again is renewed; None where another address has one of this name."""
        values = {
            "session_id": session,
            "address": address,
            "daemon_id": daemon_id,
            "channel": channel,
            "lease": lease,
            "owner": event_owner(address),
        }
        async with self._engine.connect() as connection:
            row = (await connection.execute(_REGISTER, values)).mappings().first()
        return (_session(row), int(row["queued"])) if row else None

    async def renew(
        self, session: str, address: str, lease: timedelta
    ) -> tuple[Session, bool] | None:
        """A heartbeat: the session, and whether its lease had run out before; None if it is
        gone, or another address' by now."""
        values = {"session_id": session, "address": address, "lease": lease}
        async with self._engine.connect() as connection:
            row = (await connection.execute(_RENEW, values)).mappings().first()
        return (_session(row), bool(row["expired"])) if row else None

    async def unregister(self, session: str) -> bool:
        async with self._engine.connect() as connection:
            return await connection.scalar(_UNREGISTER, {"session_id": session}) is not None

    async def find(self, session: str) -> Session | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_FIND, {"session_id": session})).mappings().first()
        return _session(row) if row else None

    async def online(self, address: str | None) -> list[Session]:
        """Those of an address, or of all, the latest first."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(_ONLINE, {"address": address})
            return [_session(row) for row in rows.mappings()]

    async def presence(self, address: str) -> Presence:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_PRESENCE, {"address": address})).mappings().one()
        sessions = await self.online(address) if row["online"] else []
        return Presence(address=address, sessions=tuple(sessions), **row)

    async def open(
        self,
        session: str,
        address: str,
        most: int,
        *,
        by_priority: bool,
        sent: Mapping[int, int] = NOTHING,
    ) -> list[Pushed]:
        """What was pushed to a session of this address and not confirmed, in the order in which
        it goes on; without `sent`, events and their attempts."""
        statement = _OPEN_BY_PRIORITY if by_priority else _OPEN_BY_AGE
        values = {
            "session_id": session,
            "address": address,
            "most": most,
            "sent": list(sent),
            "attempts": list(sent.values()),
        }
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement, values)).mappings().all()
        return [_pushed(row) for row in rows]

    async def still_open(self, session: str, events: Sequence[int]) -> list[int]:
        """Those that are not confirmed."""
        values = {"session_id": session, "events": list(events)}
        async with self._engine.connect() as connection:
            return [int(one) for one in await connection.scalars(_STILL_OPEN, values)]

    async def confirm(
        self, session: str, address: str, events: Sequence[int]
    ) -> list[Confirmed] | None:
        """The letters that arrived by this; None if there are no such events of this session."""
        values = {
            "session_id": session,
            "events": sorted(set(events)),
            "owner": event_owner(address),
            "address": address,
            "detail": json.dumps({"session_id": session}),
        }
        async with self._engine.connect() as connection:
            row = (await connection.execute(_CONFIRM, values)).one()
        if not row.known:
            return None
        return [Confirmed(id=id, waits=waits) for id, waits in zip(row.ids, row.waits, strict=True)]

    async def confirmation(self, letter: str, kept: timedelta) -> Confirmation | None:
        async with self._engine.connect() as connection:
            values = {"id": letter, "kept": kept}
            row = (await connection.execute(_CONFIRMATION, values)).mappings().first()
        return Confirmation.model_validate(dict(row)) if row else None

    async def clean(self, kept: timedelta) -> list[tuple[str, str]]:
        """Removes leases that have run out, and confirmations that are older with what was
        confirmed; the sessions that ended, with their addresses."""
        async with self._engine.connect() as connection:
            await connection.execute(_FORGET, {"kept": kept})
            rows = (await connection.execute(_CLEAN, {"kept": kept})).all()
        return [(str(row.session_id), str(row.address)) for row in rows]

    async def ready(self, priorities: Sequence[Priority], most: int) -> list[str]:
        """Addresses of which a session is online and letters of these priorities wait."""
        values = {"ranks": [one.rank for one in priorities], "most": most}
        async with self._engine.connect() as connection:
            return [str(one) for one in await connection.scalars(_READY, values)]

    async def waiting_addresses(self, priorities: Sequence[Priority], most: int) -> list[str]:
        """Addresses for which letters of these priorities wait that nobody was told of; of more
        than `most` any, so that none is passed over for ever."""
        values = {"ranks": [one.rank for one in priorities], "most": most}
        async with self._engine.connect() as connection:
            return [str(one) for one in await connection.scalars(_UNNOTIFIED, values)]


_NAMES = "session_id, address, daemon_id, channel, status, created_at, last_active_at, expires_at"


def _session(row: RowMapping) -> Session:
    return Session.model_validate({name: row[name] for name in Session.model_fields})


def _pushed(row: RowMapping) -> Pushed:
    return Pushed.model_validate({**row, "priority": Priority.of_rank(row["priority"])})


# A token says whose a session is and is good for ever, but a name is free again when its session
# has ended. So every statement asks for the address, too.
_REGISTER = text(f"""
    WITH known AS (
        INSERT INTO agents (address) VALUES (:address) ON CONFLICT DO NOTHING
    ), registered AS (
        INSERT INTO sessions (session_id, address, daemon_id, channel, expires_at)
        VALUES (:session_id, :address, :daemon_id, :channel, now() + :lease)
        ON CONFLICT (session_id) DO UPDATE
        SET daemon_id = excluded.daemon_id, channel = excluded.channel,
            created_at = now(), last_active_at = now(), expires_at = excluded.expires_at
        WHERE sessions.address = excluded.address
        RETURNING {_NAMES}
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, session_id, {THIS_MOMENT}, 'session.registered', '{{}}' FROM registered
        ON CONFLICT DO NOTHING
    )
    SELECT {_NAMES}, (SELECT count(*) FROM agent_mail
                      WHERE "to" = :address AND status IN ('queued', 'retrying')
                        AND waits) AS queued
    FROM registered
""")  # noqa: S608  names of ours
_RENEW = text(f"""
    UPDATE sessions AS s SET last_active_at = now(), expires_at = now() + :lease
    FROM (SELECT session_id AS id, expires_at < now() AS expired
          FROM sessions WHERE session_id = :session_id AND address = :address) AS before
    WHERE session_id = before.id
    RETURNING {_NAMES}, expired
""")  # noqa: S608
_UNREGISTER = text(f"""
    WITH gone AS (
        DELETE FROM sessions WHERE session_id = :session_id RETURNING session_id, address
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT 'agent/' || address, session_id, {THIS_MOMENT}, 'session.unregistered', '{{}}'
        FROM gone ON CONFLICT DO NOTHING
    )
    SELECT session_id FROM gone
""")  # noqa: S608
_FIND = text(f"SELECT {_NAMES} FROM sessions WHERE session_id = :session_id")  # noqa: S608
_ONLINE = text(f"""
    SELECT {_NAMES} FROM sessions
    WHERE (CAST(:address AS text) IS NULL OR address = :address) AND expires_at > now()
    ORDER BY last_active_at DESC, session_id
""")  # noqa: S608
_PRESENCE = text("""
    SELECT count(*) FILTER (WHERE expires_at > now()) > 0 AS online,
           max(last_active_at) AS last_active_at,
           (SELECT count(*) FROM agent_mail
            WHERE "to" = :address AND status IN ('queued', 'retrying')) AS queued
    FROM sessions WHERE address = :address
""")
_OPEN = """
    SELECT e.event_id, e.attempt, e.message_id, s.daemon_id, m."to" AS address,
           m."from" AS sender, m.subject, m.body, m.blob, m.priority, m.thread, m.reply_to,
           m.channel_id AS channel, m.sent_at, e.created_at
    FROM session_events e
    JOIN sessions s ON s.session_id = e.session_id JOIN agent_mail m ON m.id = e.message_id
    WHERE e.session_id = :session_id AND s.address = :address AND e.confirmed_at IS NULL
      AND m.status NOT IN ('dead_letter', 'expired', 'discarded')
      AND NOT EXISTS (
          SELECT FROM unnest(CAST(:sent AS bigint[]), CAST(:attempts AS integer[]))
                      AS known (event_id, attempt)
          WHERE known.event_id = e.event_id AND known.attempt = e.attempt)
    ORDER BY {order} LIMIT :most
"""
_STILL_OPEN = text("""
    SELECT event_id FROM session_events
    WHERE session_id = :session_id AND confirmed_at IS NULL AND event_id = ANY(:events)
""")
_OPEN_BY_PRIORITY = text(_OPEN.format(order="m.priority DESC, m.sent_at, m.number"))
_OPEN_BY_AGE = text(_OPEN.format(order="m.sent_at, m.number"))
# Letters are locked before what was pushed of them, and in one order, as steps of theirs do it:
# else two could wait for each other.
_CONFIRM = text("""
    WITH mine AS (
        SELECT event_id, message_id FROM session_events
        JOIN sessions USING (session_id)
        WHERE event_id = ANY(:events) AND session_id = :session_id AND address = :address
    ), locked AS MATERIALIZED (
        SELECT id FROM agent_mail WHERE id IN (SELECT message_id FROM mine) ORDER BY id FOR UPDATE
    ), confirmed AS (
        UPDATE session_events SET confirmed_at = now()
        WHERE event_id IN (SELECT event_id FROM mine JOIN locked ON id = message_id)
          AND confirmed_at IS NULL AND (SELECT count(*) FROM locked) > 0  -- all of them first
        RETURNING message_id
    ), arrived AS (
        UPDATE agent_mail AS m
        SET status = 'delivered', session_id = :session_id, channel = 'session',
            delivered_at = now(), updated_at = now(), reason = NULL
        FROM confirmed c
        WHERE m.id = c.message_id
          AND m.status IN ('queued', 'delivering', 'retrying', 'dead_letter')
        RETURNING m.id, m.waits
    ), kept AS (
        INSERT INTO delivery_confirmations (message_id, session_id)
        SELECT id, :session_id FROM arrived ON CONFLICT DO NOTHING
    ), reached AS (
        UPDATE agents SET failures = 0, opened_at = NULL, probing_since = NULL
        WHERE address = :address AND failures > 0
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, id, 0, 'message.routed', CAST(:detail AS jsonb) FROM arrived
        ON CONFLICT DO NOTHING
    )
    SELECT EXISTS (SELECT FROM mine) AS known, ARRAY(SELECT id FROM arrived) AS ids,
           ARRAY(SELECT waits FROM arrived) AS waits
""")
_CONFIRMATION = text("""
    SELECT session_id, delivered_at FROM delivery_confirmations
    WHERE message_id = :id AND delivered_at > now() - CAST(:kept AS interval)
""")
# By itself, and waiting for nobody: elsewhere sessions are locked before what was pushed to them.
_FORGET = text("""
    DELETE FROM session_events WHERE event_id IN (
        SELECT event_id FROM session_events
        WHERE confirmed_at < now() - CAST(:kept AS interval) FOR UPDATE SKIP LOCKED)
""")
_CLEAN = text(f"""
    WITH old AS (
        DELETE FROM delivery_confirmations WHERE delivered_at < now() - CAST(:kept AS interval)
    ), ended AS (
        DELETE FROM sessions WHERE session_id IN (
            SELECT session_id FROM sessions WHERE expires_at < now() FOR UPDATE SKIP LOCKED)
        RETURNING session_id, address
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT 'agent/' || address, session_id, {THIS_MOMENT}, 'session.unregistered',
               '{{"reason": "the lease ran out"}}'
        FROM ended ON CONFLICT DO NOTHING
    )
    SELECT session_id, address FROM ended
""")  # noqa: S608
_READY = text("""
    SELECT DISTINCT address FROM sessions s
    WHERE expires_at > now() AND EXISTS (
        SELECT FROM agent_mail
        WHERE "to" = s.address AND status = 'queued' AND waits AND priority = ANY(:ranks))
    LIMIT :most
""")
_UNNOTIFIED = text("""
    SELECT "to"
    FROM (SELECT DISTINCT "to" FROM agent_mail
          WHERE status = 'queued' AND waits AND notified_at IS NULL AND priority = ANY(:ranks))
         AS addresses
    ORDER BY random() LIMIT :most
""")
