"""The statements of operations over many messages.

A row's step goes up by two: its workflow may have begun a step that has not come to the row, and
that one has to be void.
"""

from sqlalchemy import TextClause, text

from mailroom.adapters.postgres.queue_rows import ANSWER
from mailroom.models.outbound.transitions import WAITING
from mailroom.models.outbound.words import MessageQueueStatus as S
from mailroom.models.outbound.words import QueueOperationType as Op

_WAITING = sorted(status.value for status in WAITING)

MEANT: dict[Op, list[str]] = {
    Op.SUSPEND: [each for each in _WAITING if each != S.SUSPENDED],
    Op.RESUME: [S.SUSPENDED.value],
    Op.PURGE: [status.value for status in S],
    **dict.fromkeys((Op.REBIND, Op.BOUNCE, Op.RETRY, Op.CANCEL, Op.SET_PRIORITY), _WAITING),
}
"""Of a filter's messages; of single ones all are, and what can't follow is an error."""

# Somebody begins with the last dot, or began and never told how it ended.
_MAYBE_SENT = """EXISTS (
    SELECT FROM send_markers AS s
    WHERE s.outcome IS NULL AND s.key IN ('outbound/' || m.id || '/' || m.num_attempts,
                                          'outbound/' || m.id || '/' || m.num_attempts + 1))
"""
_WHY = "last_bounce_reason = coalesce(:reason, q.last_bounce_reason)"
# An operator's word is over with what it did.
_WHAT_SERVERS_SAID = f"""
    last_bounce_reason = CASE WHEN q.num_attempts > 0
                              THEN coalesce({ANSWER.format("q")}, q.last_bounce_reason) END
"""
_CHANGES: dict[Op, str] = {
    Op.SUSPEND: f"status = 'suspended', {_WHY}",
    Op.RESUME: f"""
        status = CASE WHEN q.next_attempt_at IS NULL OR q.next_attempt_at <= now() THEN 'ready'
                      WHEN q.num_attempts > 0 THEN 'deferred' ELSE 'scheduled' END,
        {_WHAT_SERVERS_SAID}
    """,
    Op.REBIND: """
        queue_name = coalesce(CAST(:queue_name AS text), q.queue_name),
        routing_domain = coalesce(CAST(:routing_domain AS text), q.routing_domain)
    """,
    Op.BOUNCE: f"""
        status = 'bounced', bounce_classification = 'unknown', next_attempt_at = NULL, {_WHY}
    """,
    Op.RETRY: f"status = 'ready', next_attempt_at = NULL, {_WHAT_SERVERS_SAID}",
    Op.CANCEL: f"status = 'cancelled', next_attempt_at = NULL, {_WHY}",
    Op.SET_PRIORITY: "priority = CAST(:priority AS smallint)",
}
_ALLOWED: dict[Op, str] = {
    Op.SUSPEND: "m.status <> 'suspended' AND NOT m.relayed",
    Op.RESUME: "m.status = 'suspended' AND NOT m.maybe_sent AND m.blob IS NOT NULL",
    Op.RETRY: "NOT m.relayed AND (:single OR NOT m.maybe_sent) AND m.blob IS NOT NULL",
    Op.REBIND: "(:at_relay OR NOT m.relayed)",
    **dict.fromkeys((Op.BOUNCE, Op.CANCEL, Op.SET_PRIORITY), "true"),
}
_IN_HAND = "m.status = 'in_delivery' AND NOT m.relayed"
_COLUMNS = "id, status, step, next_attempt_at, queue_name, priority, scheduled_at"
_BATCH = f"""
    WITH batch AS (
        SELECT message_id, applied, blob FROM queue_operation_targets
        WHERE operation_id = :id AND error IS NULL ORDER BY message_id LIMIT :limit
    ), m AS MATERIALIZED (
        SELECT m.*, {_MAYBE_SENT} AS maybe_sent
        FROM message_queue AS m JOIN batch ON batch.message_id = m.id AND NOT batch.applied
        ORDER BY m.id FOR UPDATE OF m
    )
"""  # noqa: S608
_SHOWN = ", ".join(
    f"CASE WHEN moved.id IS NULL THEN now_.{name} ELSE moved.{name} END AS {name}"
    for name in ("status", "step", "next_attempt_at", "queue_name", "priority")
)
_ANSWER = f"""
    SELECT batch.message_id AS id, batch.blob,
           CASE WHEN moved.id IS NOT NULL OR batch.applied THEN 'changed'
                WHEN m.id IS NULL THEN 'missing'
                WHEN m.status <> ALL(:waiting) THEN 'ended'
                WHEN {_IN_HAND} THEN 'busy'
                WHEN m.relayed THEN 'relayed'
                WHEN m.blob IS NULL THEN 'empty'
                WHEN m.maybe_sent THEN 'unknown'
                ELSE 'same' END AS reach,
           {_SHOWN},
           coalesce(coalesce(moved.scheduled_at, now_.scheduled_at) > now(), false) AS due_later
    FROM batch
    LEFT JOIN moved ON moved.id = batch.message_id
    LEFT JOIN m ON m.id = batch.message_id
    LEFT JOIN message_queue AS now_ ON now_.id = batch.message_id
    ORDER BY batch.message_id
"""  # noqa: S608


def _change(op: Op) -> TextClause:
    return text(f"""
        {_BATCH}, moved AS (
            UPDATE message_queue AS q
            SET step = q.step + 2, held = false, updated_at = now(), {_CHANGES[op]}
            FROM m
            WHERE q.id = m.id AND m.status = ANY(:waiting) AND NOT ({_IN_HAND}) AND {_ALLOWED[op]}
            RETURNING {", ".join(f"q.{name.strip()}" for name in _COLUMNS.split(","))}
        ), marked AS (
            UPDATE queue_operation_targets SET applied = true
            WHERE operation_id = :id AND message_id IN (SELECT id FROM moved)
        ), said AS (
            INSERT INTO events (owner, message_id, step, type, detail)
            SELECT :owner, CAST(id AS text), step, :event, CAST(:detail AS jsonb) FROM moved
            ON CONFLICT DO NOTHING
        )
        {_ANSWER}
    """)  # noqa: S608


_PURGE = text(f"""
    {_BATCH}, moved AS (
        DELETE FROM message_queue AS q USING m
        WHERE q.id = m.id AND NOT ({_IN_HAND})
        RETURNING {", ".join(f"q.{name.strip()}" for name in _COLUMNS.split(","))},
                  q.num_attempts, q.blob
    ), markers AS (
        DELETE FROM send_markers WHERE key IN (
            SELECT 'outbound/' || id || '/' || attempt
            FROM moved, generate_series(1, num_attempts + 1) AS attempt)
    ), told AS (
        DELETE FROM events
        WHERE owner = :owner AND message_id IN (SELECT CAST(id AS text) FROM moved)
    ), marked AS (
        UPDATE queue_operation_targets AS t SET applied = true, blob = moved.blob
        FROM moved WHERE t.operation_id = :id AND t.message_id = moved.id
    )
    SELECT batch.message_id AS id, coalesce(batch.blob, moved.blob) AS blob,
           CASE WHEN moved.id IS NOT NULL OR batch.applied THEN 'changed'
                WHEN m.id IS NULL THEN 'missing' ELSE 'busy' END AS reach,
           moved.queue_name
    FROM batch
    LEFT JOIN moved ON moved.id = batch.message_id
    LEFT JOIN m ON m.id = batch.message_id
    ORDER BY batch.message_id
""")  # noqa: S608

SHARE: dict[Op, TextClause] = {**{op: _change(op) for op in _CHANGES}, Op.PURGE: _PURGE}

TOLD = text("""
    WITH removed AS (
        DELETE FROM queue_operation_targets
        WHERE operation_id = :id AND message_id = ANY(CAST(:over AS uuid[])) AND error IS NULL
        RETURNING message_id
    ), wrong AS (
        UPDATE queue_operation_targets AS t SET error = f.error
        FROM unnest(CAST(:failed AS uuid[]), CAST(:errors AS text[])) AS f (message_id, error)
        WHERE t.operation_id = :id AND t.message_id = f.message_id AND t.error IS NULL
        RETURNING t.message_id
    ), numbers AS (
        SELECT (SELECT count(*) FROM removed) AS over, (SELECT count(*) FROM wrong) AS wrong,
               (SELECT count(*) FROM removed
                WHERE message_id = ANY(CAST(:affected AS uuid[]))) AS affected
    )
    UPDATE queue_operations AS o
    SET done = o.done + n.over + n.wrong, affected = o.affected + n.affected,
        failed = o.failed + n.wrong, updated_at = now(),
        affected_queues = (
            SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM (
                SELECT unnest(o.affected_queues) AS name
                UNION SELECT unnest(CAST(:queues AS text[])) ORDER BY name LIMIT :most_queues
            ) AS names)
    FROM numbers AS n
    WHERE o.id = :id AND o.finished_at IS NULL
    RETURNING o.status, o.messages, o.done, o.affected, o.failed
""")
HELD_FOR = text("""
    SELECT reason FROM suspensions
    WHERE scope = :scope AND name = :name AND (until IS NULL OR until > now())
    UNION ALL
    SELECT reason FROM queues
    WHERE :scope = 'queue' AND queue_name = :name AND state = 'suspended'
      AND set_by = 'operator' AND (until IS NULL OR until > now())
""")
FINISH = text("""
    WITH ended AS (
        UPDATE queue_operations AS o
        SET status = :status, finished_at = now(), updated_at = now(),
            failed = o.failed + CASE WHEN :status = 'completed' AND CAST(:error AS text) IS NOT NULL
                                     THEN 1 ELSE 0 END,
            errors = coalesce((
                SELECT array_agg(one.error) FROM (
                    SELECT :error AS error WHERE CAST(:error AS text) IS NOT NULL
                    UNION ALL
                    (SELECT t.message_id || ': ' || t.error FROM queue_operation_targets AS t
                     WHERE t.operation_id = :id AND t.error IS NOT NULL
                     ORDER BY t.message_id LIMIT :most)
                ) AS one), '{}')
        WHERE o.id = :id AND o.finished_at IS NULL
    )
    DELETE FROM queue_operation_targets WHERE operation_id = :id AND error IS NULL
""")
UNUSED = text("""
    SELECT blob FROM unnest(CAST(:blobs AS text[])) AS g (blob)
    WHERE NOT EXISTS (SELECT FROM message_queue m WHERE m.blob = g.blob)
      AND NOT EXISTS (SELECT FROM processed_emails p WHERE p.blob = g.blob)
      AND NOT EXISTS (SELECT FROM workflow_state s WHERE s.reply_blob = g.blob)
      AND NOT EXISTS (SELECT FROM drafts d WHERE d.blob = g.blob)
      AND NOT EXISTS (SELECT FROM agent_mail l WHERE l.blob = g.blob)
""")
ORPHANS = text("""
    SELECT id, queue_name, tenant_id, priority, scheduled_at, status, step, num_attempts,
           next_attempt_at, last_bounce_reason AS reason,
           coalesce(expires_at, now() + interval '5 days') AS expires_at
    FROM message_queue
    WHERE id = ANY(CAST(:ids AS uuid[])) AND blob IS NOT NULL AND NOT relayed
      AND status IN ('scheduled', 'ready', 'deferred')
""")
