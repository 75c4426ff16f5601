"""Letters between agents, their sessions, and counters of what happened."""

from alembic import op

revision = "0009"
down_revision = "0008"

UPGRADE = """
CREATE TABLE agents (
    address text PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    failures integer NOT NULL DEFAULT 0,
    opened_at timestamptz,
    probing_since timestamptz,
    wishes jsonb
);

CREATE TABLE agent_mail (
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id text PRIMARY KEY,
    "to" text NOT NULL,
    "from" text NOT NULL,
    subject text NOT NULL,
    body text,
    blob text,
    priority smallint NOT NULL,
    delivery text NOT NULL,
    status text NOT NULL,
    reason text,
    thread text NOT NULL,
    reply_to text,
    pinned boolean NOT NULL DEFAULT false,
    strategy text,
    source text,
    channel_id text,
    channel text,
    session_id text,
    attempts integer NOT NULL DEFAULT 0,
    step integer NOT NULL,
    waits boolean NOT NULL DEFAULT false,
    sent_at timestamptz NOT NULL,
    expires_at timestamptz,
    last_attempt timestamptz,
    retry_at timestamptz,
    notified_at timestamptz,
    delivered_at timestamptz,
    read_at timestamptz,
    acknowledged_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    search tsvector GENERATED ALWAYS AS (
        -- Else a path is one word, and its last part is not found.
        to_tsvector('simple', translate("from" || ' ' || "to" || ' ' || subject || ' '
                                        || left(coalesce(body, ''), 20000), '/@', '  '))
    ) STORED
);
CREATE INDEX agent_mail_inbox ON agent_mail ("to", number);
CREATE INDEX agent_mail_status ON agent_mail (status, number);
CREATE INDEX agent_mail_from ON agent_mail ("from", number);
CREATE INDEX agent_mail_thread ON agent_mail (thread, number);
CREATE INDEX agent_mail_search ON agent_mail USING gin (search);
CREATE INDEX agent_mail_updated ON agent_mail (updated_at);
-- What has not arrived, in the order in which it goes on.
CREATE INDEX agent_mail_open ON agent_mail ("to", priority DESC, sent_at, number)
    WHERE status IN ('queued', 'delivering', 'retrying');
CREATE INDEX agent_mail_pinned ON agent_mail ("to") WHERE pinned;
-- What ended while its workflow was at rest, which has to be told.
CREATE INDEX agent_mail_untold ON agent_mail (updated_at)
    WHERE waits AND status IN ('delivered', 'acknowledged');

CREATE TABLE sessions (
    session_id text PRIMARY KEY,
    address text NOT NULL,
    daemon_id text NOT NULL,
    channel text,
    status text NOT NULL DEFAULT 'active',
    created_at timestamptz NOT NULL DEFAULT now(),
    last_active_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX sessions_address ON sessions (address);

CREATE TABLE session_events (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id text NOT NULL REFERENCES sessions ON DELETE CASCADE,
    message_id text NOT NULL,
    attempt integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    UNIQUE (message_id, session_id)
);
CREATE INDEX session_events_open ON session_events (session_id, event_id)
    WHERE confirmed_at IS NULL;

CREATE TABLE delivery_confirmations (
    message_id text PRIMARY KEY,
    session_id text,
    delivered_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX delivery_confirmations_at ON delivery_confirmations (delivered_at);

CREATE TABLE switches (
    name text PRIMARY KEY,
    enabled boolean NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- One row for each connection and type: nobody waits for another's counter.
CREATE TABLE event_counts (
    type text NOT NULL,
    connection integer NOT NULL,
    total bigint NOT NULL,
    PRIMARY KEY (type, connection)
) WITH (fillfactor = 50);

CREATE FUNCTION count_agent_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event_counts AS c (type, connection, total)
    VALUES (NEW.type, pg_backend_pid(), 1)
    ON CONFLICT (type, connection) DO UPDATE SET total = c.total + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER events_count AFTER INSERT ON events
    FOR EACH ROW WHEN (NEW.owner LIKE 'agent/%') EXECUTE FUNCTION count_agent_events();
"""

DOWNGRADE = """
DROP TRIGGER events_count ON events;
DROP FUNCTION count_agent_events;
DROP TABLE event_counts, switches, delivery_confirmations, session_events, sessions, agent_mail,
    agents;
DELETE FROM events WHERE owner LIKE 'agent/%';
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
