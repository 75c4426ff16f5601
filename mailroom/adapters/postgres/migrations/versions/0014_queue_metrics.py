"""Figures of queues, kept as messages change.

Triggers write what changed to `queue_changes`, a line that nobody waits for; `queue_counts.py`
adds the lines up. What is there already is counted like what is added.
"""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute(_TABLES)
    for trigger in _TRIGGERS:
        op.execute(_trigger(*trigger))
    op.execute(_EMPTIED)
    op.execute(_lines(_come_or_gone("message_queue", 1)))
    op.execute(_INDEXES)


def downgrade() -> None:
    op.execute(_DOWN)


_TABLES = """
CREATE TABLE queue_changes (
    queue_name text NOT NULL,
    domain text NOT NULL,
    campaign_id text,
    tenant_id text,
    status text NOT NULL,
    bounce_class text NOT NULL,
    submitted_at timestamptz,
    delivered_at timestamptz,
    event_at timestamptz,
    messages bigint NOT NULL,
    size_bytes numeric NOT NULL,
    created numeric NOT NULL,
    tried bigint NOT NULL,
    retried bigint NOT NULL,
    retries bigint NOT NULL,
    timed bigint NOT NULL,
    seconds numeric NOT NULL,
    bounced bigint NOT NULL DEFAULT 0,
    deferred bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_threshold = -1);

CREATE TABLE queue_counters (
    dimension text NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    bounce_class text NOT NULL,
    messages bigint NOT NULL,
    size_bytes numeric NOT NULL,
    created numeric NOT NULL,
    tried bigint NOT NULL,
    retried bigint NOT NULL,
    retries bigint NOT NULL,
    timed bigint NOT NULL,
    seconds numeric NOT NULL,
    PRIMARY KEY (dimension, name, status, bounce_class)
) WITH (fillfactor = 70);
CREATE INDEX queue_counters_waiting ON queue_counters (dimension, name)
    WHERE status IN ('scheduled', 'ready', 'in_delivery', 'suspended', 'deferred');

CREATE TABLE queue_minutes (
    dimension text NOT NULL,
    name text NOT NULL,
    at timestamptz NOT NULL,
    submitted bigint NOT NULL,
    delivered bigint NOT NULL,
    bounced bigint NOT NULL,
    deferred bigint NOT NULL,
    expired bigint NOT NULL,
    cancelled bigint NOT NULL,
    PRIMARY KEY (dimension, name, at)
);
CREATE INDEX queue_minutes_at ON queue_minutes (at) WHERE dimension <> 'all';

CREATE TABLE queue_hours (
    dimension text NOT NULL,
    name text NOT NULL,
    at timestamptz NOT NULL,
    submitted bigint NOT NULL,
    delivered bigint NOT NULL,
    bounced bigint NOT NULL,
    deferred bigint NOT NULL,
    expired bigint NOT NULL,
    cancelled bigint NOT NULL,
    PRIMARY KEY (dimension, name, at)
);
CREATE INDEX queue_hours_at ON queue_hours (at);

CREATE TABLE queue_totals (
    event text NOT NULL PRIMARY KEY,
    messages bigint NOT NULL
);
"""

_INDEXES = """
CREATE INDEX message_queue_waiting ON message_queue (queue_name, created_at)
    INCLUDE (domain, campaign_id, tenant_id)
    WHERE status IN ('scheduled', 'ready', 'in_delivery', 'suspended', 'deferred');
CREATE INDEX message_queue_queue_error ON message_queue (queue_name, last_attempt_at)
    WHERE last_bounce_reason IS NOT NULL
      AND status IN ('scheduled', 'ready', 'in_delivery', 'suspended', 'deferred');
CREATE INDEX message_queue_domain_error ON message_queue (domain, last_attempt_at)
    WHERE last_bounce_reason IS NOT NULL
      AND status IN ('scheduled', 'ready', 'in_delivery', 'suspended', 'deferred');
"""

# What a message adds where it comes (sign 1) and takes away where it goes (sign -1).
_FIGURES = (
    "sign",
    "sign * size_bytes",
    "sign * extract(epoch FROM created_at)",
    "CASE WHEN num_attempts > 0 THEN sign ELSE 0 END",
    "CASE WHEN num_attempts > 1 THEN sign ELSE 0 END",
    "sign * greatest(num_attempts - 1, 0)",
    "CASE WHEN status = 'delivered' AND delivered_at IS NOT NULL THEN sign ELSE 0 END",
    "CASE WHEN status = 'delivered' AND delivered_at IS NOT NULL"
    " THEN sign * extract(epoch FROM delivered_at - created_at) ELSE 0 END",
)
_EVENTS = ("bounced", "deferred", "expired", "cancelled")
_KEYS = """queue_name, domain, campaign_id, tenant_id, status, bounce_classification,
             submitted_minute, delivered_minute, event_minute"""
_KEPT = "now() - interval '8 days'"


def _lines(rows: str) -> str:
    happened = [f"CASE WHEN event = '{event}' THEN 1 ELSE 0 END" for event in _EVENTS]
    return f"""
    INSERT INTO queue_changes (
        queue_name, domain, campaign_id, tenant_id, status, bounce_class,
        submitted_at, delivered_at, event_at,
        messages, size_bytes, created, tried, retried, retries, timed, seconds,
        bounced, deferred, expired, cancelled)
    SELECT queue_name, domain, campaign_id, tenant_id, status, coalesce(bounce_classification, ''),
           submitted_minute, delivered_minute, event_minute,
           {", ".join(f"sum({each})" for each in (*_FIGURES, *happened))}
    FROM ({rows}) AS counted GROUP BY {_KEYS}
    """  # noqa: S608  nothing of it comes from outside


def _come_or_gone(table: str, sign: int) -> str:
    """Of messages that were moved here only the last attempt says when they bounced."""
    event = f"CASE WHEN status IN {_EVENTS} THEN status END" if sign > 0 else "NULL"
    return f"""
        SELECT *, {sign} AS sign, {event} AS event,
               CASE WHEN created_at > {_KEPT} THEN date_trunc('minute', created_at, 'UTC')
               END AS submitted_minute,
               CASE WHEN status = 'delivered' AND delivered_at > {_KEPT}
                    THEN date_trunc('minute', delivered_at, 'UTC') END AS delivered_minute,
               CASE WHEN {event} IS NOT NULL AND coalesce(last_attempt_at, created_at) > {_KEPT}
                    THEN date_trunc('minute', coalesce(last_attempt_at, created_at), 'UTC')
               END AS event_minute
        FROM {table}
    """  # noqa: S608


_FACTS = """{0}.queue_name, {0}.domain, {0}.campaign_id, {0}.tenant_id, {0}.status,
            {0}.bounce_classification, {0}.size_bytes, {0}.num_attempts, {0}.created_at,
            {0}.delivered_at"""
_WHOSE = "{0}.queue_name, {0}.domain, {0}.campaign_id, {0}.tenant_id"
_OLD, _NEW = _FACTS.format("o"), _FACTS.format("n")
# When a message came, or was delivered, is said only where that or whose it is has changed:
# otherwise it cancels out, and a thousand messages of a domain are one line.
_CHANGED = f"""
        SELECT m.*,
               CASE WHEN moved OR o.created_at <> n.created_at
                    THEN date_trunc('minute', m.created_at, 'UTC') END AS submitted_minute,
               CASE WHEN m.status = 'delivered'
                         AND (moved OR o.status <> n.status
                              OR o.delivered_at IS DISTINCT FROM n.delivered_at)
                    THEN date_trunc('minute', m.delivered_at, 'UTC') END AS delivered_minute,
               CASE WHEN event IS NOT NULL
                    THEN date_trunc('minute', now(), 'UTC') END AS event_minute
        FROM before AS o JOIN after AS n ON n.id = o.id
        CROSS JOIN LATERAL (
            SELECT ({_WHOSE.format("o")}) IS DISTINCT FROM ({_WHOSE.format("n")}) AS moved,
                   CASE WHEN n.status = 'deferred'
                        THEN CASE WHEN n.num_attempts > o.num_attempts THEN n.status END
                        WHEN n.status IN ('bounced', 'expired', 'cancelled')
                             AND o.status <> n.status THEN n.status END AS happened
        ) AS what
        CROSS JOIN LATERAL (VALUES (-1, NULL, {_OLD}), (1, happened, {_NEW}))
            AS m (sign, event, queue_name, domain, campaign_id, tenant_id, status,
                  bounce_classification, size_bytes, num_attempts, created_at, delivered_at)
        WHERE ({_OLD}) IS DISTINCT FROM ({_NEW})
"""  # noqa: S608
# The last costs about 50 microseconds where the change of a message itself costs 90.
_TRIGGERS = (
    ("message_queue_added", "INSERT", "NEW TABLE AS added", _lines(_come_or_gone("added", 1))),
    ("message_queue_removed", "DELETE", "OLD TABLE AS gone", _lines(_come_or_gone("gone", -1))),
    (
        "message_queue_changed",
        "UPDATE",
        "OLD TABLE AS before NEW TABLE AS after",
        _lines(_CHANGED),
    ),
)


def _trigger(name: str, event: str, tables: str, statement: str) -> str:
    return f"""
    CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {statement};
        RETURN NULL;
    END $$;
    CREATE TRIGGER {name} AFTER {event} ON message_queue
        REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION {name}();
    """


_EMPTIED = """
CREATE FUNCTION message_queue_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE queue_changes, queue_counters, queue_minutes, queue_hours;
    RETURN NULL;
END $$;
CREATE TRIGGER message_queue_emptied AFTER TRUNCATE ON message_queue
    FOR EACH STATEMENT EXECUTE FUNCTION message_queue_emptied();
"""
_DOWN = """
DROP INDEX message_queue_waiting, message_queue_queue_error, message_queue_domain_error;
DROP TRIGGER message_queue_added ON message_queue;
DROP TRIGGER message_queue_removed ON message_queue;
DROP TRIGGER message_queue_changed ON message_queue;
DROP TRIGGER message_queue_emptied ON message_queue;
DROP FUNCTION message_queue_added, message_queue_removed, message_queue_changed,
    message_queue_emptied;
DROP TABLE queue_changes, queue_counters, queue_minutes, queue_hours, queue_totals;
"""
