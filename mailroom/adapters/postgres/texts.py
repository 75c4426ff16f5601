"""Texts in both directions (port `TextLog`, and what the webhook needs)."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, cast, func, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.schema import phones, sms_messages
from mailroom.models.base import Frozen
from mailroom.models.rows import Direction, SentText

ONE_EXPLANATION_EACH = timedelta(hours=1)


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
        query = select(sms_messages.c.reference, sms_messages.c.provider_id).where(
            sms_messages.c.direction == Direction.OUTBOUND,
            sms_messages.c.reference.in_(references),
        )
        async with self._engine.connect() as connection:
            return {row.reference: row.provider_id for row in await connection.execute(query)}

    async def keep(self, text: SentText) -> None:
        values = {
            "direction": Direction.OUTBOUND,
            "owner": text.owner,
            "message_id": text.message_id,
            "number": text.to,
            "body": text.body,
            "reference": text.reference,
            "provider_id": text.provider_id,
        }
        async with self._engine.connect() as connection:
            await connection.execute(insert(sms_messages).values(values).on_conflict_do_nothing())

    async def stopped(self, number: str) -> bool:
        query = select(phones.c.stopped_at).where(phones.c.number == number)
        async with self._engine.connect() as connection:
            return (await connection.scalar(query)) is not None

    async def receive(self, text: InboundText) -> dict[str, object] | None:
        """Keeps an inbound text; the outcome stored before if it was answered already."""
        values = {
            "direction": Direction.INBOUND,
            "owner": text.owner,
            "number": text.number,
            "body": text.body,
            "provider_id": text.provider_id,
        }
        mine = _inbound(text.number, text.provider_id)
        async with self._engine.connect() as connection:
            kept = await connection.execute(
                insert(sms_messages)
                .values(values)
                .on_conflict_do_nothing()
                .returning(sms_messages.c.id)
            )
            if kept.first() is not None:
                return None
            return await connection.scalar(select(sms_messages.c.outcome).where(mine))

    async def resolve(self, text: InboundText, outcome: dict[str, object]) -> dict[str, object]:
        """What the text was found to mean, decided once: the first resolution stays."""
        statement = (
            update(sms_messages)
            .where(_inbound(text.number, text.provider_id))
            .values(outcome=func.coalesce(sms_messages.c.outcome, cast(outcome, JSONB)))
            .returning(sms_messages.c.outcome)
        )
        async with self._engine.connect() as connection:
            return dict(await connection.scalar(statement) or outcome)

    async def answer(self, text: InboundText, outcome: dict[str, object]) -> None:
        """What came of it; a redelivery is told the same."""
        statement = (
            update(sms_messages)
            .where(_inbound(text.number, text.provider_id))
            .values(outcome=outcome)
        )
        async with self._engine.connect() as connection:
            await connection.execute(statement)

    async def set_stopped(self, number: str, stopped: bool) -> None:
        at = datetime.now(UTC) if stopped else None
        statement = insert(phones).values(number=number, stopped_at=at)
        async with self._engine.connect() as connection:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["number"], set_={"stopped_at": at})
            )

    async def may_explain(self, number: str) -> bool:
        """True once per number and hour, and never after STOP."""
        statement = insert(phones).values(number=number, explained_at=func.now())
        claimed = statement.on_conflict_do_update(
            index_elements=["number"],
            set_={"explained_at": func.now()},
            where=(phones.c.stopped_at.is_(None))
            & or_(
                phones.c.explained_at.is_(None),
                phones.c.explained_at < func.now() - ONE_EXPLANATION_EACH,
            ),
        ).returning(phones.c.number)
        async with self._engine.connect() as connection:
            return (await connection.execute(claimed)).first() is not None


def _inbound(number: str, provider_id: str) -> ColumnElement[bool]:
    return (
        (sms_messages.c.direction == Direction.INBOUND)
        & (sms_messages.c.number == number)
        & (sms_messages.c.provider_id == provider_id)
    )
