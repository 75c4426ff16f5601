"""What an unsubscribe link does to the list and the message's timeline."""

from uuid import UUID

from sqlalchemy import text

from mailroom.adapters.postgres.engine import Engines
from mailroom.adapters.postgres.moments import THIS_MOMENT
from mailroom.adapters.postgres.suppressions import STRENGTHS, STRONGER
from mailroom.models.outbound.message import OUTBOUND
from mailroom.models.outbound.suppression import SuppressionReason, suppressed_form
from mailroom.models.outbound.unsubscribe import UNSUBSCRIBED, Subscriber


class PostgresUnsubscribing:
    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    async def subscriber(self, id: UUID) -> Subscriber | None:
        """None once the message has been deleted."""
        async with self._engines.read.connect() as connection:
            row = (await connection.execute(_SUBSCRIBER, {"id": id})).mappings().one_or_none()
        return Subscriber.model_validate(dict(row)) if row else None

    async def unsubscribe(self, who: Subscriber) -> bool:
        """False where the list had them already, for this or a stronger reason."""
        values = {
            "id": str(who.id),
            "owner": OUTBOUND,
            "type": UNSUBSCRIBED,
            "address": suppressed_form(who.recipient),
            "tenant_id": who.tenant_id or "",
            "reason": SuppressionReason.UNSUBSCRIBE.value,
            "source": f"message {who.id}",
            "strengths": STRENGTHS,
        }
        async with self._engines.write.connect() as connection:
            return bool(await connection.scalar(_UNSUBSCRIBE, values))


_SUBSCRIBER = text("""
    SELECT id, recipient, tenant_id, coalesce(headers ->> 'From', sender) AS sender
    FROM message_queue WHERE id = :id
""")
_UNSUBSCRIBE = text(f"""
    WITH listed AS (
        INSERT INTO suppressions (tenant_id, address, reason, source)
        VALUES (:tenant_id, :address, :reason, :source)
        ON CONFLICT (tenant_id, address)
            DO UPDATE SET reason = excluded.reason, source = excluded.source
            WHERE {STRONGER}
        RETURNING 1
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, :id, {THIS_MOMENT}, :type, jsonb_build_object() FROM listed
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) FROM listed
""")  # noqa: S608  parts of ours
