"""Mails, their drafts, texts, send-once markers and one timeline."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE processed_emails (
    owner text NOT NULL,
    message_id text NOT NULL,
    workflow_id text NOT NULL UNIQUE,
    subject text NOT NULL,
    "from" text NOT NULL,
    received_at timestamptz NOT NULL,
    blob text NOT NULL,
    status text NOT NULL,
    processed_at timestamptz,
    step integer NOT NULL,
    PRIMARY KEY (owner, message_id)
);
CREATE INDEX processed_emails_message_id ON processed_emails (message_id);

CREATE TABLE workflow_state (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL,
    message_id text NOT NULL,
    workflow_id text NOT NULL UNIQUE,
    email_subject text,
    email_from text,
    email_body_preview text,
    current_state text NOT NULL,
    previous_state text,
    reason text,
    failed_stage text,
    code text,
    revision integer,
    draft_note text,
    ai_reply_text text,
    ai_reply_generated_at timestamptz,
    sms_message_id text,
    sms_sent_at timestamptz,
    sms_phone_number text,
    user_command text,
    user_edit_instructions text,
    user_responded_at timestamptz,
    edit_iteration integer NOT NULL DEFAULT 0,
    reply_sent_at timestamptz,
    reply_message_id text,
    reply_blob text,
    error_message text,
    retry_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    timeout_at timestamptz,
    step integer NOT NULL,
    UNIQUE (owner, message_id),
    FOREIGN KEY (owner, message_id) REFERENCES processed_emails (owner, message_id)
);
CREATE INDEX workflow_state_state ON workflow_state (owner, current_state, id);
CREATE INDEX workflow_state_timeout ON workflow_state (timeout_at);
CREATE INDEX workflow_state_newest ON workflow_state (owner, id);
CREATE INDEX workflow_state_created ON workflow_state (created_at);

CREATE TABLE drafts (
    owner text NOT NULL,
    message_id text NOT NULL,
    revision smallint NOT NULL,
    code text NOT NULL,
    blob text NOT NULL,
    length integer NOT NULL,
    note text,
    instructions text,
    live boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, message_id, revision)
);
-- The code first: with the owner first, freeing the codes of one mail walks all that wait.
CREATE UNIQUE INDEX drafts_live_code ON drafts (code, owner) WHERE live;
CREATE INDEX drafts_code ON drafts (code, owner, created_at);

CREATE TABLE sms_messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    direction text NOT NULL,
    owner text NOT NULL,
    message_id text,
    number text NOT NULL,
    body text NOT NULL,
    reference text,
    provider_id text,
    outcome jsonb,
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (direction, reference)
);
CREATE INDEX sms_messages_message ON sms_messages (owner, message_id);
CREATE UNIQUE INDEX sms_messages_inbound ON sms_messages (number, provider_id)
    WHERE direction = 'inbound';

CREATE TABLE phones (
    number text PRIMARY KEY,
    stopped_at timestamptz,
    explained_at timestamptz
);

CREATE TABLE send_markers (
    key text PRIMARY KEY,
    blob text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    outcome text,
    response text,
    settled_at timestamptz
);

CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL,
    message_id text NOT NULL,
    step integer NOT NULL,
    type text NOT NULL,
    detail jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner, message_id, step, type)
);

CREATE FUNCTION tell_listeners() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('mailroom', json_build_object(
        'id', NEW.id, 'owner', NEW.owner, 'message_id', NEW.message_id, 'type', NEW.type)::text);
    RETURN NULL;
END $$;
CREATE TRIGGER events_tell AFTER INSERT ON events
    FOR EACH ROW EXECUTE FUNCTION tell_listeners();
"""

DOWNGRADE = """
DROP TABLE events, send_markers, phones, sms_messages, drafts, workflow_state, processed_emails;
DROP FUNCTION tell_listeners;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
