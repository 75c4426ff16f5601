"""What people do to letters: read, acknowledge, pin; and the switch of the processing."""

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.letters import PROCESSING
from mailroom.models.base import Frozen


class Done(Frozen):
    """`waits`: its workflow rests and has to be told."""

    waits: bool


class PostgresLetterActions:
    """Each is one statement: the row, the lines of its timeline, and what was pushed to sessions
    agree whatever happens in between."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def read(self, letter_id: str) -> Done | None:
        """A letter that still waited has arrived by this; one that is over only counts as read.
        None if there is no such letter."""
        return _done(await self._first(_READ, id=letter_id))

    async def acknowledge(self, letter_id: str) -> Done | None:
        """None where it is over or a dead letter. Of an urgent one its workflow waits for this;
        it is told until it has heard."""
        return _done(await self._first(_ACKNOWLEDGE, id=letter_id))

    async def pin(self, letter_id: str, *, pinned: bool) -> bool:
        """False where the letter shows up in no inbox any more."""
        return await self._first(_PIN, id=letter_id, pinned=pinned) is not None

    async def discard(self, letter_id: str, reason: str) -> bool:
        """Of a letter whose workflow is gone; False where it is over already."""
        return await self._first(_DISCARD, id=letter_id, reason=reason) is not None

    async def switch(self, *, enabled: bool) -> None:
        """`mailroom daemon enable | disable`; kept over restarts."""
        async with self._engine.connect() as connection:
            await connection.execute(_SWITCH, {"name": PROCESSING, "enabled": enabled})

    async def waiting_addresses(self) -> list[str]:
        """Those for whom letters wait."""
        async with self._engine.connect() as connection:
            return [str(one) for one in await connection.scalars(_WAITING_ADDRESSES)]

    async def _first(self, statement: TextClause, **values: object) -> RowMapping | None:
        async with self._engine.connect() as connection:
            return (await connection.execute(statement, values)).mappings().first()


def _done(row: RowMapping | None) -> Done | None:
    return Done(waits=row["waits"]) if row else None


_WAITED = "status IN ('queued', 'delivering', 'retrying')"
# `now()` is when this statement began: what has that time has it by this statement.
_INBOX = f"""
    channel = CASE WHEN {_WAITED} THEN 'inbox' ELSE channel END,
    delivered_at = CASE WHEN {_WAITED} THEN now() ELSE delivered_at END,
    reason = CASE WHEN {_WAITED} THEN NULL ELSE reason END,
    read_at = coalesce(read_at, now()), updated_at = now()
"""
# No session gets it any more, and whoever asks for its delivery is told.
_FOLLOWS = """
    arrived AS (
        SELECT id, "to" FROM done WHERE channel = 'inbox' AND delivered_at = now()
    ), withdrawn AS (
        DELETE FROM session_events
        WHERE message_id IN (SELECT id FROM arrived) AND confirmed_at IS NULL
    ), confirmed AS (
        INSERT INTO delivery_confirmations (message_id) SELECT id FROM arrived
        ON CONFLICT DO NOTHING
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT 'agent/' || "to", id, 0, type, detail
        FROM (
            SELECT id, "to", 'message.routed' AS type,
                   jsonb_build_object('channel', 'inbox') AS detail FROM arrived
            UNION ALL
            SELECT id, "to", {event}, jsonb_build_object() FROM done WHERE {happened}
        ) AS lines
        ON CONFLICT DO NOTHING
    )
    SELECT waits FROM done
"""
_READ = text(f"""
    WITH done AS (
        UPDATE agent_mail
        SET status = CASE WHEN {_WAITED} THEN 'delivered' ELSE status END, {_INBOX}
        WHERE id = :id
        RETURNING id, "to", channel, delivered_at, read_at,
                  waits AND status = 'delivered' AS waits
    ), {_FOLLOWS.format(event="'message.read'", happened="read_at = now()")}
""")  # noqa: S608  parts of ours
# The row says `waits` until the workflow of an urgent letter has heard of it: the scan sees that.
_ACKNOWLEDGE = text(f"""
    WITH done AS (
        UPDATE agent_mail
        SET status = 'acknowledged', acknowledged_at = coalesce(acknowledged_at, now()),
            waits = waits OR (priority = 3 AND status <> 'acknowledged'), {_INBOX}
        WHERE id = :id AND status IN ('queued', 'delivering', 'retrying', 'delivered',
                                      'acknowledged')
        RETURNING id, "to", channel, delivered_at, acknowledged_at, waits
    ), {_FOLLOWS.format(event="'message.acknowledged'", happened="acknowledged_at = now()")}
""")  # noqa: S608
_PIN = text("""
    UPDATE agent_mail SET pinned = :pinned, updated_at = now()
    WHERE id = :id
      AND (NOT :pinned OR status IN ('queued', 'delivering', 'retrying', 'delivered',
                                     'acknowledged'))
    RETURNING id
""")
_DISCARD = text("""
    WITH done AS (
        UPDATE agent_mail
        SET status = 'discarded', reason = :reason, waits = false, updated_at = now()
        WHERE id = :id AND status IN ('queued', 'delivering', 'retrying', 'dead_letter')
        RETURNING id, "to", step
    ), withdrawn AS (
        DELETE FROM session_events
        WHERE message_id IN (SELECT id FROM done) AND confirmed_at IS NULL
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT 'agent/' || "to", id, step, 'message.discarded',
               jsonb_build_object('reason', CAST(:reason AS text))
        FROM done ON CONFLICT DO NOTHING
    )
    SELECT id FROM done
""")
_SWITCH = text("""
    INSERT INTO switches (name, enabled) VALUES (:name, :enabled)
    ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled, changed_at = now()
""")
_WAITING_ADDRESSES = text("""
    SELECT DISTINCT "to" FROM agent_mail
    WHERE status IN ('queued', 'retrying') AND waits ORDER BY "to"
""")
