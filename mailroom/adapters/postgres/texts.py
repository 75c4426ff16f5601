"""Texts in both directions (port `TextLog`, and what the webhook needs)."""

import json
from typing import Any

from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.base import Frozen
from mailroom.models.receipts import Receipt
from mailroom.models.rows import SentText

_SENT = sql("""
    SELECT reference, provider_id FROM sms_messages
    WHERE direction = 'outbound' AND reference = ANY(:references)
""")
KEEP = """
    INSERT INTO sms_messages
        (direction, owner, message_id, number, body, reference, provider_id)
    VALUES ('outbound', :owner, :message_id, :to, :body, :reference, :provider_id)
    ON CONFLICT DO NOTHING
"""
_KEEP = sql(KEEP)
_STOPPED = sql("SELECT 1 FROM phones WHERE number = :number AND stopped_at IS NOT NULL")

_RECEIVE_WITH = """
    INSERT INTO sms_messages AS s (direction, owner, number, body, provider_id, outcome)
    VALUES ('inbound', :owner, :number, :body, :provider_id, {outcome})
    ON CONFLICT (number, provider_id) WHERE direction = 'inbound' DO UPDATE
    SET outcome = coalesce(s.outcome, excluded.outcome)
    RETURNING outcome
"""
_RECEIVE = sql(_RECEIVE_WITH.format(outcome="CAST(:outcome AS jsonb)"))
# A code may be that of an older draft; the newest that bore it is meant. Codes differ among the
# drafts of one owner: one of theirs and one of somebody they stand in for may share a code, and
# then it names neither.
_RECEIVE_ABOUT = sql(
    _RECEIVE_WITH.format(
        outcome="""(
            WITH named AS (
                (SELECT d.*, w.workflow_id
                 FROM drafts d JOIN workflow_state w USING (owner, message_id)
                 WHERE d.owner = :owner AND d.code = :code
                 ORDER BY d.created_at DESC LIMIT 1)
                UNION ALL
                (SELECT d.*, w.workflow_id
                 FROM workflow_state w JOIN drafts d USING (owner, message_id)
                 WHERE w.delegate = :owner AND d.code = :code
                 ORDER BY d.created_at DESC LIMIT 1)
            )
            SELECT jsonb_build_object('resolution', jsonb_build_object(
                'workflow_id', workflow_id, 'message_id', message_id, 'revision', revision,
                'owner', owner
            ))
            FROM named
            WHERE (SELECT count(*) FROM named WHERE live) < 2
            ORDER BY live DESC, created_at DESC LIMIT 1
        )"""
    )
)
_ANSWER = sql("""
    UPDATE sms_messages
    SET outcome = CASE WHEN jsonb_exists(outcome, 'outcome') THEN outcome
                       ELSE CAST(:outcome AS jsonb) END
    WHERE direction = 'inbound' AND number = :number AND provider_id = :provider_id
    RETURNING outcome
""")

_RECEIPT = sql("""
    INSERT INTO sms_receipts AS r (provider_id, status, status_at, error_code)
    VALUES (:provider_id, :status, :status_at, :error_code)
    ON CONFLICT (provider_id) DO UPDATE
    SET status = excluded.status, status_at = excluded.status_at,
        error_code = excluded.error_code
    WHERE r.status = ANY(:replaces)
    RETURNING provider_id
""")
_TEXT = sql("""
    SELECT reference, owner, message_id, number AS "to", body, provider_id
    FROM sms_messages
    WHERE direction = 'outbound' AND provider_id = :provider_id
    LIMIT 1
""")

_SET_STOPPED = sql("""
    INSERT INTO phones (number, stopped_at)
    VALUES (:number, CASE WHEN :stopped THEN now() END)
    ON CONFLICT (number) DO UPDATE SET stopped_at = excluded.stopped_at
""")
_MAY_EXPLAIN = sql("""
    INSERT INTO phones AS p (number, explained_at) VALUES (:number, now())
    ON CONFLICT (number) DO UPDATE SET explained_at = now()
    WHERE p.stopped_at IS NULL
      AND (p.explained_at IS NULL OR p.explained_at < now() - interval '1 hour')
    RETURNING number
""")


class InboundText(Frozen):
    """One SMS as the provider delivered it; `provider_id` makes a redelivery the same text."""

    owner: str
    number: str
    body: str
    provider_id: str


class PostgresTexts:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def sent(self, references: list[str]) -> dict[str, str]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(_SENT, {"references": references})
            return {row.reference: row.provider_id for row in rows}

    async def keep(self, text: SentText) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(_KEEP, text.model_dump())

    async def stopped(self, number: str) -> bool:
        async with self._engine.connect() as connection:
            return await connection.scalar(_STOPPED, {"number": number}) is not None

    async def receive(
        self, text: InboundText, resolution: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """Keeps an inbound text and what it was found to mean, decided once: what an earlier
        delivery stored stays, and is returned."""
        values = text.model_dump() | {"outcome": json.dumps(resolution) if resolution else None}
        async with self._engine.connect() as connection:
            return _outcome(await connection.scalar(_RECEIVE, values))

    async def receive_about(self, text: InboundText, code: str) -> dict[str, Any] | None:
        """The same for a text that names a draft by its code; None if no draft bore it."""
        async with self._engine.connect() as connection:
            return _outcome(
                await connection.scalar(_RECEIVE_ABOUT, text.model_dump() | {"code": code})
            )

    async def answer(self, text: InboundText, outcome: dict[str, Any]) -> dict[str, Any]:
        """What came of it, and what a redelivery is told: the first answer stays."""
        values = {
            "number": text.number,
            "provider_id": text.provider_id,
            "outcome": json.dumps(outcome),
        }
        async with self._engine.connect() as connection:
            return dict(await connection.scalar(_ANSWER, values) or outcome)

    async def receipt(self, receipt: Receipt) -> bool:
        """What became of a text, and whether that is news; what comes too late changes nothing."""
        values = receipt.model_dump() | {"replaces": list(receipt.status.replaces)}
        async with self._engine.connect() as connection:
            return await connection.scalar(_RECEIPT, values) is not None

    async def text(self, provider_id: str) -> SentText | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_TEXT, {"provider_id": provider_id})).mappings().first()
        return SentText.model_validate(dict(row)) if row else None

    async def set_stopped(self, number: str, stopped: bool) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(_SET_STOPPED, {"number": number, "stopped": stopped})

    async def may_explain(self, number: str) -> bool:
        """True once per number and hour, and never after STOP."""
        async with self._engine.connect() as connection:
            return await connection.scalar(_MAY_EXPLAIN, {"number": number}) is not None


def _outcome(stored: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if stored is None else dict(stored)
