"""What reports do to messages: the row, its timeline, its domain's results, the list of suppressed
addresses. One statement a report, so that all of it happens, once, or nothing."""

import json
from uuid import UUID

from sqlalchemy import text

from mailroom.adapters.postgres.engine import Engines
from mailroom.adapters.postgres.moments import THIS_MOMENT
from mailroom.adapters.postgres.suppressions import STRENGTHS, STRONGER
from mailroom.models.outbound.judged import Judged, ReportedOn, of_message
from mailroom.models.outbound.message import OUTBOUND, Event
from mailroom.models.outbound.report import Report
from mailroom.models.outbound.transitions import ENDED
from mailroom.models.outbound.words import MessageQueueStatus

# Of a campaign whose messages share their Message-ID.
MOST_ALIKE = 1_000


class PostgresReports:
    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    async def find(self, report: Report) -> ReportedOn | None:
        """The message that it is about; None where that is none of ours."""
        if report.id:
            return await self._by_id(report.id)
        if report.message_id is None:
            return None
        bare = report.message_id.strip("<> ")
        values = {
            "message_ids": [bare, f"<{bare}>"],
            "recipient": report.recipient,
            "limit": MOST_ALIKE,
        }
        async with self._engines.write.connect() as connection:
            rows = (await connection.execute(_BY_MESSAGE_ID, values)).mappings().all()
        return of_message(report, [ReportedOn.model_validate(dict(row)) for row in rows])

    async def take(self, judged: Judged) -> tuple[bool, MessageQueueStatus]:
        """Whether it is new, and where the message stands afterwards."""
        values = {
            **judged.model_dump(
                mode="json", exclude={"id", "response", "why", "category", "source", "kind"}
            ),
            "id": judged.id,
            "about": str(judged.id),
            "owner": OUTBOUND,
            "ended": judged.status in ENDED,
            "response": judged.response and judged.response.model_dump_json(exclude_none=True),
            "detail": json.dumps(_detail(judged)),
            "from": f"{judged.source} about {judged.id}",
            "strengths": STRENGTHS,
        }
        async with self._engines.write.connect() as connection:
            row = (await connection.execute(_TAKE, values)).one()
        return row.is_new, MessageQueueStatus(row.status)

    async def note(self, id: UUID, key: str, note: str) -> bool:
        """A line of the timeline about mail that moves nothing; False where there is no such
        message."""
        values = {
            "id": id,
            "key": key,
            "about": str(id),
            "owner": OUTBOUND,
            "event": Event.RETURNED.value,
            "detail": json.dumps({"kind": "unknown", "note": note}),
        }
        async with self._engines.write.connect() as connection:
            return await connection.scalar(_NOTE, values) is not None

    async def _by_id(self, id: UUID) -> ReportedOn | None:
        async with self._engines.write.connect() as connection:
            row = (await connection.execute(_BY_ID, {"id": id})).mappings().one_or_none()
        return ReportedOn.model_validate(dict(row)) if row else None


def _detail(judged: Judged) -> dict[str, object]:
    known = {
        "source": judged.source.value,
        "reason": judged.reason,
        "bounce_classification": judged.bounce_type and judged.bounce_type.value,
        "category": judged.category,
        "response": judged.response and judged.response.model_dump(mode="json", exclude_none=True),
        "suppressed": judged.suppress and judged.suppress.value,
    }
    return {name: value for name, value in known.items() if value is not None}


_BY_ID = text("SELECT id, recipient, tenant_id FROM message_queue WHERE id = :id")
# Many may share a Message-ID: the one that is named comes first.
_BY_MESSAGE_ID = text("""
    SELECT id, recipient, tenant_id FROM message_queue WHERE message_id = ANY(:message_ids)
    ORDER BY lower(recipient) = lower(CAST(:recipient AS text)) DESC NULLS LAST LIMIT :limit
""")

# Nobody sends a report again after weeks; each takes the place of two that are as old.
_ROOM = """old AS (
        SELECT key FROM reports WHERE at < now() - interval '30 days'
        ORDER BY at LIMIT 2 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM reports USING old WHERE reports.key = old.key
    )"""

# A later step than that of an attempt under way: its server may say that it took the message
# after that has come back. Who is not relayed for is deferred by nobody but us, and
# what is relayed stays in delivery: its relay tries again.
_TAKE = text(f"""
    WITH new AS (
        INSERT INTO reports (key) VALUES (:key) ON CONFLICT DO NOTHING RETURNING key
    ), {_ROOM}, m AS (
        SELECT id, status, relayed, step FROM message_queue
        WHERE id = :id AND EXISTS (SELECT FROM new) FOR UPDATE
    ), moved AS (
        UPDATE message_queue AS q
        SET status = CASE WHEN :ended THEN CAST(:status AS text) ELSE q.status END,
            held = q.held AND NOT :ended, updated_at = now(),
            step = q.step + CASE WHEN :ended AND q.status = 'in_delivery' AND NOT q.relayed
                                 THEN 1 ELSE 0 END,
            next_attempt_at = CASE WHEN :ended THEN NULL ELSE q.next_attempt_at END,
            num_attempts = CASE WHEN q.relayed
                                THEN greatest(q.num_attempts, CAST(:num_attempts AS integer))
                                ELSE q.num_attempts END,
            last_attempt_at = CASE WHEN q.relayed THEN now() ELSE q.last_attempt_at END,
            last_bounce_reason = coalesce(CAST(:reason AS text), q.last_bounce_reason),
            bounce_classification = CAST(:bounce_type AS text),
            smtp_response = coalesce(CAST(:response AS jsonb), q.smtp_response),
            delivered_at = CASE WHEN :status = 'delivered' THEN now() END
        FROM m
        WHERE q.id = m.id AND q.status = ANY(:before) AND (:ended OR q.relayed)
          AND NOT (:ended AND q.status = :status)
        RETURNING q.status, q.domain, now() - q.created_at AS age
    ), complained AS (
        UPDATE message_queue AS q
        SET bounce_classification = CAST(:bounce_type AS text), last_bounce_reason = :reason,
            updated_at = now()
        FROM m WHERE q.id = m.id AND CAST(:status AS text) IS NULL
        RETURNING q.status, q.domain, now() - q.created_at AS age
    ), changed AS (
        SELECT * FROM moved UNION ALL SELECT * FROM complained
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, :about, {THIS_MOMENT}, :event,
               CAST(:detail AS jsonb)
               || jsonb_build_object('changed', EXISTS (SELECT FROM changed))
        FROM m
        ON CONFLICT DO NOTHING
    ), counted AS (
        INSERT INTO delivery_outcomes (domain, kind, seconds)
        SELECT domain, :outcome,
               CASE WHEN :outcome = 'delivered' THEN extract(epoch FROM age) END
        FROM changed WHERE CAST(:outcome AS text) IS NOT NULL
    ), listed AS (
        INSERT INTO suppressions (tenant_id, address, reason, source)
        SELECT :tenant_id, :address, CAST(:suppress AS text), :from
        FROM changed WHERE CAST(:suppress AS text) IS NOT NULL
        ON CONFLICT (tenant_id, address)
            DO UPDATE SET reason = excluded.reason, source = excluded.source
            WHERE {STRONGER}
    )
    SELECT EXISTS (SELECT FROM new) AS is_new,
           coalesce((SELECT status FROM changed),
                    (SELECT status FROM m),
                    (SELECT status FROM message_queue WHERE id = :id)) AS status
""")  # noqa: S608  parts of ours

_NOTE = text(f"""
    WITH m AS (
        SELECT id FROM message_queue WHERE id = :id
    ), new AS (
        INSERT INTO reports (key) SELECT :key FROM m ON CONFLICT DO NOTHING RETURNING key
    ), {_ROOM}, told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, :about, {THIS_MOMENT}, :event, CAST(:detail AS jsonb) FROM new
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM m
""")  # noqa: S608  parts of ours
