"""Outbound messages as their workflows write them (port `MessageStore`). One statement a step, or
one for the same step of many (message_batches.py)."""

import json
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres import message_batches
from mailroom.models.outbound.claim import Attempted, Claim
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.endings import MAYBE_SENT
from mailroom.models.outbound.message import OUTBOUND, DeliverInput, Event, Settled, SettleMessage
from mailroom.models.outbound.parcel import Parcel
from mailroom.models.outbound.transitions import WAITING, may_precede
from mailroom.models.outbound.words import BounceType, MessageQueueStatus
from mailroom.models.rows import SendOutcome
from mailroom.ports import Permanent

S = MessageQueueStatus


class PostgresMessages:
    def __init__(self, engine: AsyncEngine, outbound: OutboundSection) -> None:
        self._engine = engine
        self._outbound = outbound
        self._claims = message_batches.claims(engine)
        self._attempts = message_batches.attempts(engine)

    async def claim(self, request: DeliverInput) -> Claim:
        return await self._claims.ask(request.id, request) or await self._claim(request)

    async def _claim(self, request: DeliverInput) -> Claim:
        """By itself, with what may keep it from being delivered."""
        values = {
            **request.model_dump(),
            "owner": OUTBOUND,
            "about": str(request.id),
            "waiting": _WAITING,
        }
        async with self._engine.connect() as connection:
            row = (await connection.execute(_CLAIM, values)).mappings().first()
        if row is None:
            raise Permanent("There is no such message; it was removed.")
        return _claim(row)

    async def put_back(self, request: DeliverInput) -> None:
        values = {"id": request.id, "step": request.step}
        async with self._engine.connect() as connection:
            await connection.execute(_PUT_BACK, values)

    async def attempted(self, attempted: Attempted) -> MessageQueueStatus:
        values = _values(attempted)
        if status := await self._attempts.ask(attempted.id, values):
            return status
        async with self._engine.connect() as connection:
            known = {**values, "owner": OUTBOUND, "before": _WAITING}
            found = await connection.scalar(_ATTEMPTED, known)
            if found is None:
                # Asked again: what another has just written, the first statement has not seen.
                found = await connection.scalar(_STATUS, {"id": attempted.id})
        return MessageQueueStatus(found) if found else attempted.status

    async def settle(self, settle: SettleMessage) -> Settled:
        before = may_precede(settle.status) if settle.status else list(WAITING)
        values = {
            **settle.model_dump(exclude={"event", "status", "bounce_classification"}),
            "status": _value(settle.status),
            "event": settle.event.value,
            "class": _value(settle.bounce_classification),
            "owner": OUTBOUND,
            "about": str(settle.id),
            "before": [each.value for each in before if each in WAITING],
            "detail": json.dumps(_said(settle)),
            "marker": _marker(settle.id, settle.num_attempts + 1),
            "maybe": MAYBE_SENT,
        }
        async with self._engine.connect() as connection:
            row = (await connection.execute(_SETTLE, values)).mappings().first()
        if row is None:
            # Somebody removed it: there is nothing left to follow.
            return Settled(status=settle.status or S.CANCELLED, followed=True)
        return Settled(
            status=row["status"],
            followed=row["followed"],
            weight=self._outbound.weight(row["queue_name"]),
            step=row["step"],
        )


def _claim(row: RowMapping) -> Claim:
    known = {name: row[name] for name in Claim.model_fields if name in row}
    return Claim.model_validate(known | {"parcel": _parcel(row) if row["claimed"] else None})


def _parcel(row: RowMapping) -> Parcel:
    return Parcel.model_validate({name: row[name] for name in Parcel.model_fields})


def _marker(id: UUID, attempt: int) -> str:
    return DeliverInput(id=id, step=0, attempt=attempt).marker


def _values(attempted: Attempted) -> dict[str, object]:
    response = attempted.response
    return {
        "id": attempted.id,
        "about": str(attempted.id),
        "key": _marker(attempted.id, attempted.attempt),
        "step": attempted.step,
        "attempt": attempted.attempt,
        "status": attempted.status.value,
        "event": attempted.event.value,
        "reason": attempted.reason,
        "class": _value(attempted.bounce_classification),
        "response": response.model_dump_json() if response else None,
        "said": response.message if response else attempted.reason,
        "next_attempt_at": attempted.next_attempt_at,
        "protocol": attempted.protocol.value,
        "relayed": attempted.relayed,
        "suppress": attempted.suppress,
        "suppressed": attempted.suppressed,
        "marked": _marked(attempted),
        "detail": _detail(attempted),
        "kind": _kind(attempted),
    }


def _value(word: BounceType | MessageQueueStatus | None) -> str | None:
    return word.value if word else None


def _marked(attempted: Attempted) -> str | None:
    """What the send-once marker says then; None: nobody knows."""
    if attempted.event is Event.UNKNOWN:
        return None
    sent = attempted.event in (Event.DELIVERED, Event.RELAYED)
    return (SendOutcome.SENT if sent else SendOutcome.REFUSED).value


def _kind(attempted: Attempted) -> str | None:
    """What it says of the recipient's domain."""
    if not attempted.of_domain:
        return None
    match attempted.status:
        case S.DELIVERED | S.DEFERRED:
            return attempted.status.value
        case S.BOUNCED if attempted.attempt and not attempted.suppressed:
            return "blocked" if attempted.bounce_classification is BounceType.BLOCK else "bounced"
    return None


def _detail(attempted: Attempted) -> str:
    known: dict[str, object] = {"attempt": attempted.attempt, "reason": attempted.reason}
    if attempted.bounce_classification:
        known["bounce_classification"] = attempted.bounce_classification.value
    if attempted.response:
        known["response"] = attempted.response.model_dump(mode="json", exclude_none=True)
    if attempted.next_attempt_at:
        known["next_attempt_at"] = attempted.next_attempt_at.isoformat()
    return json.dumps({name: value for name, value in known.items() if value is not None})


def _said(settle: SettleMessage) -> dict[str, object]:
    known = {
        "reason": settle.reason,
        "queue_name": settle.queue_name,
        "priority": settle.priority,
    }
    return {name: value for name, value in known.items() if value is not None}


_WAITING = [each.value for each in WAITING]

# A circuit is the domain's, whatever queue a message is in; one that is half open lets one pass.
# One that goes on does not wait for the disk: the send-once marker goes to the same log after it,
# and nothing is sent before that is there.
# The locks: who opens a queue sees everything that was held, and what comes later is not held.
# Whatever else comes to hold messages here has to be looked for in message_batches.py, too.
_CLAIM = text("""
    WITH m AS (
        SELECT * FROM message_queue WHERE id = :id FOR UPDATE
    ), ready AS (
        SELECT m.*, m.expires_at IS NOT NULL AND m.expires_at <= now() AS late
        FROM m WHERE status = ANY(:waiting) AND status <> 'suspended' AND NOT relayed
          AND step <= :step AND num_attempts < :attempt
    ), listed AS (
        SELECT s.reason FROM suppressions AS s, ready
        WHERE s.tenant_id = coalesce(ready.tenant_id, '')
          AND s.address = lower(ready.recipient COLLATE "C")
    ), closed AS (
        SELECT q.reason, q.state, q.set_by FROM queues AS q, ready
        WHERE q.queue_name = ready.queue_name AND q.set_by <> 'health'
          AND q.state IN ('suspended', 'disabled') AND (q.until IS NULL OR q.until > now())
        FOR SHARE OF q
    ), halted AS (
        SELECT s.scope, s.name, s.reason
        FROM ready, LATERAL (VALUES ('domain', ready.domain), ('campaign', ready.campaign_id),
                                    ('tenant', ready.tenant_id), ('pool', ready.pool_name)
                            ) AS its (scope, name)
        JOIN suspensions AS s ON s.scope = its.scope AND s.name = its.name
        WHERE s.until IS NULL OR s.until > now()
        FOR SHARE OF s
    ), broken AS (
        SELECT q.reason, q.state, q.set_by, q.probing_since FROM queues AS q, ready
        WHERE q.queue_name = ready.domain AND q.set_by = 'health' AND q.state = 'suspended'
        FOR NO KEY UPDATE OF q
    ), probe AS (
        UPDATE queues AS q SET probing_since = NULL
        FROM broken, ready
        WHERE q.queue_name = ready.domain AND q.set_by = 'health' AND NOT ready.late
          AND q.probing_since IS NOT NULL
          AND NOT EXISTS (SELECT FROM closed) AND NOT EXISTS (SELECT FROM halted)
          AND NOT EXISTS (SELECT FROM listed)
        RETURNING q.queue_name
    ), shut AS (
        SELECT reason, state, NULL AS scope, NULL AS name FROM closed
        UNION ALL
        SELECT reason, 'suspended', scope, name FROM halted
        UNION ALL
        SELECT reason, state, NULL, NULL FROM broken WHERE NOT EXISTS (SELECT FROM probe)
    ), moved AS (
        UPDATE message_queue AS q
        SET held = EXISTS (SELECT FROM shut),
            status = CASE WHEN EXISTS (SELECT FROM shut)
                          THEN CASE WHEN q.status = 'deferred' THEN q.status ELSE 'ready' END
                          ELSE 'in_delivery' END,
            next_attempt_at = CASE WHEN EXISTS (SELECT FROM shut) THEN q.next_attempt_at END,
            step = :step, updated_at = now()
        FROM ready
        WHERE q.id = ready.id AND NOT ready.late AND NOT EXISTS (SELECT FROM listed)
        RETURNING q.status
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, :about, :step, 'message.held',
               jsonb_strip_nulls(jsonb_build_object('reason', reason, 'scope', scope, 'name', name))
        FROM shut LIMIT 1
        ON CONFLICT DO NOTHING
    )
    SELECT id, message_id, sender, recipient, domain, routing_domain, campaign_id, tenant_id,
           pool_name, blob, size_bytes, num_attempts, max_attempts, next_attempt_at, created_at,
           expires_at, relayed, last_bounce_reason AS reason,
           coalesce((SELECT status FROM moved), status) AS status,
           (SELECT coalesce(reason, state) FROM shut LIMIT 1) AS held,
           (SELECT reason FROM listed) AS suppressed,
           coalesce((SELECT late FROM ready), false) AS expired,
           coalesce((SELECT status = 'in_delivery' FROM moved), false) AS claimed,
           (SELECT set_config('synchronous_commit', 'off', true)
            FROM moved WHERE status = 'in_delivery') AS at_once
    FROM m
""")

_PUT_BACK = text("""
    UPDATE message_queue SET status = 'ready', updated_at = now()
    WHERE id = :id AND step = :step AND status = 'in_delivery' AND NOT relayed
""")

# Once: a worker may have died before it could say that it is written, and a report may have come
# before, or since.
_ATTEMPTED = text("""
    WITH moved AS (
        UPDATE message_queue
        SET status = :status, step = :step, num_attempts = :attempt, held = false,
            relayed = :relayed, last_attempt_at = now(), updated_at = now(),
            next_attempt_at = CAST(:next_attempt_at AS timestamptz),
            last_bounce_reason = CASE WHEN :status = 'delivered' THEN last_bounce_reason
                                      ELSE :reason END,
            bounce_classification = :class, delivery_protocol = :protocol,
            smtp_response = coalesce(CAST(:response AS jsonb), smtp_response),
            delivered_at = CASE WHEN :status = 'delivered' THEN now() END
        WHERE id = :id AND step <= :step AND status = ANY(:before)
          AND (num_attempts < :attempt OR :suppressed)
        RETURNING status, domain, tenant_id, recipient, now() - created_at AS age
    ), marked AS (
        UPDATE send_markers SET outcome = :marked, response = :said, settled_at = now()
        WHERE key = :key AND CAST(:marked AS text) IS NOT NULL
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, :about, :step, :event, CAST(:detail AS jsonb) FROM moved
        ON CONFLICT DO NOTHING
    ), counted AS (
        INSERT INTO delivery_outcomes (domain, kind, seconds)
        SELECT domain, :kind, extract(epoch FROM age) FROM moved
        WHERE CAST(:kind AS text) IS NOT NULL
    ), listed AS (
        INSERT INTO suppressions (tenant_id, address, reason, source)
        SELECT coalesce(tenant_id, ''), lower(recipient COLLATE "C"), :suppress, :reason FROM moved
        WHERE CAST(:suppress AS text) IS NOT NULL
        ON CONFLICT DO NOTHING
    )
    SELECT status FROM moved
""")
_STATUS = text("SELECT status FROM message_queue WHERE id = :id")

# What a courier has in its hands nobody changes, nor what an attempt has done that the workflow
# does not know of yet; a relayed message can only be given up. A marker without an outcome: a
# worker died after the dot, and no other came before the message's time was over.
_SETTLE = text("""
    WITH begun AS (
        SELECT CAST(:maybe AS text) AS said FROM send_markers
        WHERE key = :marker AND outcome IS NULL AND :idle AND CAST(:status AS text) IS NOT NULL
    ), moved AS (
        UPDATE message_queue
        SET status = coalesce(CAST(:status AS text), status), step = :step, held = false,
            next_attempt_at = CAST(:next_attempt_at AS timestamptz),
            last_bounce_reason = CASE WHEN CAST(:status AS text) IS NULL THEN last_bounce_reason
                                      ELSE coalesce((SELECT said FROM begun), :reason,
                                                    last_bounce_reason) END,
            bounce_classification = coalesce(:class, bounce_classification),
            queue_name = coalesce(CAST(:queue_name AS text), queue_name),
            priority = coalesce(CAST(:priority AS smallint), priority),
            updated_at = now()
        WHERE id = :id AND step <= :step AND status = ANY(:before)
          AND (:idle OR num_attempts <= :num_attempts AND (status <> 'in_delivery' OR relayed))
        RETURNING status, queue_name
    ), told AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT :owner, :about, :step, :event,
               CAST(:detail AS jsonb)
               || coalesce((SELECT jsonb_build_object('reason', said) FROM begun), '{}')
        FROM moved
        ON CONFLICT DO NOTHING
    )
    SELECT coalesce(moved.status, q.status) AS status, moved.status IS NOT NULL AS followed,
           coalesce(moved.queue_name, q.queue_name) AS queue_name, q.step
    FROM message_queue AS q LEFT JOIN moved ON true WHERE q.id = :id
""")
