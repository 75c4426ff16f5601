"""What many attempts ask of the store at once, as one statement each.

Only what is plain is done here. A message that something holds, that another statement has locked
or that is not as its workflow thinks is left out, and goes by itself (message_queue.py): there each
case is told apart, and who has to wait makes nobody else wait.
"""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.batches import MOST, Batches, Rows
from mailroom.adapters.postgres.suspensions import NOT_SUSPENDED
from mailroom.models.outbound.claim import Claim
from mailroom.models.outbound.message import OUTBOUND, DeliverInput
from mailroom.models.outbound.parcel import Parcel
from mailroom.models.outbound.transitions import WAITING
from mailroom.models.outbound.words import MessageQueueStatus


def claims(engine: AsyncEngine) -> Batches[UUID, DeliverInput, Claim]:
    return Batches(engine, _CLAIM, _wanted, lambda rows: {row["id"]: _claim(row) for row in rows})


def attempts(
    engine: AsyncEngine,
) -> Batches[UUID, Mapping[str, object], MessageQueueStatus]:
    return Batches(engine, _ATTEMPTED, _written, _statuses)


def _wanted(requests: Mapping[UUID, DeliverInput]) -> Mapping[str, object]:
    return {
        "ids": list(requests),
        "steps": [request.step for request in requests.values()],
        "attempts": [request.attempt for request in requests.values()],
    }


def _written(attempted: Mapping[UUID, Mapping[str, object]]) -> Mapping[str, object]:
    return {"rows": json.dumps(list(attempted.values()), default=str), "owner": OUTBOUND}


def _statuses(rows: Rows) -> Mapping[UUID, MessageQueueStatus]:
    return {row["id"]: MessageQueueStatus(row["status"]) for row in rows}


def _claim(known: Mapping[str, Any]) -> Claim:
    """As it is in our own row; validating it would take longer than reading it."""
    parcel = Parcel.model_construct(**{name: known[name] for name in Parcel.model_fields})
    return Claim.model_construct(
        status=MessageQueueStatus.IN_DELIVERY,
        parcel=parcel,
        **{name: known[name] for name in _KNOWN},
    )


_KNOWN = ("blob", "size_bytes", "num_attempts", "max_attempts", "created_at", "expires_at")

# Planning such a statement takes longer than doing it for ten messages. PostgreSQL keeps the plan
# of one that it has seen often, unless a plan for the very values promises more: so it may see
# nothing of them (hence the subqueries), and what it guesses has to be true of a queue of any
# length: a message is looked up by its ID, whatever else is asked of it (hence the limits).
_ITS_ROW = """LATERAL (
            SELECT * FROM message_queue AS q WHERE q.id = asked.id
            LIMIT 1 FOR UPDATE SKIP LOCKED
        ) AS m"""
_WAITS = f"m.status IN ({', '.join(repr(each.value) for each in sorted(WAITING))})"

# What holds messages is told apart in message_queue.py; here it is enough that something does.
# It does not wait for the disk, for the same reason as there.
_CLAIM = f"""
    WITH asked AS (
        SELECT * FROM unnest((SELECT CAST(%(ids)s AS uuid[])),
                             (SELECT CAST(%(steps)s AS integer[])),
                             (SELECT CAST(%(attempts)s AS integer[]))) AS a (id, step, attempt)
    ), free AS (
        SELECT m.id, asked.step
        FROM asked, {_ITS_ROW}
        WHERE {_WAITS} AND m.status <> 'suspended' AND NOT m.relayed
          AND m.step <= asked.step AND m.num_attempts < asked.attempt
          AND (m.expires_at IS NULL OR m.expires_at > now())
          AND NOT EXISTS (
                SELECT FROM suppressions AS s
                WHERE s.tenant_id = coalesce(m.tenant_id, '')
                  AND s.address = lower(m.recipient COLLATE "C"))
          AND NOT EXISTS (
                SELECT FROM queues AS q
                WHERE q.queue_name IN (m.queue_name, m.domain)
                  AND q.state IN ('suspended', 'disabled'))
          AND {NOT_SUSPENDED}
    ), claimed AS (
        UPDATE message_queue AS m
        SET held = false, status = 'in_delivery', next_attempt_at = NULL, step = free.step,
            updated_at = now()
        FROM free WHERE m.id = free.id
        RETURNING m.id, m.message_id, m.sender, m.recipient, m.domain, m.routing_domain,
                  m.campaign_id, m.tenant_id, m.pool_name, m.blob, m.size_bytes, m.num_attempts,
                  m.max_attempts, m.created_at, m.expires_at
    )
    SELECT claimed.*, set_config('synchronous_commit', 'off', true) AS at_once FROM claimed
"""  # noqa: S608

# The rest of what is written down of an attempt is of those that were.
_ATTEMPTED = f"""
    WITH asked AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(%(rows)s AS json)) AS a (
            id uuid, about text, key text, step integer, attempt integer, status text,
            event text, reason text, class text, response text, said text,
            next_attempt_at timestamptz, protocol text, relayed boolean, suppress text,
            suppressed boolean, marked text, detail text, kind text)
        LIMIT (SELECT {MOST})
    ), free AS (
        SELECT asked.* FROM asked, {_ITS_ROW}
        WHERE {_WAITS} AND m.step <= asked.step
          AND (m.num_attempts < asked.attempt OR asked.suppressed)
    ), moved AS (
        UPDATE message_queue AS m
        SET status = a.status, step = a.step, num_attempts = a.attempt, held = false,
            relayed = a.relayed, last_attempt_at = now(), updated_at = now(),
            next_attempt_at = a.next_attempt_at,
            last_bounce_reason = CASE WHEN a.status = 'delivered' THEN m.last_bounce_reason
                                      ELSE a.reason END,
            bounce_classification = a.class, delivery_protocol = a.protocol,
            smtp_response = coalesce(CAST(a.response AS jsonb), m.smtp_response),
            delivered_at = CASE WHEN a.status = 'delivered' THEN now() END
        FROM free AS a WHERE m.id = a.id
        RETURNING m.status, m.domain, m.tenant_id, m.recipient, now() - m.created_at AS age,
                  m.id, a.about, a.key, a.step, a.event, a.reason, a.said, a.suppress, a.marked,
                  a.detail, a.kind
    ), marked AS (
        UPDATE send_markers AS k
        SET outcome = moved.marked, response = moved.said, settled_at = now()
        FROM moved WHERE k.key = moved.key AND moved.marked IS NOT NULL
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT %(owner)s, about, step, event, CAST(detail AS jsonb) FROM moved
        ON CONFLICT DO NOTHING
    ), counted AS (
        INSERT INTO delivery_outcomes (domain, kind, seconds)
        SELECT domain, kind, extract(epoch FROM age) FROM moved WHERE kind IS NOT NULL
    ), listed AS (
        INSERT INTO suppressions (tenant_id, address, reason, source)
        SELECT coalesce(tenant_id, ''), lower(recipient COLLATE "C"), suppress, reason
        FROM moved WHERE suppress IS NOT NULL
        ORDER BY 1, 2
        ON CONFLICT DO NOTHING
    )
    SELECT id, status FROM moved
"""  # noqa: S608
