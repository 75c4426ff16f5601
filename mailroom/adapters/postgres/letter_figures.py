"""Queues, mailboxes and figures of agent mail. Nothing here writes."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.letters import PROCESSING
from mailroom.models.agent_config import AgentsSection
from mailroom.models.agent_mail import LetterState, Priority
from mailroom.models.letter_rows import (
    CircuitState,
    LetterCounts,
    LetterFigures,
    MailboxRow,
    Percentiles,
    QueueDepth,
    QueuedLetter,
    Queues,
    QueueView,
    StrategyFigures,
)

MOST_DEPTHS = 200


class PostgresLetterFigures:
    def __init__(self, engine: AsyncEngine, agents: AgentsSection) -> None:
        self._engine = engine
        self._agents = agents

    async def enabled(self) -> bool:
        """Whether letters are processed at all."""
        [row] = await self._all(_ENABLED, name=PROCESSING)
        return bool(row["enabled"])

    async def queues(self, limit: int) -> Queues:
        """The first of each in the order in which they go on; dead letters newest first."""
        by_priority = self._agents.enable_priority_processing
        inbound = _INBOUND_BY_PRIORITY if by_priority else _INBOUND_BY_AGE
        return Queues(
            enabled=await self.enabled(),
            inbound=await self._queue(inbound, ["queued", "delivering"], limit),
            outbound=await self._queue(_OUTBOUND, ["retrying"], limit),
            dead_letter=await self._queue(_DEAD, ["dead_letter"], limit),
        )

    async def mailboxes(self, now: datetime | None = None) -> list[MailboxRow]:
        """Of every address that is known, has a session, or ever got a letter."""
        now = now or datetime.now(UTC)
        rows = await self._all(_MAILBOXES, known=sorted(self._agents.known))
        return [self._mailbox(row, now) for row in rows]

    async def figures(self, period: timedelta) -> LetterFigures:
        [row] = await self._all(_FIGURES, period=period)
        ended = row["delivered"] + row["failed"]
        return LetterFigures(
            success_rate=round(row["delivered"] / ended, 4) if ended else None,
            delivered=row["delivered"],
            failed=row["failed"],
            delivery_seconds=_percentiles(row["delivery"]),
            acknowledge_seconds=_percentiles(row["acknowledge"]),
            queue_depths=await self._depths(),
            events=await self.events(),
            strategies=await self._strategies(period),
        )

    async def counts(self) -> LetterCounts:
        [row] = await self._all(_COUNTS)
        open_states = (LetterState.QUEUED, LetterState.DELIVERING, LetterState.RETRYING)
        states = (*open_states, LetterState.DEAD_LETTER)
        return LetterCounts(
            letters={state: row[state.value] for state in states},
            sessions=row["sessions"],
            circuits_open=row["circuits_open"],
            events=await self.events(),
        )

    async def events(self) -> dict[str, int]:
        """How often each has happened since the beginning."""
        return {row["type"]: int(row["total"]) for row in await self._all(_EVENTS)}

    async def _queue(self, statement: TextClause, statuses: Sequence[str], limit: int) -> QueueView:
        [total] = await self._all(_TOTAL, statuses=statuses)
        rows = await self._all(statement, limit=limit)
        return QueueView(total=total["letters"], items=[_queued(row) for row in rows])

    async def _depths(self) -> list[QueueDepth]:
        rows = await self._all(_DEPTHS, limit=MOST_DEPTHS)
        return [QueueDepth.model_validate(dict(row)) for row in rows]

    async def _strategies(self, period: timedelta) -> list[StrategyFigures]:
        rows = await self._all(_STRATEGIES, period=period)
        return [
            StrategyFigures(
                strategy=row["strategy"],
                letters=row["letters"],
                delivered=row["delivered"],
                delivery_seconds=_percentiles(row["delivery"]),
                acknowledge_seconds=_percentiles(row["acknowledge"]),
            )
            for row in rows
        ]

    def _mailbox(self, row: RowMapping, now: datetime) -> MailboxRow:
        known = {name: value for name, value in row.items() if name != "opened_at"}
        circuit = self._circuit(row, now) if row["opened_at"] else CircuitState.CLOSED
        return MailboxRow.model_validate({**known, "circuit": circuit})

    def _circuit(self, row: RowMapping, now: datetime) -> CircuitState:
        # To ask for the terms of thousands takes longer than to count their letters.
        terms = self._agents.for_address(row["address"]).breaker
        tried = now >= row["opened_at"] + terms.open_for
        return CircuitState.HALF_OPEN if tried else CircuitState.OPEN

    async def _all(self, statement: TextClause, **values: object) -> Sequence[RowMapping]:
        async with self._engine.connect() as connection:
            return (await connection.execute(statement, values)).mappings().all()


def _queued(row: RowMapping) -> QueuedLetter:
    return QueuedLetter.model_validate({**row, "priority": Priority.of_rank(row["priority"])})


def _percentiles(both: Iterable[float] | None) -> Percentiles:
    p50, p95 = (round(each, 3) for each in both) if both else (None, None)
    return Percentiles(p50=p50, p95=p95)


_ENABLED = text(
    "SELECT coalesce((SELECT enabled FROM switches WHERE name = :name), true) AS enabled"
)
_TOTAL = text("SELECT count(*) AS letters FROM agent_mail WHERE status = ANY(:statuses)")
_QUEUE = """
    SELECT id, "from", "to", subject, priority, status, attempts, last_attempt,
           sent_at AS queued_at, retry_at, reason AS error
    FROM agent_mail WHERE {which} ORDER BY {order} LIMIT :limit
"""
_INBOUND = "status IN ('queued', 'delivering')"
_INBOUND_BY_PRIORITY = text(_QUEUE.format(which=_INBOUND, order="priority DESC, sent_at, number"))
_INBOUND_BY_AGE = text(_QUEUE.format(which=_INBOUND, order="sent_at, number"))
_OUTBOUND = text(
    _QUEUE.format(which="status = 'retrying'", order="retry_at, priority DESC, sent_at, number")
)
_DEAD = text(_QUEUE.format(which="status = 'dead_letter'", order="number DESC"))

# Addresses that only ever got letters are found by hopping along the index on them.
_MAILBOXES = text("""
    WITH RECURSIVE hop (address) AS (
        (SELECT "to" FROM agent_mail ORDER BY "to" LIMIT 1)
        UNION ALL
        SELECT (SELECT "to" FROM agent_mail WHERE "to" > hop.address ORDER BY "to" LIMIT 1)
        FROM hop WHERE hop.address IS NOT NULL
    ), present AS (
        SELECT address, count(*) FILTER (WHERE expires_at > now()) AS sessions,
               max(last_active_at) AS last_active_at
        FROM sessions GROUP BY address
    ), waiting AS (
        SELECT "to" AS address, count(*) AS letters FROM agent_mail
        WHERE status IN ('queued', 'delivering', 'retrying') GROUP BY "to"
    ), unread AS (
        SELECT "to" AS address, count(*) AS letters FROM agent_mail
        WHERE read_at IS NULL AND acknowledged_at IS NULL
          AND status IN ('queued', 'delivering', 'retrying', 'delivered') GROUP BY "to"
    ), dead AS (
        SELECT "to" AS address, count(*) AS letters FROM agent_mail
        WHERE status = 'dead_letter' GROUP BY "to"
    ), everybody AS (
        SELECT address FROM hop WHERE address IS NOT NULL
        UNION SELECT address FROM agents
        UNION SELECT address FROM sessions
        UNION SELECT unnest(CAST(:known AS text[]))
    )
    SELECT address, coalesce(present.sessions, 0) AS sessions,
           coalesce(present.sessions, 0) > 0 AS online, present.last_active_at,
           coalesce(waiting.letters, 0) AS queued, coalesce(unread.letters, 0) AS unread,
           coalesce(dead.letters, 0) AS dead_letters, agents.opened_at
    FROM everybody
    LEFT JOIN present USING (address) LEFT JOIN waiting USING (address)
    LEFT JOIN unread USING (address) LEFT JOIN dead USING (address)
    LEFT JOIN agents USING (address)
    ORDER BY address
""")
_DEPTHS = text("""
    SELECT "to" AS address, count(*) AS queued, min(sent_at) AS oldest FROM agent_mail
    WHERE status IN ('queued', 'delivering', 'retrying')
    GROUP BY "to" ORDER BY count(*) DESC, "to" LIMIT :limit
""")
_EVENTS = text("SELECT type, sum(total) AS total FROM event_counts GROUP BY type ORDER BY type")
_COUNTS = text("""
    SELECT count(*) FILTER (WHERE status = 'queued') AS queued,
           count(*) FILTER (WHERE status = 'delivering') AS delivering,
           count(*) FILTER (WHERE status = 'retrying') AS retrying,
           count(*) FILTER (WHERE status = 'dead_letter') AS dead_letter,
           (SELECT count(*) FROM sessions WHERE expires_at > now()) AS sessions,
           (SELECT count(*) FROM agents WHERE opened_at IS NOT NULL) AS circuits_open
    FROM agent_mail WHERE status IN ('queued', 'delivering', 'retrying', 'dead_letter')
""")

# Whatever happens to a letter moves `updated_at`, which has an index.
_SINCE = "now() - CAST(:period AS interval)"
_ARRIVED = f"delivered_at > {_SINCE} AND status IN ('delivered', 'acknowledged')"
_TIMES = f"""
    count(*) FILTER (WHERE {_ARRIVED}) AS delivered,
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
        ORDER BY greatest(extract(epoch FROM delivered_at - sent_at), 0)
    ) FILTER (WHERE {_ARRIVED}) AS delivery,
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
        ORDER BY greatest(extract(epoch FROM acknowledged_at - delivered_at), 0)
    ) FILTER (WHERE acknowledged_at > {_SINCE} AND delivered_at IS NOT NULL) AS acknowledge
"""
_FIGURES = text(f"""
    SELECT count(*) FILTER (WHERE status IN ('dead_letter', 'expired')) AS failed, {_TIMES}
    FROM agent_mail WHERE updated_at > {_SINCE}
""")  # noqa: S608  parts of ours
_STRATEGIES = text(f"""
    SELECT strategy, count(*) FILTER (WHERE sent_at > {_SINCE}) AS letters, {_TIMES}
    FROM agent_mail WHERE updated_at > {_SINCE} AND strategy IS NOT NULL
    GROUP BY strategy ORDER BY strategy
""")  # noqa: S608
