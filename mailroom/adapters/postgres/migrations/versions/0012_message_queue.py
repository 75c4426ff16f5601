"""Outbound messages (seed 004, section 6), the states of their queues, suppressed recipients, and
what deliveries say of domains."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)


_UP = """
CREATE TABLE message_queue (
    id uuid PRIMARY KEY,
    message_id text NOT NULL,
    queue_name text NOT NULL,
    recipient text NOT NULL,
    sender text NOT NULL,
    domain text NOT NULL,
    routing_domain text,
    campaign_id text,
    tenant_id text,
    pool_name text,
    status text NOT NULL,
    priority smallint NOT NULL DEFAULT 5,
    size_bytes bigint NOT NULL,
    num_attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL DEFAULT 20,
    last_attempt_at timestamptz,
    next_attempt_at timestamptz,
    last_bounce_reason text,
    bounce_classification text,
    created_at timestamptz NOT NULL DEFAULT now(),
    scheduled_at timestamptz,
    delivered_at timestamptz,
    expires_at timestamptz,
    smtp_response jsonb,
    delivery_protocol text DEFAULT 'smtp',
    headers jsonb,
    body_hash text,
    attachment_count integer DEFAULT 0,
    tags text[],
    metadata jsonb,
    blob text,
    step integer NOT NULL DEFAULT 0,
    held boolean NOT NULL DEFAULT false,
    relayed boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX message_queue_queue ON message_queue (queue_name, status);
CREATE INDEX message_queue_held ON message_queue (queue_name, id) WHERE held;
CREATE INDEX message_queue_held_domain ON message_queue (domain, id) WHERE held;
CREATE INDEX message_queue_held_since ON message_queue (updated_at) WHERE held;
CREATE INDEX message_queue_status ON message_queue (status, created_at, id);
CREATE INDEX message_queue_domain ON message_queue (domain, created_at, id);
CREATE INDEX message_queue_recipient ON message_queue (recipient, id);
CREATE INDEX message_queue_campaign ON message_queue (campaign_id, created_at, id)
    WHERE campaign_id IS NOT NULL;
CREATE INDEX message_queue_tenant ON message_queue (tenant_id, created_at, id)
    WHERE tenant_id IS NOT NULL;
CREATE INDEX message_queue_created ON message_queue (created_at, id);
CREATE INDEX message_queue_scheduled ON message_queue (scheduled_at) WHERE scheduled_at IS NOT NULL;
CREATE INDEX message_queue_next ON message_queue (next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX message_queue_message_id ON message_queue USING hash (message_id);
CREATE INDEX message_queue_blob ON message_queue USING hash (blob) WHERE blob IS NOT NULL;
CREATE INDEX message_queue_ended ON message_queue (updated_at, id)
    WHERE status IN ('delivered', 'bounced', 'expired', 'cancelled');

CREATE TABLE queues (
    queue_name text PRIMARY KEY,
    state text NOT NULL DEFAULT 'active',
    reason text,
    until timestamptz,
    set_by text NOT NULL,
    openings integer NOT NULL DEFAULT 0,
    probing_since timestamptz,
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE suppressions (
    tenant_id text COLLATE "C" NOT NULL DEFAULT '',
    address text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    source text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, address)
);
CREATE INDEX suppressions_address ON suppressions (address, tenant_id);

CREATE TABLE delivery_outcomes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain text NOT NULL,
    kind text NOT NULL,
    seconds double precision,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE domain_hours (
    domain text NOT NULL,
    hour timestamptz NOT NULL,
    delivered integer NOT NULL DEFAULT 0,
    deferred integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    blocked integer NOT NULL DEFAULT 0,
    complaints integer NOT NULL DEFAULT 0,
    seconds double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (domain, hour)
);
CREATE INDEX domain_hours_hour ON domain_hours (hour);

CREATE TABLE domain_health (
    domain text PRIMARY KEY,
    score double precision NOT NULL DEFAULT 100,
    results double precision NOT NULL DEFAULT 0,
    bounce_rate double precision NOT NULL DEFAULT 0,
    block_rate double precision NOT NULL DEFAULT 0,
    deferral_rate double precision NOT NULL DEFAULT 0,
    average_delivery_time double precision NOT NULL DEFAULT 0,
    last_successful_delivery timestamptz,
    last_failure_at timestamptz,
    scored_at timestamptz
);
CREATE INDEX domain_health_due ON domain_health (scored_at NULLS FIRST, domain)
    WHERE scored_at IS NULL OR results > 0;
CREATE INDEX domain_health_score ON domain_health (score, domain);

CREATE TABLE domain_health_history (
    domain text NOT NULL,
    hour timestamptz NOT NULL,
    score double precision NOT NULL,
    results double precision NOT NULL,
    bounce_rate double precision NOT NULL,
    PRIMARY KEY (domain, hour)
);
CREATE INDEX domain_health_history_hour ON domain_health_history (hour);

CREATE TABLE reports (
    key text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX reports_at ON reports (at);

CREATE TABLE legacy_migrations (
    id uuid PRIMARY KEY,
    digest text NOT NULL,
    source text,
    sender text NOT NULL,
    status text NOT NULL,
    done integer NOT NULL DEFAULT 0,
    refused integer NOT NULL DEFAULT 0,
    began_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX legacy_migrations_running ON legacy_migrations (digest)
    WHERE status = 'running';

CREATE TABLE legacy_records (
    migration_id uuid NOT NULL,
    position integer NOT NULL,
    id uuid NOT NULL,
    record text NOT NULL,
    outcome text NOT NULL,
    replaced jsonb,
    PRIMARY KEY (migration_id, position),
    UNIQUE (migration_id, id)
);
CREATE INDEX legacy_records_message ON legacy_records (id);
"""

_DOWN = """
DROP TABLE legacy_records, legacy_migrations;
DROP TABLE reports, domain_health_history, domain_health, domain_hours,
    delivery_outcomes, suppressions, queues, message_queue;
"""
